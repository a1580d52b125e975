//! The loss scale of mixed precision, kept on the device: small gradients would be zero as f16, and large ones infinite.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::ops::loss_scale::UpdateLossScale;
use crate::tape::{Meta, Tape, Tensor};

/// How the loss scale moves. The defaults are those of torch.amp.GradScaler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScaleConfig {
    /// The first scale.
    pub initial: f32,
    /// How it changes.
    pub rule: UpdateLossScale,
}

impl Default for LossScaleConfig {
    fn default() -> Self {
        Self { initial: 65536.0, rule: UpdateLossScale::default() }
    }
}

/// A loss scale on a device.
#[derive(Debug)]
pub struct LossScale {
    gpu: Gpu,
    config: LossScaleConfig,
    scale: Buffer,
    counts: Buffer,
}

/// What a loss scale has come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScaleState {
    /// The scale of the next step.
    pub scale: f64,
    /// Steps without an overflow since it last changed.
    pub good_steps: u64,
    /// Steps that changed no weight because a gradient was not finite.
    pub skipped_steps: u64,
}

impl std::fmt::Display for LossScaleState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss scale {}  {} steps skipped", self.scale, self.skipped_steps)
    }
}

impl LossScale {
    /// A loss scale at its first value.
    pub fn new(gpu: &Gpu, config: LossScaleConfig) -> Result<Self> {
        let scale = gpu.buffer("loss scale", Meta::f32([1]).bytes())?;
        let counts = gpu.buffer("loss scale counts", Meta::i32([2]).bytes())?;
        gpu.write(&scale.whole(), &[config.initial])?;
        Ok(Self { gpu: gpu.clone(), config, scale, counts })
    }

    /// The scale (1) on a tape: what [`Tensor::backward_scaled`] and [`Tensor::unscale_in_place`] take.
    pub fn scale(&self, tape: &Tape) -> Result<Tensor> {
        tape.external("loss scale", Meta::f32([1]), self.scale.whole(), false)
    }

    /// Records the choice of the next scale from the norms of this step's unscaled gradients: `grad_norm` of each
    /// [`super::OptimizerUpdate`] of the step, one or two.
    pub fn update(&self, tape: &Tape, scale: &Tensor, norms: &[&Tensor]) -> Result<()> {
        let counts = tape.external("loss scale counts", Meta::i32([2]), self.counts.whole(), false)?;
        let inputs: Vec<&Tensor> = [scale, &counts].into_iter().chain(norms.iter().copied()).collect();
        tape.record(self.config.rule, &inputs).map(drop)
    }

    /// Its state after all that was submitted.
    pub async fn read(&self) -> Result<LossScaleState> {
        let (scale, counts) = (self.gpu.read(&self.scale.whole())?, self.gpu.read(&self.counts.whole())?);
        let scale: Vec<f32> = bytemuck::pod_collect_to_vec(&scale.await?);
        let counts: Vec<u32> = bytemuck::pod_collect_to_vec(&counts.await?);
        let [good_steps, skipped_steps] = [0, 1].map(|i| u64::from(counts[i]));
        Ok(LossScaleState { scale: f64::from(scale[0]), good_steps, skipped_steps })
    }

    /// All of it, by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        vec![
            ("loss scale.scale".into(), self.scale.whole()),
            ("loss scale.counts".into(), self.counts.whole()),
        ]
    }
}
