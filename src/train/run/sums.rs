//! Sums over the steps of an epoch, kept on the GPU: a step reads nothing back.

use crate::Result;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::ops::metrics::COUNTS;
use crate::tape::{Meta, Tape, Tensor};

/// What an epoch's steps added up to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// Sum of the steps' losses.
    pub loss: f64,
    /// Steps.
    pub steps: u64,
    /// Samples that count.
    pub samples: u64,
    /// Samples whose largest logit is their label.
    pub correct: u64,
}

impl Sums {
    /// Mean loss of a step; 0 before the first.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.steps.max(1) as f64
    }

    /// Share of samples that are right; 0 before the first.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }
}

/// Their memory on the device.
pub(super) struct SumBuffers {
    gpu: Gpu,
    loss: Buffer,
    counts: Buffer,
}

impl SumBuffers {
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let loss = gpu.buffer("loss sum", Meta::f32([1]).bytes())?;
        let counts = gpu.buffer("counts", Meta::i32([COUNTS.len()]).bytes())?;
        Ok(Self { gpu: gpu.clone(), loss, counts })
    }

    /// Adds a step's loss (1) and right predictions.
    pub fn record(&self, tape: &Tape, logits: &Tensor, labels: &Tensor, loss: &Tensor) -> Result<()> {
        let sum = tape.external("loss sum", Meta::f32([1]), self.loss.whole(), false)?;
        let counts = tape.external("counts", Meta::i32([COUNTS.len()]), self.counts.whole(), false)?;
        logits.accumulate_metrics(labels, loss, &sum, &counts)
    }

    pub async fn read(&self) -> Result<Sums> {
        let (loss, counts) = (self.gpu.read(&self.loss.whole())?, self.gpu.read(&self.counts.whole())?);
        let loss: Vec<f32> = bytemuck::pod_collect_to_vec(&loss.await?);
        let counts: Vec<u32> = bytemuck::pod_collect_to_vec(&counts.await?);
        let [steps, samples, correct] = [0, 1, 2].map(|i| u64::from(counts[i]));
        Ok(Sums { loss: f64::from(loss[0]), steps, samples, correct })
    }

    pub fn reset(&self) -> Result<()> {
        self.gpu.write(&self.loss.whole(), &[0.0f32])?;
        self.gpu.write(&self.counts.whole(), &[0u32; COUNTS.len()])
    }

    /// By name, for checkpoints.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        vec![("sums.loss".into(), self.loss.whole()), ("sums.counts".into(), self.counts.whole())]
    }
}
