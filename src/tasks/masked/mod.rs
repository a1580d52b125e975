//! Masked language modelling (Devlin et al. 1810.04805): which words are hidden in a text.
//!
//! The data has `tokens`, packed, in which words are hidden, and `masked`, packed, which has them
//! ([`MaskedTexts`](crate::data::text::MaskedTexts)); the model reads the places of those R that are chosen as well, and gives their
//! `logits` (R, V). R is the same for all batches: there are fillers, which count for nothing. The loss is the cross-entropy, its mean
//! over the chosen tokens of a batch; measured is the perplexity, e to the power of its mean over all chosen tokens of the data.

mod meter;

use std::sync::Arc;

use super::classify::CE;
use super::reads::{Reads, Texts};
use super::{Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm, Views};
use crate::Result;
use crate::data::Source;
pub use crate::data::text::MASKED;
use crate::data::text::Masking;
use crate::gpu::Gpu;
use crate::models::{CHOSEN, Head, ModelConfig, Outputs, TOKENS, Values};
use crate::nn::Mode;
use crate::ops::cross_entropy::CrossEntropy;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: TaskSpec = TaskSpec {
    name: "mlm",
    about: "which words are hidden in a text: cross-entropy, perplexity",
    offers: &[Need::Logits, Need::Numbers, Need::Labels, Need::Taps, Need::Weights, Need::Tokens],
};

/// Masked language modelling.
#[derive(Debug, Clone)]
pub struct MaskedWords {
    reads: Arc<dyn Reads>,
    vocabulary: usize,
    share: f64,
}

impl MaskedWords {
    /// For texts of at most `longest` out of `vocabulary` tokens, of which `share` are chosen.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a source without texts in which words are hidden.
    pub fn new(source: &dyn Source, [vocabulary, longest]: [usize; 2], share: f64) -> Result<Self> {
        source.field(MASKED)?;
        Ok(Self { reads: Arc::new(Texts::new(source, vocabulary, longest)?), vocabulary, share })
    }

    /// 1 for each row that has a token and 0 for fillers, f32 (R).
    fn counted(&self, labels: &Tensor) -> Result<Tensor> {
        let ones = labels.tape().constant([self.vocabulary, 1], &vec![1.0; self.vocabulary])?;
        ones.embedding(labels)?.reshape([labels.dims()[0]])
    }
}

impl Task for MaskedWords {
    fn spec(&self) -> &'static TaskSpec {
        &SPEC
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: self.reads.input(), head: Head::Tokens(self.vocabulary) }
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        source.field(MASKED)?;
        self.reads.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        let tokens = leaves.get(TOKENS)?.shape().len();
        let rows = Masking::most_chosen(self.share, tokens, leaves.batch_size());
        let [places, labels] = leaves.get(MASKED)?.chosen_tokens(rows)?;
        leaves.show(MASKED, labels);
        Ok(self.reads.record(leaves, mode)?.with(CHOSEN, places))
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        let logits = outputs.logits()?;
        let loss = logits.cross_entropy(leaves.get(MASKED)?, &CrossEntropy::default())?;
        leaves.note(logits, CE, std::slice::from_ref(&loss));
        Ok(vec![TaskTerm { name: CE, loss, weight: 1.0 }])
    }

    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Option<Rows>> {
        let labels = leaves.get(MASKED)?;
        let weights = Some(self.counted(labels)?);
        Ok(Some(Rows { values: outputs.logits()?.clone(), labels: Some(labels.clone()), weights }))
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        Ok(Box::new(meter::WordMeter::new(gpu, self.clone())?))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let mut all = self.reads.identity();
        all.push(("mask_share", self.share.to_string()));
        all
    }

    fn views(&self) -> Views {
        self.reads.views()
    }
}
