//! Results of many runs, methods x seeds x pairs, as a table: what each method is worth, with mean and spread.

mod html;
mod left;
mod markdown;
mod rows;

pub use left::{Finished, left_ms};

use serde::{Deserialize, Serialize};

use super::stats::{mean, median, sample_sd};
use super::trainer::Run;
use crate::tape::Cost;

/// The student without a teacher: the label of every pair's first row.
pub const ALONE: &str = "alone";

/// The row of the teachers' own accuracy.
pub const TEACHER: &str = "teacher";

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
    /// Steps it ran; 0 in results of versions that did not keep it.
    #[serde(default)]
    pub steps: u64,
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
            steps: run.epochs.last().map_or(0, |epoch| epoch.step),
            flops: cost.flops,
            planned_bytes: cost.planned_bytes,
        }
    }
}

/// One method's runs for one pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodRuns {
    /// Its label, by which rows of several pairs belong together; [`ALONE`] for the student without a teacher.
    pub method: String,
    /// The methods as they ran for this pair; the label where it has no text of its own.
    pub written: String,
    /// The finished runs, by seed.
    pub done: Vec<(u64, Outcome)>,
    /// Why seeds have none.
    pub failed: Vec<(u64, String)>,
    /// What the doctor found before the first of them.
    pub findings: Vec<String>,
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

#[cfg(test)]
mod tests;
