//! The optimizer: its state in GPU buffers, and its step on a tape.

use super::config::OptimizerConfig;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::nn::DeviceParams;
use crate::ops::adam::Adam;
use crate::ops::sgd::Sgd;
use crate::ops::update::UpdateSettings;
use crate::tape::{Meta, Scalar, Step, Tape, Tensor};
use crate::{Error, Result};

/// Flat tensors that are updated together. All parameters are in one group where one binding holds them.
#[derive(Debug, Clone)]
pub struct Group {
    /// The weights, in a caller's buffer.
    pub weights: Tensor,
    /// Their gradients, laid out alike.
    pub gradients: Tensor,
    /// Factor of the weight decay for each [`BLOCK`](crate::ops::update::BLOCK) weights: 1, or 0 for
    /// parameters that are not to decay.
    pub decay_mask: Tensor,
    /// For each [`BLOCK`](crate::ops::update::BLOCK) weights how many of them, from the first, are
    /// parameters, i32: what lies between two parameters is no part of the gradient's norm and changes nothing.
    pub extents: Tensor,
}

/// An optimizer and its state, one buffer for each group and kind.
#[derive(Debug)]
pub struct Optimizer {
    name: String,
    config: OptimizerConfig,
    groups: Vec<GroupState>,
}

#[derive(Debug)]
struct GroupState {
    elements: usize,
    buffers: Vec<Buffer>,
}

/// An optimizer step that is on a tape.
#[derive(Debug, Clone)]
pub struct OptimizerUpdate {
    /// `[norm, flag]` of all gradients before clipping. The flag is 1 where the norm is not finite: the step then
    /// changes no weight and no state.
    pub grad_norm: Tensor,
    learning_rate: Scalar,
    adam: Option<AdamScalars>,
}

#[derive(Debug, Clone, Copy)]
struct AdamScalars {
    betas: [f64; 2],
    corrections: [Scalar; 2],
}

impl Group {
    /// All of a network's parameters, which must have been uploaded as trainable.
    pub fn of(params: &DeviceParams, tape: &Tape) -> Result<Self> {
        Ok(Self {
            weights: params.flat_weights(tape)?,
            gradients: params.flat_gradients(tape)?,
            decay_mask: params.decay_mask(tape)?,
            extents: params.extents(tape)?,
        })
    }
}

impl Optimizer {
    /// An optimizer for groups of these lengths (`elements`), with zeroed state. `name` starts the names of its state and of its
    /// step scalars; two optimizers of one tape need two names.
    pub fn new(gpu: &Gpu, name: &str, config: OptimizerConfig, elements: &[usize]) -> Result<Self> {
        config.validate()?;
        let state = |&elements: &usize| {
            let buffer = |kind: &&str| gpu.buffer(&format!("{name}.{kind}"), Meta::f32([elements]).bytes());
            let buffers = config.states().iter().map(buffer).collect::<Result<_>>()?;
            Ok(GroupState { elements, buffers })
        };
        let groups = elements.iter().map(state).collect::<Result<_>>()?;
        Ok(Self { name: name.into(), config, groups })
    }

    /// Records gradient norm and update. Record it after all that reads the old weights.
    ///
    /// With `max_grad_norm`, gradients are scaled by min(1, max_grad_norm / (norm + 1e-6)).
    pub fn record(
        &self,
        tape: &Tape,
        groups: &[Group],
        max_grad_norm: Option<f32>,
    ) -> Result<OptimizerUpdate> {
        self.check(groups, max_grad_norm)?;
        let scalar = |suffix: &str| tape.scalar(&format!("{}.{suffix}", self.name));
        let adam = match self.config {
            OptimizerConfig::Sgd { .. } => None,
            OptimizerConfig::Adam { betas, .. } | OptimizerConfig::AdamW { betas, .. } => {
                let corrections = [scalar("bias_correction_1")?, scalar("bias_correction_2")?];
                Some(AdamScalars { betas, corrections })
            }
        };
        let learning_rate = scalar("learning_rate")?;
        let settings = UpdateSettings {
            learning_rate,
            weight_decay: self.config.weight_decay(),
            max_grad_norm: max_grad_norm.map(f64::from),
        };
        tape.scope(&self.name, || {
            let gradients: Vec<_> = groups.iter().map(|g| (&g.gradients, &g.extents)).collect();
            let grad_norm = Tensor::grad_norm(&gradients)?;
            for (group, state) in groups.iter().zip(&self.groups) {
                self.record_group(tape, group, state, &grad_norm, settings, adam)?;
            }
            Ok(OptimizerUpdate { grad_norm, learning_rate, adam })
        })
    }

    fn check(&self, groups: &[Group], max_grad_norm: Option<f32>) -> Result<()> {
        let expected: Vec<usize> = self.groups.iter().map(|g| g.elements).collect();
        let got: Vec<usize> = groups.iter().map(|g| g.weights.meta().len()).collect();
        if expected != got {
            let expected = format!("weights of {expected:?} elements, as the optimizer was made for");
            return Err(Error::shape(&self.name, expected, format!("{got:?}")));
        }
        match max_grad_norm {
            Some(most) if !(most.is_finite() && most > 0.0) => {
                Err(Error::config("max_grad_norm", format!("must be more than zero, got {most}")))
            }
            _ => Ok(()),
        }
    }

    fn record_group(
        &self,
        tape: &Tape,
        group: &Group,
        state: &GroupState,
        grad_norm: &Tensor,
        settings: UpdateSettings,
        adam: Option<AdamScalars>,
    ) -> Result<()> {
        let states = state
            .buffers
            .iter()
            .map(|b| tape.external(b.label(), group.weights.meta().clone(), b.whole(), false))
            .collect::<Result<Vec<_>>>()?;
        let mut inputs = vec![&group.weights, &group.gradients, grad_norm, &group.decay_mask, &group.extents];
        inputs.extend(&states);
        match (self.config, adam) {
            (OptimizerConfig::Sgd { momentum, nesterov, .. }, _) => {
                tape.record(Sgd { settings, momentum, nesterov }, &inputs)?;
            }
            (
                OptimizerConfig::Adam { betas, eps, .. } | OptimizerConfig::AdamW { betas, eps, .. },
                Some(AdamScalars { corrections, .. }),
            ) => {
                let decoupled = matches!(self.config, OptimizerConfig::AdamW { .. });
                tape.record(Adam { settings, corrections, betas, eps, decoupled }, &inputs)?;
            }
            // `record` makes the scalars of every Adam.
            (_, None) => {}
        }
        Ok(())
    }

    /// Its settings.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// All state, by name (`optimizer.velocity.0`), for checkpoints. Empty for SGD without momentum.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        let mut all = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            for (kind, buffer) in self.config.states().iter().zip(&group.buffers) {
                let len = group.elements as u64 * 4;
                all.push((format!("{}.{kind}.{index}", self.name), BufferSlice { len, ..buffer.whole() }));
            }
        }
        all
    }
}

impl OptimizerUpdate {
    /// Sets the learning rate and what depends on the number of updates. `update_index` counts from 0.
    pub fn set_step(&self, step: &mut Step, learning_rate: f64, update_index: u64) {
        step.set(self.learning_rate, learning_rate as f32);
        if let Some(adam) = self.adam {
            for (scalar, beta) in adam.corrections.into_iter().zip(adam.betas) {
                step.set(scalar, (1.0 - beta.powf(update_index as f64 + 1.0)) as f32);
            }
        }
    }
}
