//! `limbeck sweep --dry-run`: what is done, and about how long the rest will take.

use std::time::Duration;

use indicatif::HumanDuration;

use super::entry::Entry;
use super::pair::PairFile;
use super::run::SweepFolder;
use super::work::PairWork;
use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::train::sweep::{Finished, left_seconds, seconds_per_flop};

/// What a figure rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Left {
    /// Finished runs of the pair, in seconds.
    About(f64),
    /// Those of other pairs, by floating-point operations.
    Roughly(f64),
    Unknown,
}

/// Prints every run, and a sum. The adapter is opened only where one pair's time is to be told from
/// another's.
pub fn list(adapter: &AdapterFlags, home: SweepFolder<'_>) -> Result<()> {
    let all: Vec<Vec<Finished>> = home.file.pairs.iter().map(|pair| finished(home, pair)).collect();
    let rate = seconds_per_flop(&all.concat());
    let gpu = rate.filter(|_| all.iter().any(Vec::is_empty)).and_then(|_| adapter.open().ok());
    let (mut left, mut teachers) = (Vec::new(), 0);
    for (pair, finished) in home.file.pairs.iter().zip(&all) {
        // What can't be known without data or a teacher that is not there yet is not guessed.
        let by_flops = gpu.as_ref().filter(|_| finished.is_empty()).zip(rate);
        let mut work = by_flops.and_then(|(gpu, rate)| Some((PairWork::new(gpu, home, pair).ok()?, rate)));
        if pair.train_teacher.is_some() && pair.teachers().iter().any(|path| !path.exists()) {
            teachers += 1;
            say!("{:<6} {}: the teacher is trained", "first", pair.name())?;
        }
        for entry in pair.entries(home.file) {
            let trainings = entry.generations()?.len().max(1) as u64;
            let cost = match left_seconds(finished, &entry.label, trainings) {
                Some(seconds) => Left::About(seconds),
                None => match work.as_mut().and_then(|(work, rate)| Some(work.flops(&entry).ok()? * *rate)) {
                    Some(seconds) => Left::Roughly(seconds),
                    None => Left::Unknown,
                },
            };
            list_entry(home, pair, &entry, finished, cost, &mut left)?;
        }
    }
    say!("\n{}", sum(&left, teachers))
}

/// A line for each seed.
fn list_entry(
    home: SweepFolder<'_>,
    pair: &PairFile,
    entry: &Entry,
    finished: &[Finished],
    cost: Left,
    left: &mut Vec<Left>,
) -> Result<()> {
    for &seed in &home.file.seeds {
        let run = format!("{}: {}, seed {seed}", pair.name(), entry.label);
        if finished.iter().any(|f| f.label == entry.label && f.seed == seed) {
            say!("{:<6} {run}", "done")?;
            continue;
        }
        let figure = match cost {
            Left::About(seconds) => format!(", about {}", human(seconds)),
            Left::Roughly(seconds) => format!(", roughly {} by its FLOPs", human(seconds)),
            Left::Unknown => String::new(),
        };
        say!("{:<6} {run}{figure}", "to do")?;
        left.push(cost);
    }
    Ok(())
}

/// The pair's finished runs. A result that can't be read is run into when the sweep runs.
fn finished(home: SweepFolder<'_>, pair: &PairFile) -> Vec<Finished> {
    let entries = pair.entries(home.file);
    let all = entries.iter().flat_map(|entry| home.file.seeds.iter().map(move |seed| (entry, *seed)));
    let one = |(entry, seed): (&Entry, u64)| {
        let outcome = home.result(pair, entry, seed).ok().flatten()?;
        Some(Finished { label: entry.label.clone(), seed, outcome })
    };
    all.filter_map(one).collect()
}

fn sum(left: &[Left], teachers: usize) -> String {
    let seconds = |of: &dyn Fn(&Left) -> Option<f64>| {
        let all: Vec<f64> = left.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| (all.len(), human(all.iter().sum())))
    };
    let about = seconds(&|cost| if let Left::About(s) = cost { Some(*s) } else { None });
    let roughly = seconds(&|cost| if let Left::Roughly(s) = cost { Some(*s) } else { None });
    let unknown = left.iter().filter(|cost| **cost == Left::Unknown).count();
    let count = left.len();
    let besides = match teachers {
        0 => String::new(),
        1 => ", and the training of a teacher".into(),
        several => format!(", and the training of {several} teachers"),
    };
    let runs = if count == 1 { "run" } else { "runs" };
    if count == 0 {
        return format!("nothing is left{besides}");
    }
    if unknown == count {
        return format!("{count} {runs} left{besides}; how long they take is known once a run is done");
    }
    let parts = [
        about.map(|(n, time)| (n, format!("about {time}"))),
        roughly.map(|(n, time)| (n, format!("roughly {time} by FLOPs"))),
        (unknown > 0).then(|| (unknown, "unknown".into())),
    ];
    let parts: Vec<(usize, String)> = parts.into_iter().flatten().collect();
    let text = match &parts[..] {
        [(_, only)] => only.clone(),
        several => several.iter().map(|(n, text)| format!("{text} for {n}")).collect::<Vec<_>>().join(", "),
    };
    format!("{count} {runs} left: {text}{besides}")
}

fn human(seconds: f64) -> HumanDuration {
    HumanDuration(Duration::from_secs_f64(seconds.max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_says_what_is_not_known() {
        assert_eq!(sum(&[], 0), "nothing is left");
        let (about, roughly) = (Left::About(60.0), Left::Roughly(90.0));
        assert_eq!(sum(&[about, about], 0), "2 runs left: about 2 minutes");
        let some = "4 runs left: about 2 minutes for 2, roughly 2 minutes by FLOPs for 1, unknown for 1";
        assert_eq!(sum(&[about, about, roughly, Left::Unknown], 0), some);
        assert_eq!(
            sum(&[roughly], 1),
            "1 run left: roughly 2 minutes by FLOPs, and the training of a teacher"
        );
        assert!(sum(&[Left::Unknown; 5], 0).starts_with("5 runs left; how long they take is known once"));
    }
}
