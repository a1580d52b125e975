//! What a training run is asked to do.

use serde::{Deserialize, Serialize};

use crate::data::LoaderConfig;
use crate::distill::{Objective, TermSchedule};
use crate::nn::Precision;
use crate::optim::{EmaConfig, OptimizerConfig, Schedule};
use crate::{Error, Result};

/// How to train. The defaults suit a small classifier: SGD with Nesterov momentum and half a cosine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training data.
    pub epochs: u64,
    /// Ends training after this many steps, in the middle of an epoch if need be.
    pub max_steps: Option<u64>,
    /// Samples a step; a last batch that is not full is left out.
    pub batch_size: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Its schedule. A cosine with a total of 0 spans the training.
    pub schedule: Schedule,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Most global gradient norm; no clipping when absent.
    pub max_grad_norm: Option<f32>,
    /// Weight of the task's own loss, such as the cross-entropy with the labels, in a training without a teacher: a
    /// teacher's [`Objective`] has its own.
    pub ce_weight: f32,
    /// How that weight changes over the training.
    pub ce_schedule: TermSchedule,
    /// Averages the weights; the average is what is measured and kept.
    pub ema: Option<EmaConfig>,
    /// Computes blocks again in the backward pass instead of keeping their activations: less memory, more time,
    /// the same bits.
    pub recompute: bool,
    /// How activations and the weights that layers read are stored. Mixed needs an adapter with f16.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Stops after this many epochs without a better value of the task's primary metric on the validation set, and keeps
    /// the best epoch's weights.
    pub patience: Option<u64>,
    /// Keys order, augmentation, dropout and initial values of regressors.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            max_steps: None,
            batch_size: 64,
            learning_rate: OptimizerConfig::default().default_learning_rate(),
            schedule: Schedule::cosine(),
            optimizer: OptimizerConfig::default(),
            max_grad_norm: None,
            ce_weight: 1.0,
            ce_schedule: TermSchedule::default(),
            ema: None,
            recompute: false,
            precision: Precision::F32,
            patience: None,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// These settings with the weight and schedule of the task's own loss as `objective` has them.
    pub(in crate::train) fn with_ce(self, objective: &Objective) -> Self {
        Self { ce_weight: objective.ce_weight, ce_schedule: objective.ce_schedule, ..self }
    }

    /// How a training goes through its samples: shuffled anew for each epoch, in full batches only.
    pub(in crate::train) fn loader(&self) -> LoaderConfig {
        LoaderConfig { batch_size: self.batch_size, seed: self.seed, drop_last: true, ..Default::default() }
    }

    /// Steps of the whole training, at `batches` batches per epoch.
    pub fn steps(&self, batches: usize) -> u64 {
        let all = self.epochs.saturating_mul(batches as u64);
        self.max_steps.map_or(all, |most| most.min(all))
    }

    /// Fails where a number makes no sense, and names it.
    pub fn validate(&self) -> Result<()> {
        let refuse = |name: &str, expected: &str, got: String| {
            Err(Error::config(name, format!("expected {expected}, got {got}")))
        };
        for (name, count) in [("epochs", self.epochs), ("batch_size", self.batch_size as u64)] {
            if count == 0 {
                return refuse(name, "at least 1", "0".into());
            }
        }
        // The step counter of the kernels has 32 bits.
        if self.max_steps.is_some_and(|n| n == 0 || n > u64::from(u32::MAX)) {
            return refuse("max_steps", "1 to 4294967295", format!("{:?}", self.max_steps.unwrap_or(0)));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate >= 0.0) {
            return refuse("learning_rate", "a number from 0", self.learning_rate.to_string());
        }
        if !(self.ce_weight.is_finite() && self.ce_weight >= 0.0) {
            return refuse("ce_weight", "a number from 0", self.ce_weight.to_string());
        }
        if self.patience == Some(0) {
            return refuse("patience", "at least 1 epoch", "0".into());
        }
        self.optimizer.validate()?;
        self.ema.map_or(Ok(()), |ema| ema.validate())
    }
}
