//! Results of many runs, methods x seeds x pairs, as a table: what each method is worth, with mean and spread.

mod html;
mod markdown;

use serde::{Deserialize, Serialize};

use super::stats::{mean, median, sample_sd};
use super::trainer::Run;
use crate::tape::Cost;

/// One finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// What it ran: changes with every setting, so that a result of other settings is not taken for this one's.
    pub key: String,
    /// Accuracy of the weights that were kept, 0 to 1, on the test set.
    pub last: f64,
    /// Accuracy of the best epoch, chosen by looking at it.
    pub best: f64,
    /// Milliseconds a step.
    pub ms_per_step: f64,
    /// Floating-point operations a step.
    pub flops: u64,
    /// Bytes of a step's intermediates.
    pub planned_bytes: u64,
    /// Trained parameters of the student.
    pub student_params: u64,
    /// The teacher's accuracy on the test set; none where only its outputs were there.
    pub teacher: Option<f64>,
}

impl Outcome {
    /// Of a run whose kept weights have this accuracy on the test set, of a student of so many parameters.
    pub fn new(key: String, last: f64, run: &Run, cost: &Cost, student_params: u64) -> Self {
        Self {
            key,
            last,
            student_params,
            teacher: None,
            best: run.best_accuracy(),
            ms_per_step: run.ms_per_step,
            flops: cost.flops,
            planned_bytes: cost.planned_bytes,
        }
    }
}

/// One method's runs for one pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodRuns {
    /// As the user wrote it; `alone` for the student without a teacher.
    pub method: String,
    /// The finished runs, by seed.
    pub done: Vec<(u64, Outcome)>,
    /// Why seeds have none.
    pub failed: Vec<(u64, String)>,
}

/// A teacher and a student.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PairRuns {
    /// What the pair is called.
    pub name: String,
    /// One a method, in the order to show. The student alone comes first.
    pub methods: Vec<MethodRuns>,
}

/// All of a sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sweep {
    /// What was asked for, in a few words.
    pub title: String,
    /// Adapter, driver, version and date.
    pub made: String,
    /// The pairs.
    pub pairs: Vec<PairRuns>,
}

/// What a table shows of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Mean and sample deviation of the last epoch's accuracy, in percent.
    pub last: Option<(f64, Option<f64>)>,
    /// Mean of the best epoch's accuracy, in percent.
    pub best: Option<f64>,
    /// Points gained over the student alone.
    pub gain: Option<f64>,
    /// Median milliseconds a step.
    pub ms_per_step: Option<f64>,
    /// GFLOP a step.
    pub gflop: Option<f64>,
    /// MiB of intermediates.
    pub mib: Option<f64>,
    /// Seeds that finished.
    pub seeds: usize,
}

impl PairRuns {
    /// The teacher's accuracy on the test set; none where it could not be measured.
    pub fn teacher(&self) -> Option<f64> {
        self.outcomes().find_map(|outcome| outcome.teacher)
    }

    /// Trained parameters of the student; none before a run is done.
    pub fn student_params(&self) -> Option<u64> {
        self.outcomes().next().map(|outcome| outcome.student_params)
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.methods.iter().flat_map(|runs| runs.done.iter().map(|(_, outcome)| outcome))
    }

    /// The figures of a method beside those of the student alone, which is `methods[0]`.
    pub fn summary(&self, runs: &MethodRuns) -> Summary {
        let of = |runs: &MethodRuns, f: fn(&Outcome) -> f64| -> Vec<f64> {
            runs.done.iter().map(|(_, outcome)| f(outcome)).collect()
        };
        let percent = |runs: &MethodRuns| mean(&of(runs, |o| 100.0 * o.last));
        let alone = self.methods.first().filter(|m| m.method != runs.method).and_then(percent);
        let own = percent(runs);
        Summary {
            last: own.map(|mean| (mean, sample_sd(&of(runs, |o| 100.0 * o.last)))),
            best: mean(&of(runs, |o| 100.0 * o.best)),
            gain: own.zip(alone).map(|(own, alone)| own - alone),
            ms_per_step: median(&of(runs, |o| o.ms_per_step)),
            gflop: runs.done.first().map(|(_, o)| o.flops as f64 * 1e-9),
            mib: runs.done.first().map(|(_, o)| o.planned_bytes as f64 / f64::from(1 << 20)),
            seeds: runs.done.len(),
        }
    }
}

impl Sweep {
    /// Runs that failed.
    pub fn failures(&self) -> usize {
        self.pairs.iter().flat_map(|p| &p.methods).map(|m| m.failed.len()).sum()
    }

    /// As Markdown: methods x pairs, and the figures of each pair.
    pub fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// As a page that loads nothing from anywhere.
    pub fn html(&self) -> String {
        html::page(self)
    }
}

/// The columns of a pair's table.
const COLUMNS: [&str; 8] =
    ["method", "last epoch %", "best epoch %", "gain", "seeds", "ms a step", "GFLOP a step", "MiB a step"];

/// A method's cells under [`COLUMNS`].
fn cells(pair: &PairRuns, runs: &MethodRuns) -> [String; 8] {
    let summary = pair.summary(runs);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        runs.method.clone(),
        spread(&summary),
        or_dash(summary.best.map(|v| format!("{v:.2}"))),
        or_dash(summary.gain.map(|v| format!("{v:+.2}"))),
        summary.seeds.to_string(),
        or_dash(summary.ms_per_step.map(|v| format!("{v:.1}"))),
        or_dash(summary.gflop.map(|v| format!("{v:.3}"))),
        or_dash(summary.mib.map(|v| format!("{v:.1}"))),
    ]
}

/// `71.20 ± 0.31`
fn spread(summary: &Summary) -> String {
    match summary.last {
        None => "failed".into(),
        Some((mean, None)) => format!("{mean:.2}"),
        Some((mean, Some(sd))) => format!("{mean:.2} ± {sd:.2}"),
    }
}

/// `MARKDOWN` and `HTML` both begin with the table of methods x pairs: its rows, header first.
fn overview(sweep: &Sweep) -> Vec<Vec<String>> {
    let mut header = vec![String::new()];
    header.extend(sweep.pairs.iter().map(|pair| pair.name.clone()));
    let mut teacher = vec!["teacher".to_string()];
    teacher.extend(
        sweep
            .pairs
            .iter()
            .map(|p| p.teacher().map_or("-".into(), |accuracy| format!("{:.2}", 100.0 * accuracy))),
    );
    let mut rows = vec![header, teacher];
    let methods = sweep.pairs.first().map_or(&[][..], |pair| &pair.methods);
    for (index, runs) in methods.iter().enumerate() {
        let mut row = vec![runs.method.clone()];
        row.extend(
            sweep
                .pairs
                .iter()
                .map(|pair| pair.methods.get(index).map_or("-".into(), |runs| spread(&pair.summary(runs)))),
        );
        rows.push(row);
    }
    rows
}

/// What is said of a failed run.
fn failures(pair: &PairRuns) -> Vec<String> {
    let all = pair.methods.iter().flat_map(|m| m.failed.iter().map(move |failed| (m, failed)));
    all.map(|(m, (seed, why))| format!("{} with seed {seed} failed: {why}", m.method)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(method: &str, last: &[f64]) -> MethodRuns {
        let outcome = |last: f64| Outcome {
            key: String::new(),
            last,
            best: last + 0.01,
            ms_per_step: 2.0,
            flops: 3_000_000_000,
            planned_bytes: 1 << 20,
            student_params: 10,
            teacher: Some(0.8),
        };
        let done = last.iter().enumerate().map(|(seed, last)| (seed as u64, outcome(*last))).collect();
        MethodRuns { method: method.into(), done, failed: Vec::new() }
    }

    fn sweep() -> Sweep {
        let mut broken = runs("dkd|x", &[]);
        broken.failed.push((1, "expected <8>, got 7".into()));
        let methods = vec![runs("alone", &[0.70, 0.72]), runs("kd", &[0.73, 0.75]), broken];
        let pair = PairRuns { name: "a to b".into(), methods };
        Sweep { title: "t".into(), made: "here".into(), pairs: vec![pair] }
    }

    #[test]
    fn means_spreads_and_gains() {
        let sweep = sweep();
        let summary = sweep.pairs[0].summary(&sweep.pairs[0].methods[1]);
        let (mean, sd) = summary.last.unwrap();
        assert!((mean - 74.0).abs() < 1e-9 && (sd.unwrap() - 2f64.sqrt()).abs() < 1e-9, "{mean} {sd:?}");
        assert!((summary.gain.unwrap() - 3.0).abs() < 1e-9 && (summary.best.unwrap() - 75.0).abs() < 1e-9);
        assert_eq!(sweep.pairs[0].summary(&sweep.pairs[0].methods[0]).gain, None);
        assert_eq!(sweep.failures(), 1);
    }

    /// Every row of a Markdown table has as many cells as its header, whatever a method is called.
    #[test]
    fn markdown_has_rectangular_tables() {
        let text = sweep().markdown();
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let counts: Vec<usize> = table.lines().map(cells).collect();
            assert!(counts.iter().all(|c| *c == counts[0]), "{table}");
        }
        assert!(text.contains("| kd | 74.00 ± 1.41 | 75.00 | +3.00 | 2 | 2.0 | 3.000 | 1.0 |"), "{text}");
        assert!(text.contains("dkd\\|x with seed 1 failed"), "{text}");
    }

    #[test]
    fn html_escapes_what_files_and_users_say() {
        let page = sweep().html();
        assert!(page.contains("expected &lt;8&gt;") && !page.contains("<8>"), "{page}");
        assert!(!page.contains("://"), "a page that loads something");
    }
}
