//! Perplexity, and how many words are told, counted on the device.

use super::{CE, MASKED, MaskedWords};
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::models::Outputs;
use crate::ops::metrics::COUNTS;
use crate::tape::{Meta, Tape, Tensor};
use crate::tasks::{Leaves, Meter, Metric, Tally, Task};
use crate::{Error, Result};

/// Sum of losses, samples.
const TOTALS: usize = 2;

pub(super) struct WordMeter {
    task: MaskedWords,
    totals: Buffer,
    /// Sum of the cross-entropies of all words.
    entropy: Buffer,
    counts: Buffer,
}

impl WordMeter {
    pub fn new(gpu: &Gpu, task: MaskedWords) -> Result<Self> {
        Ok(Self {
            task,
            totals: gpu.buffer("batch totals", Meta::f32([TOTALS]).bytes())?,
            entropy: gpu.buffer("entropy of words", Meta::f32([1]).bytes())?,
            counts: gpu.buffer("counts of words", Meta::i32([COUNTS.len()]).bytes())?,
        })
    }

    /// The mean over a batch's words, which the loss has recorded as a rule.
    fn mean(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Tensor> {
        let noted = leaves.noted(outputs.logits()?, CE).and_then(|noted| noted.into_iter().next());
        let record = || Ok(self.task.loss(outputs, leaves)?.swap_remove(0).loss);
        noted.map_or_else(record, Ok)
    }
}

impl Meter for WordMeter {
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()> {
        let totals = tape.external("batch totals", Meta::f32([TOTALS]), self.totals.whole(), false)?;
        let samples = leaves.mask().sum(&[0], false)?.reshape([1])?;
        totals.add_in_place(&Tensor::concat(&[&loss.reshape([1])?, &samples], 0)?.detach()?)?;
        let entropy = tape.external("entropy of words", Meta::f32([1]), self.entropy.whole(), false)?;
        let counts =
            tape.external("counts of words", Meta::i32([COUNTS.len()]), self.counts.whole(), false)?;
        let labels = leaves.get(MASKED)?;
        let words = self.task.counted(labels)?.sum(&[0], false)?.reshape([1])?;
        let sum = self.mean(outputs, leaves)?.reshape([1])?.mul(&words)?.detach()?;
        outputs.logits()?.accumulate_metrics(labels, &sum, &entropy, &counts)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        let all = [("totals", &self.totals), ("entropy", &self.entropy), ("counts", &self.counts)];
        all.into_iter().map(|(name, buffer)| (format!("sums.mlm.{name}"), buffer.whole())).collect()
    }

    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally> {
        let [totals, entropy, counts] = counts else {
            return Err(Error::config("counts", "expected totals, the entropy and the counts of words"));
        };
        let floats = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, f32>(bytes);
        let at = |values: &[f32], i: usize| values.get(i).map_or(f64::NAN, |value| f64::from(*value));
        let (totals, entropy) = (floats(totals), floats(entropy));
        let counts: Vec<u32> = bytemuck::pod_collect_to_vec(counts);
        let count = |i: usize| u64::from(counts.get(i).copied().unwrap_or(0));
        let [steps, words, right, among5] = [0, 1, 2, 3].map(count);
        let share = |right: u64| right as f64 / words.max(1) as f64;
        Ok(Tally {
            loss: at(&totals, 0),
            steps,
            samples: at(&totals, 1) as u64,
            primary: Metric::error("perplexity", (at(&entropy, 0) / words.max(1) as f64).exp()),
            others: vec![
                Metric::share("masked_accuracy", share(right)),
                Metric::share("masked_top5_accuracy", share(among5)),
            ],
        })
    }
}
