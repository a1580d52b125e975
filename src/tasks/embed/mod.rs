//! Vectors of sentences: texts of like meaning get like vectors.
//!
//! The data has `tokens`, packed; the model gives `numbers` (N, D), a vector for each text. There is no loss of the task's
//! own: a student learns from a teacher's vectors. What is measured are pairs of texts that people scored: samples 2 i and
//! 2 i + 1 are a pair, and both have its `score`, f32. Spearman's and Pearson's correlation of cosines and scores are over
//! the whole set, in its order.

mod meter;

use std::sync::Arc;

use super::reads::{Reads, Texts};
use super::{Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm, Views};
use crate::data::Source;
pub use crate::data::text::SCORE;
use crate::gpu::Gpu;
use crate::models::{Head, ModelConfig, Outputs, Values};
use crate::nn::Mode;
use crate::{Error, Result};
pub use meter::ALIKE;

/// The list entry.
pub const SPEC: TaskSpec = TaskSpec {
    name: "embed",
    about: "vectors of sentences, alike where their meanings are: correlation of cosines with scores of pairs",
    offers: &[Need::Taps, Need::Weights, Need::Tokens, Need::Vectors],
};

/// Vectors of sentences.
#[derive(Debug, Clone)]
pub struct Embed {
    reads: Arc<dyn Reads>,
    width: usize,
}

impl Embed {
    /// Vectors of `width` numbers, of texts of at most `longest` out of `vocabulary` tokens.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without texts, and for a width of 0.
    pub fn new(source: &dyn Source, [vocabulary, longest]: [usize; 2], width: usize) -> Result<Self> {
        if width == 0 {
            return Err(Error::config("width", "expected at least 1 number a vector"));
        }
        Ok(Self { reads: Arc::new(Texts::new(source, vocabulary, longest)?), width })
    }
}

impl Task for Embed {
    fn spec(&self) -> &'static TaskSpec {
        &SPEC
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: self.reads.input(), head: Head::Numbers(self.width) }
    }

    /// A teacher's vectors may be wider than the student's: pairs are compared in each space for itself.
    fn takes(&self, head: Head) -> bool {
        matches!(head, Head::Numbers(_))
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        self.reads.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        self.reads.record(leaves, mode)
    }

    fn loss(&self, _: &Outputs, _: &Leaves) -> Result<Vec<TaskTerm>> {
        Ok(Vec::new())
    }

    /// Vectors of spaces of different widths have nothing in common, one by one.
    fn rows(&self, _: &Outputs, _: &Leaves) -> Result<Option<Rows>> {
        Ok(None)
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        Ok(Box::new(meter::PairMeter::new(gpu)?))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.reads.identity()
    }

    fn views(&self) -> Views {
        self.reads.views()
    }
}
