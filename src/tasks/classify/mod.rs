//! Classification of images and of texts: cross-entropy with labels, top-1 and top-5 accuracy.
//!
//! The data has `pixels`, u8 or f32 (C, H, W), or `tokens`, packed, and `labels`, i32; the model reads `images` or `tokens`
//! and gives `logits` (N, classes).

mod by_class;
mod meter;
mod scores;

pub use by_class::{ByClass, ClassCounts, ClassResult, TakenFor};
pub use meter::accuracy;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::images::{ImageConfig, Images, Views};
use super::reads::{Reads, Texts};
use super::{Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm};
use crate::data::{Dataset, IGNORE_LABEL, LABELS, Source};
use crate::gpu::Gpu;
use crate::models::{Head, ModelConfig, Outputs, Values};
use crate::nn::Mode;
use crate::ops::cross_entropy::CrossEntropy;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: TaskSpec = TaskSpec {
    name: "classify",
    about: "which of some classes an image or a text is of: cross-entropy, top-1 accuracy",
    // Tokens where the data is texts.
    offers: &[
        Need::Logits,
        Need::Numbers,
        Need::Labels,
        Need::Taps,
        Need::Weights,
        Need::Tokens,
        Need::Vectors,
    ],
};

/// The name of this task's loss, and of its term.
pub const CE: &str = "ce";

/// What a classification is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassifyConfig {
    /// Label smoothing of the cross-entropy.
    pub label_smoothing: f32,
    /// How training images are augmented.
    #[serde(flatten)]
    pub images: ImageConfig,
}

/// Classification of images or of texts.
#[derive(Debug, Clone)]
pub struct Classify {
    reads: Arc<dyn Reads>,
    classes: usize,
    config: ClassifyConfig,
}

impl Classify {
    /// For images normalised and classes counted as in `data`.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that make no sense, and those of [`Dataset::check`].
    pub fn new(data: &Dataset, config: ClassifyConfig) -> Result<Self> {
        data.check()?;
        let images = Images::new(data, &data.mean, &data.std, config.images)?;
        Self::reading(Arc::new(images), data.num_classes(), config)
    }

    /// For any source that has `pixels` (C, H, W), u8 or f32, and `labels`. `mean` and `std` (C) are of pixel / 255 for
    /// bytes, and of the values themselves for floats.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without these fields, and for settings that make no sense.
    pub fn of(
        source: &dyn Source,
        classes: usize,
        [mean, std]: [&[f32]; 2],
        config: ClassifyConfig,
    ) -> Result<Self> {
        source.field(LABELS)?;
        let images = Images::new(source, mean, std, config.images)?;
        Self::reading(Arc::new(images), classes, config)
    }

    /// For any source of texts of at most `longest` out of `vocabulary` tokens: the fields `tokens`, packed, and `labels`.
    ///
    /// # Errors
    /// As [`Classify::of`].
    pub fn of_texts(
        source: &dyn Source,
        classes: usize,
        [vocabulary, longest]: [usize; 2],
        config: ClassifyConfig,
    ) -> Result<Self> {
        source.field(LABELS)?;
        let texts = Texts::new(source, vocabulary, longest)?;
        Self::reading(Arc::new(texts), classes, config)
    }

    fn reading(reads: Arc<dyn Reads>, classes: usize, config: ClassifyConfig) -> Result<Self> {
        if !(0.0..1.0).contains(&config.label_smoothing) {
            let message = format!("expected 0 or more and less than 1, got {}", config.label_smoothing);
            return Err(Error::config("label_smoothing", message));
        }
        Ok(Self { reads, classes, config })
    }
}

impl Task for Classify {
    fn spec(&self) -> &'static TaskSpec {
        &SPEC
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: self.reads.input(), head: Head::Classes(self.classes) }
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        source.field(LABELS)?;
        self.reads.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        self.reads.record(leaves, mode)
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        let settings =
            CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: self.config.label_smoothing };
        let loss = outputs.logits()?.cross_entropy(leaves.get(LABELS)?, &settings)?;
        Ok(vec![TaskTerm { name: CE, loss, weight: 1.0 }])
    }

    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Option<Rows>> {
        let labels = Some(leaves.get(LABELS)?.clone());
        Ok(Some(Rows { values: outputs.logits()?.clone(), labels, weights: None }))
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        Ok(Box::new(meter::ClassMeter::new(gpu)?))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let mut all = self.reads.identity();
        all.push(("label_smoothing", serde_json::json!(self.config.label_smoothing).to_string()));
        all
    }

    fn views(&self) -> Views {
        self.reads.views()
    }
}
