//! A network's accuracy and logits on a data set.

use super::batch::{Inputs, views};
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Forward};
use crate::tape::{Plan, Step, Tape, Tensor};

/// A compiled evaluation of one network: running statistics, no augmentation.
pub struct Evaluator {
    plan: Plan,
    inputs: Inputs,
    logits: Tensor,
}

impl Evaluator {
    /// Records and compiles it for batches of `batch_size` from sets normalised and shaped as `dataset`.
    pub fn new(
        gpu: &Gpu,
        network: &Network,
        params: &DeviceParams,
        batch_size: usize,
        dataset: &Dataset,
    ) -> Result<Self> {
        let tape = Tape::new();
        let inputs = Inputs::new(&tape, batch_size, &views(dataset, 0, false))?;
        let logits = network.forward(&Forward::eval(&tape, params), &inputs.images)?;
        // Labels are no part of the plan, but keeping them as an output gives them a buffer to write to.
        let plan = Plan::new(gpu, &tape, &[&logits, &inputs.labels])?;
        Ok(Self { plan, inputs, logits })
    }

    /// Share of the samples whose largest logit is their label. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn top1_accuracy(&self, batches: impl Iterator<Item = Batch>) -> Result<f64> {
        self.plan.gpu().block_on(self.top1_accuracy_async(batches))
    }

    /// [`Evaluator::top1_accuracy`] for callers that may not block.
    pub async fn top1_accuracy_async(&self, batches: impl Iterator<Item = Batch>) -> Result<f64> {
        let (mut correct, mut counted) = (0usize, 0usize);
        for batch in batches {
            let logits = self.logits_async(&batch).await?;
            let classes = self.logits.dims()[1];
            for (row, label) in logits.chunks(classes).zip(&batch.labels).take(batch.len) {
                correct += largest(row).is_some_and(|best| best as i32 == *label) as usize;
                counted += 1;
            }
        }
        Ok(correct as f64 / counted.max(1) as f64)
    }

    /// The logits (N, classes) of one batch. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>> {
        self.plan.gpu().block_on(self.logits_async(batch))
    }

    /// [`Evaluator::logits`] for callers that may not block.
    pub async fn logits_async(&self, batch: &Batch) -> Result<Vec<f32>> {
        self.inputs.write(&self.plan, batch)?;
        self.plan.run(&Step::new(0, 0))?;
        self.plan.read_f32_async(&self.logits).await
    }

    /// The compiled plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Place of the largest value, the first of equals; `None` where one is NaN, which is no answer.
pub(in crate::train) fn largest(row: &[f32]) -> Option<usize> {
    let best = (0..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    row.iter().all(|v| !v.is_nan()).then_some(best)
}
