//! Results of many runs, methods x seeds x pairs, as a table: what each method is worth, with mean and spread.

mod html;
mod left;
mod markdown;
mod rows;

pub use left::{Finished, left_seconds, seconds_per_flop};

use serde::{Deserialize, Serialize};

use super::Run;
use crate::report::stats::{mean, median, sample_sd};
use crate::report::{Quantity, Unit};
use crate::tasks::{Measured, Metric, classify};

/// The student without a teacher: the label of every pair's first row.
pub const ALONE: &str = "alone";

/// The row of what the teachers themselves come to.
pub const TEACHER: &str = "teacher";

/// One finished run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it ran: changes with every setting, so that a result of other settings is not taken for this one's.
    pub key: String,
    /// What it is measured by; results of versions that did not say so are accuracies.
    #[serde(default = "old_metric")]
    pub metric: Quantity,
    /// What the weights that were kept come to on the test set.
    pub last: f64,
    /// What the best epoch came to, chosen by looking at it.
    pub best: f64,
    /// What else the weights that were kept come to on the test set; none in results of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Metric>,
    /// Milliseconds a step, over the steps of all its trainings.
    pub ms_per_step: f64,
    /// Steps it ran, in all its trainings; 0 in results of versions that did not keep it.
    #[serde(default)]
    pub steps: u64,
    /// Trainings that led to the student, its own included.
    #[serde(default = "one")]
    pub trainings: u64,
    /// Seconds from its start to its result, before it was resumed too; none in results of versions that did
    /// not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Floating-point operations a step, over the steps of all its trainings.
    pub flops: u64,
    /// Bytes of a step's intermediates, of the largest of its trainings.
    pub planned_bytes: u64,
    /// Trained parameters of the student.
    pub student_params: u64,
    /// What is peculiar to how it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn one() -> u64 {
    1
}

fn old_metric() -> Quantity {
    classify::accuracy(0.0).quantity()
}

impl Outcome {
    /// Of trainings one after the other, the student's own last, whose kept weights are measured at `last` on the test set;
    /// `seconds` passed since its start, or since it was resumed.
    pub fn new(key: String, last: &Measured, trainings: &[Run], student_params: u64, seconds: f64) -> Self {
        let steps_of = |run: &Run| run.epochs.last().map_or(0, |epoch| epoch.step);
        let steps: u64 = trainings.iter().map(steps_of).sum();
        let over_steps = |of: &dyn Fn(&Run) -> f64| {
            trainings.iter().map(|run| of(run) * steps_of(run) as f64).sum::<f64>() / steps.max(1) as f64
        };
        Self {
            key,
            metric: last.primary.quantity(),
            last: last.value(),
            others: last.others.clone(),
            student_params,
            steps,
            best: trainings.last().and_then(Run::best).map_or(last.value(), Measured::value),
            ms_per_step: over_steps(&|run| run.ms_per_step),
            trainings: trainings.len() as u64,
            seconds: Some(seconds + trainings.iter().map(|run| run.seconds_before).sum::<f64>()),
            flops: over_steps(&|run| run.cost.flops as f64).round() as u64,
            planned_bytes: trainings.iter().map(|run| run.cost.planned_bytes).max().unwrap_or(0),
            note: None,
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
    /// What each teacher comes to on the test set; none where they were not measured.
    pub teachers: Vec<f64>,
    /// What is to be said of the pair as a whole.
    pub notes: Vec<String>,
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

/// What a table shows of one method, as numbers to be shown: shares in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodSummary {
    /// Mean and sample deviation of what the last epoch came to.
    pub last: Option<(f64, Option<f64>)>,
    /// Mean of what the best epoch came to.
    pub best: Option<f64>,
    /// How much better than the student alone.
    pub gain: Option<f64>,
    /// Median of the steps it ran.
    pub steps: Option<f64>,
    /// Median milliseconds a step.
    pub ms_per_step: Option<f64>,
    /// GFLOP a step.
    pub gflop: Option<f64>,
    /// MiB of intermediates.
    pub mib: Option<f64>,
    /// Seeds that finished.
    pub seeds: usize,
}

/// A metric besides the primary one, as numbers to be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OtherFigure {
    /// Mean over seeds.
    pub mean: f64,
    /// Sample deviation over seeds.
    pub sd: Option<f64>,
    /// How much better than the student alone.
    pub gain: Option<f64>,
}

impl PairRuns {
    /// Trained parameters of the student; none before a run is done.
    pub fn student_params(&self) -> Option<u64> {
        self.outcomes().next().map(|outcome| outcome.student_params)
    }

    /// What its runs are measured by; the metric of old files before one is done.
    pub fn metric(&self) -> Quantity {
        self.outcomes().next().map_or_else(old_metric, |outcome| outcome.metric.clone())
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.methods.iter().flat_map(|runs| runs.done.iter().map(|(_, outcome)| outcome))
    }

    /// What its runs are measured by besides.
    pub fn others(&self) -> Vec<Quantity> {
        self.outcomes().next().map_or_else(Vec::new, |one| one.others.iter().map(Metric::quantity).collect())
    }

    /// Mean and sample deviation of a method's other metric of this name, and how much better it is than the student
    /// alone, as numbers to be shown.
    pub fn other(&self, runs: &MethodRuns, metric: &Quantity) -> Option<OtherFigure> {
        let values = |runs: &MethodRuns| -> Vec<f64> {
            let others = runs.done.iter().flat_map(|(_, outcome)| &outcome.others);
            others.filter(|other| other.name == metric.name).map(|other| metric.scaled(other.value)).collect()
        };
        let own = values(runs);
        let alone = self.methods.first().filter(|m| m.method != runs.method);
        let gain = |mean_of| alone.and_then(|alone| mean(&values(alone))).map(|a| metric.gain(mean_of, a));
        mean(&own).map(|value| OtherFigure { mean: value, sd: sample_sd(&own), gain: gain(value) })
    }

    /// The figures of a method beside those of the student alone, which is `methods[0]`.
    pub fn summary(&self, runs: &MethodRuns) -> MethodSummary {
        let of = |runs: &MethodRuns, f: fn(&Outcome) -> f64| -> Vec<f64> {
            runs.done.iter().map(|(_, outcome)| f(outcome)).collect()
        };
        let metric = self.metric();
        let scaled = |runs: &MethodRuns, f| -> Vec<f64> {
            of(runs, f).into_iter().map(|value| metric.scaled(value)).collect()
        };
        let last = |runs: &MethodRuns| mean(&scaled(runs, |o| o.last));
        let alone = self.methods.first().filter(|m| m.method != runs.method).and_then(last);
        let own = last(runs);
        MethodSummary {
            last: own.map(|mean| (mean, sample_sd(&scaled(runs, |o| o.last)))),
            best: mean(&scaled(runs, |o| o.best)),
            gain: own.zip(alone).map(|(own, alone)| metric.gain(own, alone)),
            steps: median(&of(runs, |o| o.steps as f64)).filter(|steps| *steps > 0.0),
            ms_per_step: median(&of(runs, |o| o.ms_per_step)),
            gflop: runs.done.first().map(|(_, o)| o.flops as f64 * 1e-9),
            mib: runs.done.first().map(|(_, o)| o.planned_bytes as f64 / f64::from(1 << 20)),
            seeds: runs.done.len(),
        }
    }
}

impl Sweep {
    /// What stands over the table of methods and pairs.
    fn about(&self) -> String {
        let mut metrics: Vec<String> = Vec::new();
        for metric in self.pairs.iter().map(PairRuns::metric) {
            let unit = if metric.unit == Unit::Share { " in percent" } else { "" };
            let text = format!("{} on the test set{unit}", metric.title());
            if !metrics.contains(&text) {
                metrics.push(text);
            }
        }
        format!("{}, last epoch: mean and sample deviation over seeds.", metrics.join("; "))
    }

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
