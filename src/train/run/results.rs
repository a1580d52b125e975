//! What a run comes to: its epochs, as they are told, logged and kept in checkpoints.

use serde::{Deserialize, Serialize};

use crate::optim::LossScaleState;
use crate::tape::Cost;
use crate::tasks::{Measured, classify};

/// What happened in an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "EpochRecord")]
pub struct Epoch {
    /// From 1.
    pub epoch: u64,
    /// Steps done since the start of training.
    pub step: u64,
    /// Mean loss of its steps.
    pub loss: f64,
    /// What its steps counted on the training samples, as they were seen.
    pub training: Measured,
    /// What the network is measured at on the validation set after it.
    pub validation: Measured,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Milliseconds a step, evaluation excluded.
    pub ms_per_step: f64,
    /// The loss scale of mixed precision after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScaleState>,
}

/// A finished run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// One an epoch.
    pub epochs: Vec<Epoch>,
    /// Median milliseconds of a step over all epochs but the first, which holds the compilation of the kernels.
    pub ms_per_step: f64,
    /// The epoch whose weights were kept, counted from 1: the last, or the best under early stop. One that an observer
    /// stopped in its middle is not among [`Run::epochs`].
    pub kept_epoch: u64,
    /// False where an observer stopped it.
    pub finished: bool,
    /// Samples a step.
    pub batch_size: usize,
    /// What a step costs.
    pub cost: Cost,
    /// Seconds that it had trained and measured before it was resumed; 0 where it was not.
    pub seconds_before: f64,
}

impl Run {
    /// What the weights that were kept are measured at on the validation set; `None` where their epoch was not finished.
    pub fn measured(&self) -> Option<&Measured> {
        self.epochs.iter().find(|e| e.epoch == self.kept_epoch).map(|e| &e.validation)
    }

    /// The primary metric's value of the weights that were kept; NaN where their epoch was not finished.
    pub fn value(&self) -> f64 {
        self.measured().map_or(f64::NAN, Measured::value)
    }

    /// For a run in mixed precision, what its loss scale came to and cost, in words.
    pub fn loss_scale_note(&self) -> Option<String> {
        let last = self.epochs.last()?;
        let state = last.loss_scale?;
        let (skipped, scale) = (state.skipped_steps, state.scale);
        Some(format!(
            "mixed precision, {skipped} of {} steps skipped for a gradient that was not finite, loss scale {scale} in the end",
            last.step
        ))
    }

    /// What the best epoch is measured at, chosen by looking at it; `None` where every one is NaN.
    pub fn best(&self) -> Option<&Measured> {
        let measured = self.epochs.iter().map(|e| &e.validation).filter(|m| !m.value().is_nan());
        measured.reduce(|best, other| if other.primary.beats(best.value()) { other } else { best })
    }
}

/// An epoch as checkpoints hold it: those of limbeck 0.1 have two accuracies in place of what tasks measure.
#[derive(Deserialize)]
struct EpochRecord {
    epoch: u64,
    step: u64,
    loss: f64,
    training_accuracy: Option<f64>,
    accuracy: Option<f64>,
    training: Option<Measured>,
    validation: Option<Measured>,
    learning_rate: f64,
    ms_per_step: f64,
    #[serde(default)]
    loss_scale: Option<LossScaleState>,
}

impl From<EpochRecord> for Epoch {
    fn from(record: EpochRecord) -> Self {
        let measured = |new: Option<Measured>, old: Option<f64>| {
            let primary = old.map(classify::accuracy).unwrap_or_default();
            new.unwrap_or(Measured { primary, ..Default::default() })
        };
        Self {
            epoch: record.epoch,
            step: record.step,
            loss: record.loss,
            training: measured(record.training, record.training_accuracy),
            validation: measured(record.validation, record.accuracy),
            learning_rate: record.learning_rate,
            ms_per_step: record.ms_per_step,
            loss_scale: record.loss_scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Metric;

    #[test]
    fn the_best_is_one_that_could_be_measured() {
        let epoch = |epoch, value| Epoch {
            epoch,
            validation: Measured { primary: Metric::error("rmse", value), ..Default::default() },
            ..Default::default()
        };
        let run = |values: &[f64]| Run {
            epochs: values.iter().zip(1..).map(|(value, number)| epoch(number, *value)).collect(),
            ..Default::default()
        };
        assert_eq!(run(&[f64::NAN, 0.5, 0.25, 0.75]).best().map(Measured::value), Some(0.25));
        assert!(run(&[f64::NAN]).best().is_none() && run(&[]).best().is_none());
    }
}
