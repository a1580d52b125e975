//! The report of a run: one self-contained HTML page, and a table for the terminal.
//!
//! What a training has to show; how it is drawn is `crate::report`'s.

mod build;
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

pub use crate::report::{Environment, Quantity, Section, Unit, timestamp};

/// Everything a report shows. Empty parts are left out of the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// What was done, in a few words.
    pub title: String,
    /// One line on data, method and budget.
    pub subtitle: String,
    /// What the rows are measured by.
    pub metric: Quantity,
    /// One row per variant, in the order to show.
    pub rows: Vec<SummaryRow>,
    /// Training curves, one per variant, seed and measure.
    pub curves: Vec<Curve>,
    /// What the task shows of its own, behind the table.
    #[serde(default)]
    pub sections: Vec<Section>,
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
    /// What each seed came to by the report's metric, on the data of the test (or validation) curves: among those the
    /// teacher's is drawn as a level line.
    pub values: Vec<f64>,
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

/// One measure of one seed of one variant over the epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The variant; curves of equal label are seeds of one another and share a colour and a mean.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// What is measured.
    pub quantity: Quantity,
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
    /// Mean over the seeds.
    pub fn mean(&self) -> Option<f64> {
        stats::mean(&self.values).filter(|v| v.is_finite())
    }
}

impl Curve {
    /// The curves of one run's log: for each split, the mean of each of these quantities and of the loss in each epoch that
    /// has any.
    pub fn from_metrics(
        records: &[MetricRecord],
        run: &str,
        label: &str,
        seed: u64,
        quantities: &[Quantity],
    ) -> Vec<Curve> {
        let loss = Quantity::loss();
        let mut curves = Vec::new();
        for quantity in quantities.iter().chain([&loss]) {
            let mut measured: BTreeMap<Split, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
            for record in records.iter().filter(|record| record.run == run) {
                let own = (quantity == &loss).then_some(record.loss);
                if let Some(value) = own.or_else(|| record.metrics.get(&quantity.name).copied()) {
                    measured.entry(record.split).or_default().entry(record.epoch).or_default().push(value);
                }
            }
            curves.extend(measured.into_iter().map(|(split, epochs)| Curve {
                label: label.to_string(),
                seed,
                quantity: quantity.clone(),
                split,
                points: epochs.iter().filter_map(|(&e, v)| Some((e as f64, stats::mean(v)?))).collect(),
            }));
        }
        curves
    }
}

impl TrainingReport {
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
