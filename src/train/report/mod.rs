//! The report of a run: one self-contained HTML page, and a table for the terminal.
//!
//! What a training has to show; how it is drawn is `crate::report`'s.

mod chart;
mod headline;
mod html;
mod palette;
mod strip;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::metrics::{MetricRecord, Split};
use crate::Result;
use crate::files::write_atomic;
use crate::report::stats;

pub use crate::report::{Environment, timestamp};

/// Everything a report shows. Empty parts are left out of the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was done, in a few words.
    pub title: String,
    /// One line on data, method and budget.
    pub subtitle: String,
    /// One row per variant, in the order to show.
    pub rows: Vec<SummaryRow>,
    /// Training curves, one per variant, seed and measure.
    pub curves: Vec<Curve>,
    /// What is needed to repeat the run.
    pub environment: Environment,
    /// Anything the reader should know, one paragraph each.
    pub notes: Vec<String>,
}

/// One variant: a model trained in one way, over some seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// What the variant is called; equal to the [`Curve::label`] of its curves.
    pub label: String,
    /// The model's name, such as `resnet20`.
    pub model: String,
    /// Its part in the comparison.
    pub role: Role,
    /// Number of trained parameters.
    pub params: u64,
    /// Size of its weights.
    pub bytes: u64,
    /// Top-1 accuracy of each seed, 0 to 1, on the data of the test (or validation) curves: among those the
    /// teacher's is drawn as a level line.
    pub accuracy: Vec<f64>,
    /// Median time of one training step.
    pub ms_per_step: Option<f64>,
}

/// A variant's part in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model that teaches.
    Teacher,
    /// The student's architecture, trained without a teacher.
    Baseline,
    /// The student, trained with a teacher.
    Distilled,
}

/// What a curve measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurveKind {
    /// Top-1 accuracy, 0 to 1.
    Accuracy,
    /// A loss.
    Loss,
}

/// One measure of one seed of one variant over the epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The variant; curves of equal label are seeds of one another and share a colour and a mean.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// What is measured.
    pub kind: CurveKind,
    /// What it is measured on.
    pub split: Split,
    /// `(epoch, value)`, in order of epochs. A value that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
}

impl Role {
    /// The role as a word.
    pub fn name(self) -> &'static str {
        match self {
            Role::Teacher => "teacher",
            Role::Baseline => "baseline",
            Role::Distilled => "distilled",
        }
    }
}

impl SummaryRow {
    /// Mean accuracy over the seeds.
    pub fn mean_accuracy(&self) -> Option<f64> {
        stats::mean(&self.accuracy).filter(|v| v.is_finite())
    }
}

impl Curve {
    /// The curves of one run's log: for each split, the mean loss and accuracy of each epoch that has any.
    pub fn from_metrics(records: &[MetricRecord], run: &str, label: &str, seed: u64) -> Vec<Curve> {
        let mut measured: BTreeMap<(CurveKind, Split), BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
        for record in records.iter().filter(|r| r.run == run) {
            let mut add = |kind, value| {
                measured
                    .entry((kind, record.split))
                    .or_default()
                    .entry(record.epoch)
                    .or_default()
                    .push(value);
            };
            add(CurveKind::Loss, record.loss);
            if let Some(&accuracy) = record.metrics.get("accuracy") {
                add(CurveKind::Accuracy, accuracy);
            }
        }
        let curve = |((kind, split), epochs): (_, BTreeMap<u64, Vec<f64>>)| Curve {
            label: label.to_string(),
            seed,
            kind,
            split,
            points: epochs.iter().filter_map(|(&e, v)| Some((e as f64, stats::mean(v)?))).collect(),
        };
        measured.into_iter().map(curve).collect()
    }
}

impl Report {
    /// The whole page.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The summary as a table for a terminal.
    pub fn text(&self) -> String {
        text::table(self)
    }

    /// Writes the page atomically.
    pub fn write_html(&self, path: impl AsRef<Path>) -> Result<()> {
        let html = self.html();
        write_atomic(path, |w| w.write_all(html.as_bytes()))
    }

    /// Every variant's label, in the order that decides its colour: rows first, then curves without a row.
    fn labels(&self) -> Vec<&str> {
        let mut labels = Vec::new();
        for label in
            self.rows.iter().map(|r| r.label.as_str()).chain(self.curves.iter().map(|c| c.label.as_str()))
        {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        labels
    }
}
