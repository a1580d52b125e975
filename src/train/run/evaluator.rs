//! How well a network does on a data set, counted on the device, and what it gives for a batch.

use std::sync::Arc;

use crate::data::{Batch, Loader, LoaderConfig, Source};
use crate::gpu::Gpu;
use crate::models::{InputSpec, Network, Outputs};
use crate::nn::DeviceParams;
use crate::tape::{Plan, Scalar, Step, Tensor};
use crate::tasks::{Leaves, Measured, Meter, Task};
use crate::train::step::counts::{reset, tally};
use crate::train::step::record::{BatchRecording, Pass};
use crate::{Error, Result};

/// A compiled evaluation of one network: running statistics, no augmentation. Batches are counted on the device, one after
/// the other; nothing is read before the end but what the task's [`Meter`] asks for.
pub struct Evaluator {
    plan: Plan,
    leaves: Leaves,
    outputs: Outputs,
    meter: Box<dyn Meter>,
    /// The share of a batch that is real, which its mean loss counts for.
    share: Scalar,
    batch_size: usize,
}

/// Input values of a batch that [`Evaluator::of_all`] takes at most, where `least` is less: activations of 64 times as many
/// channels are 64 MiB then.
const BATCH_VALUES: usize = 1 << 18;

/// A multiple of `least`, as large as is of use for so many samples.
fn batch_size_for(input: InputSpec, least: usize, samples: usize) -> usize {
    let least = least.max(1);
    // Words of a batch are compared with each other: more of them is another measure. Texts are many values each.
    if let InputSpec::Words(_) | InputSpec::Tokens { .. } = input {
        return least;
    }
    let most = samples.div_ceil(least).max(1);
    least * (BATCH_VALUES / input.len().max(1) / least).clamp(1, most)
}

impl Evaluator {
    /// Records and compiles it for batches of `batch_size` from sources with the fields of `source`. Blocks.
    ///
    /// # Errors
    /// Those of [`Task::check`], and of compiling.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        gpu: &Gpu,
        task: &dyn Task,
        network: &Network,
        params: &DeviceParams,
        batch_size: usize,
        source: &dyn Source,
    ) -> Result<Self> {
        gpu.block_on(Self::new_async(gpu, task, network, params, batch_size, source))
    }

    /// [`Evaluator::new`] for callers that may not block.
    ///
    /// # Errors
    /// As [`Evaluator::new`].
    pub async fn new_async(
        gpu: &Gpu,
        task: &dyn Task,
        network: &Network,
        params: &DeviceParams,
        batch_size: usize,
        source: &dyn Source,
    ) -> Result<Self> {
        let recording =
            BatchRecording::new(task, source, batch_size, Pass::eval(network, params))?.with_loss(task)?;
        let meter = task.meter(gpu)?;
        let share = recording.tape().scalar("share of the batch")?;
        let loss = recording.task_loss()?.scale_by(share)?;
        meter.record(recording.tape(), &recording.outputs, &recording.leaves, &loss)?;
        let mut kept: Vec<&Tensor> = recording.outputs.iter().map(|(_, output)| output).collect();
        kept.extend(meter.reads(&recording.outputs));
        let plan = Plan::compile(gpu, recording.tape(), &kept).await?;
        let (leaves, outputs) = (recording.leaves, recording.outputs);
        Ok(Self { plan, leaves, outputs, meter, share, batch_size })
    }

    /// [`Evaluator::new_async`] for measuring all of `source`: by batches of `least` samples, such as those of a training that
    /// has to fit as well, or of several times as many, which keep a device busy where the network is small.
    ///
    /// # Errors
    /// As [`Evaluator::new`].
    pub async fn of_all(
        gpu: &Gpu,
        task: &dyn Task,
        network: &Network,
        params: &DeviceParams,
        least: usize,
        source: &dyn Source,
    ) -> Result<Self> {
        let most = batch_size_for(network.input(), least, source.len());
        match Self::new_async(gpu, task, network, params, most, source).await {
            // A network of more channels than that is meant for.
            Err(Error::Limit { .. }) if most > least => {
                Self::new_async(gpu, task, network, params, least, source).await
            }
            made => made,
        }
    }

    /// Samples in order, in batches of its size.
    ///
    /// # Errors
    /// Those of [`Loader::new`].
    pub fn loader<S: Source + ?Sized + 'static>(&self, source: &Arc<S>) -> Result<Loader> {
        Loader::new(Arc::new(source.clone()), LoaderConfig::in_order(self.batch_size))
    }

    /// Measures the network on these batches. Blocks.
    ///
    /// # Errors
    /// Those of making batches, and of the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn measure(&mut self, batches: impl Iterator<Item = Result<Batch>>) -> Result<Measured> {
        let gpu = self.plan.gpu().clone();
        gpu.block_on(self.measure_async(batches))
    }

    /// [`Evaluator::measure`] for callers that may not block.
    ///
    /// # Errors
    /// As [`Evaluator::measure`].
    pub async fn measure_async(&mut self, batches: impl Iterator<Item = Result<Batch>>) -> Result<Measured> {
        let gpu = self.plan.gpu().clone();
        reset(&gpu, self.meter.as_ref())?;
        self.meter.begin();
        let mut step = Step::new(0, 0);
        let (mut size, mut samples) = (1, 0);
        for batch in batches {
            let batch = batch?;
            self.leaves.write(&self.plan, &batch)?;
            size = batch.size();
            samples += batch.len;
            step.set(self.share, batch.len as f32 / size as f32);
            self.plan.run(&step)?;
            let mut read = Vec::new();
            for output in self.meter.reads(&self.outputs) {
                read.push(self.plan.read_f32_async(output).await?);
            }
            if !read.is_empty() {
                self.meter.gather(&batch, &self.outputs, &read)?;
            }
            gpu.throttle_async(STEPS_AHEAD).await?;
        }
        let tally = tally(&gpu, self.meter.as_ref()).await?;
        let loss = tally.loss * size as f64 / samples.max(1) as f64;
        Ok(Measured { loss: Some(loss), primary: tally.primary, others: tally.others })
    }

    /// What the network gives for one batch: its only output, (N, ..). Blocks.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a network of several outputs, and those of the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn outputs(&self, batch: &Batch) -> Result<Vec<f32>> {
        self.plan.gpu().block_on(self.outputs_async(batch))
    }

    /// [`Evaluator::outputs`] for callers that may not block.
    ///
    /// # Errors
    /// As [`Evaluator::outputs`].
    pub async fn outputs_async(&self, batch: &Batch) -> Result<Vec<f32>> {
        let only = self.outputs.only()?;
        self.pass(batch)?;
        self.plan.read_f32_async(only).await
    }

    /// The values of all of the network's outputs for one batch, in the order of [`Evaluator::network_outputs`]. Blocks.
    ///
    /// # Errors
    /// Those of the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        self.plan.gpu().block_on(self.run_async(batch))
    }

    /// [`Evaluator::run`] for callers that may not block.
    ///
    /// # Errors
    /// As [`Evaluator::run`].
    pub async fn run_async(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        self.pass(batch)?;
        let mut all = Vec::new();
        for (_, output) in self.outputs.iter() {
            all.push(self.plan.read_f32_async(output).await?);
        }
        Ok(all)
    }

    /// Runs the network on one batch.
    fn pass(&self, batch: &Batch) -> Result<()> {
        self.leaves.write(&self.plan, batch)?;
        self.plan.run(&Step::new(0, 0))
    }

    /// What the network gives for a batch, by name.
    pub fn network_outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The compiled plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Batches that the CPU may be ahead of the GPU.
const STEPS_AHEAD: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_large_where_samples_are_small_and_many() {
        let image = |c, side| InputSpec::Image([c, side, side]);
        assert_eq!(batch_size_for(image(1, 28), 64, 10_000), 320);
        assert_eq!(batch_size_for(image(3, 32), 16, 10_000), 80);
        // As many as there are, in whole batches.
        assert_eq!(batch_size_for(image(1, 8), 64, 360), 384);
        // Never less than what is given.
        assert_eq!(batch_size_for(image(3, 224), 64, 10_000), 64);
        assert_eq!(batch_size_for(InputSpec::Features(32), 7, 0), 7);
        assert_eq!(batch_size_for(InputSpec::Words(32), 7, 10_000), 7);
    }
}
