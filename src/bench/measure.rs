//! How often work is run, and what its times say.

use std::collections::HashMap;

use super::benchmark::{Benchmark, Prepared, Suite, Target};
use super::ceilings::Ceilings;
use super::results::{Breakdown, Row};
use crate::Result;
use crate::platform::Instant;

/// Most runs in one batch: a watchdog may end what keeps a GPU busy for seconds, and encoding takes time too.
const MOST_RUNS: u32 = 2000;
/// Fewer samples than these have no spread worth the name.
const FEWEST_SAMPLES: usize = 3;

/// How much time a case may take.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Samples of each case.
    pub repeats: usize,
    /// Milliseconds that a batch should take at least: many ticks of the coarsest clock.
    pub batch_ms: f64,
    /// Milliseconds after which a case gets no more samples.
    pub case_ms: f64,
    /// Milliseconds that one run may take; a case beyond is left out with a note.
    pub limit_ms: f64,
    /// Operations that the f64 reference of a case may take.
    pub reference: u64,
}

impl Effort {
    /// The usual effort, or that of a quick look, with `repeats` samples where they are given.
    pub fn new(quick: bool, repeats: Option<usize>) -> Self {
        let effort = if quick {
            Self { repeats: 7, batch_ms: 2.0, case_ms: 150.0, limit_ms: 400.0, reference: 20_000_000 }
        } else {
            Self { repeats: 30, batch_ms: 10.0, case_ms: 2000.0, limit_ms: 2000.0, reference: 600_000_000 }
        };
        // Who asks for a number of samples waits for them.
        let case_ms = if repeats.is_some() { f64::INFINITY } else { effort.case_ms };
        Self { repeats: repeats.unwrap_or(effort.repeats).max(1), case_ms, ..effort }
    }
}

/// The best GFLOP/s of each group so far.
pub type Rates = HashMap<String, f64>;

/// What became of a case.
pub enum Outcome {
    /// It was measured.
    Row(Box<Row>, Option<Breakdown>),
    /// It was left out, and why.
    Skipped(String),
}

/// Measures one case.
pub fn case(
    case: &Benchmark,
    target: &Target,
    effort: &Effort,
    ceilings: &Ceilings,
    rates: &mut Rates,
) -> Result<Outcome> {
    let mut prepared = case.prepare(target)?;
    if prepared.dispatches == Some(0) {
        return Ok(Outcome::Skipped("needs no dispatch: it costs nothing".into()));
    }
    if let Some(why) = too_long(case, &prepared, effort, rates) {
        return Ok(Outcome::Skipped(why));
    }
    // The first run compiles and touches memory: it says nothing about the next.
    (prepared.time)(1)?;
    let one = (prepared.time)(1)?;
    // What a user waits for once, such as a first step, is measured however long it takes.
    if one > effort.limit_ms && case.suite != Suite::Overhead {
        return Ok(Outcome::Skipped(format!("one run takes {:.1} s; {}", one * 1e-3, allows(effort))));
    }
    let (runs, times) = samples(&mut prepared.time, effort)?;
    let mut row = Row::new(case, &prepared, runs, times, ceilings);
    if let Some(gflops) = row.gflops {
        let best = rates.entry(case.group.clone()).or_default();
        *best = best.max(gflops);
    }
    if let Some((error, allowed)) = prepared.check.map(|check| check(effort.reference)).transpose()?.flatten()
    {
        row.set_error(error, allowed);
    }
    let breakdown = prepared.breakdown.map(|make| make()).transpose()?;
    Ok(Outcome::Row(Box::new(row), breakdown))
}

/// Why work is left out before it is tried, by the rate of smaller work of its group.
fn too_long(case: &Benchmark, prepared: &Prepared, effort: &Effort, rates: &Rates) -> Option<String> {
    let rate = *rates.get(&case.group).filter(|rate| **rate > 0.0)?;
    let ms = prepared.flops as f64 * 1e-6 / rate;
    (ms > effort.limit_ms).then(|| {
        format!("one run would take about {:.1} s at {rate:.1} GFLOP/s; {}", ms * 1e-3, allows(effort))
    })
}

fn allows(effort: &Effort) -> String {
    format!("{} s are allowed", effort.limit_ms * 1e-3)
}

/// Runs in a batch, and milliseconds of one run in each of several batches.
pub fn samples(time: &mut dyn FnMut(u32) -> Result<f64>, effort: &Effort) -> Result<(u32, Vec<f64>)> {
    let runs = batch(time, effort.batch_ms)?;
    let start = Instant::now();
    let mut samples = Vec::with_capacity(effort.repeats);
    while samples.len() < effort.repeats {
        let late = start.elapsed().as_secs_f64() * 1e3 > effort.case_ms;
        if late && samples.len() >= FEWEST_SAMPLES {
            break;
        }
        samples.push(time(runs)? / f64::from(runs));
    }
    Ok((runs, samples))
}

/// How many runs take at least `batch_ms`.
fn batch(time: &mut dyn FnMut(u32) -> Result<f64>, batch_ms: f64) -> Result<u32> {
    let mut runs = 1;
    loop {
        let ms = time(runs)?;
        if ms >= batch_ms || runs >= MOST_RUNS {
            return Ok(runs);
        }
        // A batch that the clock can't see says nothing about how many are enough: go up tenfold.
        let more = if ms > 0.0 { (batch_ms / ms * 1.1).clamp(1.5, 10.0) } else { 10.0 };
        runs = ((f64::from(runs) * more).ceil() as u32).min(MOST_RUNS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that ticks every 5 ms, and work of 0.1 ms: only a batch shows it.
    #[test]
    fn batches_beat_a_coarse_clock() {
        let effort = Effort { batch_ms: 50.0, ..Effort::new(true, Some(9)) };
        let mut coarse = |runs: u32| Ok((f64::from(runs) * 0.1 / 5.0).floor() * 5.0);
        let (runs, times) = samples(&mut coarse, &effort).unwrap();
        assert_eq!(times.len(), 9);
        assert!(runs >= 500, "{runs} runs");
        assert!(times.iter().all(|ms| (ms - 0.1).abs() < 0.011), "{times:?}");
    }

    #[test]
    fn a_clock_that_stands_still_ends_at_the_most_runs() {
        assert_eq!(batch(&mut |_| Ok(0.0), 1.0).unwrap(), MOST_RUNS);
    }
}
