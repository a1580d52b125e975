//! A report that grows run by run: its environment, rows and curves.

use super::{Curve, Environment, Quantity, Role, SummaryRow, TrainingReport, timestamp};
use crate::data::Split;
use crate::gpu::Gpu;
use crate::models::Network;
use crate::platform::SystemTime;
use crate::report::stats::median;
use crate::tasks::Metric;
use crate::train::{Epoch, Run};

impl TrainingReport {
    /// A report without rows, of runs on this device now.
    pub fn begin(gpu: &Gpu, command: String) -> Self {
        let caps = gpu.caps();
        let environment = Environment {
            adapter: caps.name.clone(),
            driver: caps.driver.clone(),
            backend: caps.backend.clone(),
            command,
            date: timestamp(SystemTime::now()),
            version: env!("CARGO_PKG_VERSION").into(),
            extra: Vec::new(),
        };
        Self { environment, ..Self::default() }
    }

    /// The curves of a run: the metric on the data that was watched, and the training loss.
    pub fn add_curves(&mut self, label: &str, seed: u64, watched: Split, run: &Run) {
        let curve = |quantity, split, value: fn(&Epoch) -> f64| {
            let points = run.epochs.iter().map(|epoch| (epoch.epoch as f64, value(epoch))).collect();
            Curve { label: label.into(), seed, quantity, split, points }
        };
        let metric = run.epochs.first().map(|epoch| epoch.validation.primary.quantity());
        self.curves.extend(metric.map(|metric| curve(metric, watched, |epoch| epoch.validation.value())));
        self.curves.push(curve(Quantity::loss(), Split::Train, |epoch| epoch.loss));
    }

    /// The row of a network that is measured at `metrics`, one a seed; `runs` are those that trained it, none for one that
    /// came trained.
    pub fn add_row(&mut self, label: &str, role: Role, network: &Network, metrics: &[Metric], runs: &[&Run]) {
        if let Some(metric) = metrics.first() {
            self.metric = metric.quantity();
        }
        let notes = runs.iter().filter_map(|run| run.loss_scale_note());
        self.notes.extend(notes.map(|note| format!("{label}: {note}.")));
        let stored: usize = network.params.iter().map(|param| param.shape.len()).sum();
        let times: Vec<f64> = runs.iter().map(|run| run.ms_per_step).filter(|&ms| ms > 0.0).collect();
        self.rows.push(SummaryRow {
            label: label.into(),
            model: network.name.clone(),
            role,
            params: network.params.trainable_elements() as u64,
            bytes: stored as u64 * 4,
            values: metrics.iter().map(|metric| metric.value).collect(),
            ms_per_step: median(&times),
        });
    }
}
