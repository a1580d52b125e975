//! Prediction of numbers: mean squared error.
//!
//! The data has `pixels` (C, H, W), u8 or f32, flat `features`, f32 (F), or `tokens`, and `targets`, f32 (K); the model gives
//! `numbers` (N, K). With e = prediction - target, the loss is the mean of e^2 over numbers and samples; measured are its
//! root and the mean of |e|.

use std::sync::Arc;

use super::images::{ImageConfig, Images, Views};
use super::reads::{Features, Reads, Texts, flat};
use super::{Leaves, Meter, Metric, Need, Rows, Tally, Task, TaskSpec, TaskTerm};
use crate::data::Source;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::models::{Head, ModelConfig, NUMBERS, Outputs, Values};
use crate::nn::Mode;
use crate::tape::{Meta, Tape, Tensor};
use crate::{Error, Result};

/// The list entry.
pub const SPEC: TaskSpec = TaskSpec {
    name: "regress",
    about: "numbers from an image, features or a text: mean squared error",
    offers: &[Need::Numbers, Need::Taps, Need::Weights],
};

/// The field of the numbers to predict, f32 (K).
pub const TARGETS: &str = "targets";
/// The name of this task's loss, and of its term.
pub const MSE: &str = "mse";

/// Prediction of numbers.
#[derive(Debug, Clone)]
pub struct Regress {
    reads: Arc<dyn Reads>,
    numbers: usize,
}

impl Regress {
    /// From images: the fields `pixels` and `targets`. `mean` and `std` (C) are of pixel / 255 for bytes, and of the values
    /// themselves for floats.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without these fields, and for settings that do not fit them.
    pub fn from_images(source: &dyn Source, [mean, std]: [&[f32]; 2], config: ImageConfig) -> Result<Self> {
        let images = Images::new(source, mean, std, config)?;
        Self::of(Arc::new(images), source)
    }

    /// From flat numbers: the fields `features` (F) and `targets` (K).
    ///
    /// # Errors
    /// [`Error::Config`] for a source without these fields.
    pub fn from_features(source: &dyn Source) -> Result<Self> {
        Self::of(Arc::new(Features::of(source)?), source)
    }

    /// From texts of at most `longest` out of `vocabulary` tokens: the fields `tokens` and `targets` (K).
    ///
    /// # Errors
    /// [`Error::Config`] for a source without these fields.
    pub fn from_texts(source: &dyn Source, vocabulary: usize, longest: usize) -> Result<Self> {
        Self::of(Arc::new(Texts::new(source, vocabulary, longest)?), source)
    }

    fn of(reads: Arc<dyn Reads>, source: &dyn Source) -> Result<Self> {
        Ok(Self { reads, numbers: flat(source, TARGETS)? })
    }
}

impl Task for Regress {
    fn spec(&self) -> &'static TaskSpec {
        &SPEC
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: self.reads.input(), head: Head::Numbers(self.numbers) }
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        let found = flat(source, TARGETS)?;
        if found != self.numbers {
            let message = format!("expected {} targets as in the training set, got {found}", self.numbers);
            return Err(Error::config(format!("data set {}", source.name()), message));
        }
        self.reads.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        self.reads.record(leaves, mode)
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        let squared = difference(outputs, leaves)?.square()?;
        let rows = leaves.mask().sum(&[0], false)?;
        let loss = masked_sum(&squared, leaves)?.div(&rows)?.scale(1.0 / self.numbers as f32)?;
        Ok(vec![TaskTerm { name: MSE, loss, weight: 1.0 }])
    }

    fn rows(&self, outputs: &Outputs, _: &Leaves) -> Result<Option<Rows>> {
        Ok(Some(Rows { values: outputs.get(NUMBERS)?.clone(), labels: None, weights: None }))
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        let totals = gpu.buffer("regression totals", Meta::f32([TOTALS]).bytes())?;
        Ok(Box::new(ErrorMeter { totals, numbers: self.numbers }))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.reads.identity()
    }

    fn views(&self) -> Views {
        self.reads.views()
    }
}

/// Prediction minus target, (N, K).
fn difference(outputs: &Outputs, leaves: &Leaves) -> Result<Tensor> {
    outputs.get(NUMBERS)?.sub(leaves.get(TARGETS)?)
}

/// The sum over the batch's samples, without those that only fill it up, of values (N, K).
fn masked_sum(values: &Tensor, leaves: &Leaves) -> Result<Tensor> {
    values.sum(&[1], false)?.mul(leaves.mask())?.sum(&[0], false)
}

/// Sum of losses, batches, samples, sum of squared errors, sum of absolute errors.
const TOTALS: usize = 5;

/// Errors, added up on the device.
struct ErrorMeter {
    totals: Buffer,
    numbers: usize,
}

impl Meter for ErrorMeter {
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()> {
        let totals = tape.external("regression totals", Meta::f32([TOTALS]), self.totals.whole(), false)?;
        let difference = difference(outputs, leaves)?;
        let one = tape.constant([1], &[1.0])?;
        let parts = [
            loss.reshape([1])?,
            one,
            leaves.mask().sum(&[0], false)?.reshape([1])?,
            masked_sum(&difference.square()?, leaves)?.reshape([1])?,
            masked_sum(&difference.abs()?, leaves)?.reshape([1])?,
        ];
        let parts: Vec<&Tensor> = parts.iter().collect();
        totals.add_in_place(&Tensor::concat(&parts, 0)?.detach()?)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("sums.regress".into(), self.totals.whole())]
    }

    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally> {
        let totals: Vec<f32> =
            counts.first().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).unwrap_or_default();
        let &[loss, steps, samples, squared, absolute] = &totals[..TOTALS.min(totals.len())] else {
            return Err(Error::config("counts", format!("expected {TOTALS} totals, got {}", totals.len())));
        };
        let numbers = (f64::from(samples) * self.numbers as f64).max(1.0);
        Ok(Tally {
            loss: loss.into(),
            steps: steps as u64,
            samples: samples as u64,
            primary: Metric::error("rmse", (f64::from(squared) / numbers).sqrt()),
            others: vec![Metric::error("mae", f64::from(absolute) / numbers)],
        })
    }
}
