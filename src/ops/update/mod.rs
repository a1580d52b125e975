//! What the optimizer ops share: flat operands, clipping by the global gradient norm, masked weight decay.
//!
//! Inputs of every update: `w` and `dw` of one shape, `norm` from [`grad_norm`] (`[2]`), `decay_mask`
//! (one weight-decay factor for each [`BLOCK`] elements), `extents` (i32, one for each [`BLOCK`]: how many of its elements,
//! from the first, are parameters), then the op's state tensors, shaped as `w`. `w` and the states are overwritten. Where the norm is
//! flagged as not finite, nothing is.
//!
//! A gradient between two parameters may be anything, NaN included, since kernels write whole vec4. It counts as 0, so
//! that weights and states there keep the zeros that they start with.
//!
//! A block of which nothing counts is left alone: its gradient is not read, nothing decays, weights and states keep their
//! bits. So a table of 30,522 words of which a text has 3,000 costs an update of 3,000
//! (`DeviceParams::trainable_in`). A rule of its own for the words of one batch, whose moments
//! then stand still while others are trained (torch.optim.SparseAdam), is not needed for that, and would be another optimizer
//! than the one that was asked for.

pub mod adam;
pub mod grad_norm;
pub mod l2_sp;
pub mod lerp;
pub mod loss_scale;
pub mod sgd;

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::tape::{Array, Meta, Scalar, Slot, Step};
use crate::{Error, Result};

/// Elements of a flat buffer that share one entry of the decay mask and one of the extents. A parameter starts at a multiple
/// of it. Kernels get it as `BLOCK`.
pub const BLOCK: usize = 64;

/// Inputs before the states.
const STATES: usize = 5;

/// Settings that every optimizer op has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateSettings {
    /// The learning rate.
    pub learning_rate: Scalar,
    /// Weight decay, before the mask.
    pub weight_decay: f64,
    /// Gradients are scaled by min(1, max_grad_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does.
    pub max_grad_norm: Option<f64>,
}

impl UpdateSettings {
    /// Shape rule of an update with `states` state tensors: no output.
    pub(in crate::ops) fn infer(&self, op: &str, inputs: &[Meta], states: usize) -> Result<Vec<Meta>> {
        expect_inputs(op, inputs, STATES + states)?;
        let w = &inputs[0].shape;
        let blocks = w.len().div_ceil(BLOCK);
        if inputs[4] != Meta::i32([blocks]) {
            let expected = format!("extents {} for weights {w}", Meta::i32([blocks]));
            return Err(Error::shape(op, expected, inputs[4].to_string()));
        }
        expect_f32(op, &inputs[..4])?;
        expect_f32(op, &inputs[STATES..])?;
        for like_w in inputs[1..2].iter().chain(&inputs[STATES..]) {
            expect_same(op, w, &like_w.shape)?;
        }
        if inputs[2].shape.dims() != [2] {
            return Err(Error::shape(op, "a gradient norm of shape [2]", inputs[2].shape.to_string()));
        }
        if inputs[3].len() != blocks {
            let expected = format!("a decay mask of {blocks} entries for weights {w}");
            return Err(Error::shape(op, expected, inputs[3].shape.to_string()));
        }
        Ok(Vec::new())
    }

    /// The kernel of `source`, which imports `update`, with the shared constants.
    pub(in crate::ops) fn kernel(&self, op: &'static str, source: &'static str) -> Kernel {
        let kernel = Kernel::new(op, "forward", source)
            .define("BLOCK", BLOCK)
            .define("DECAY", usize::from(self.decays()))
            .define_f32("WEIGHT_DECAY", self.weight_decay as f32)
            .define("CLIP", usize::from(self.max_grad_norm.is_some()))
            .define_f32("MAX_NORM", self.max_grad_norm.unwrap_or(0.0) as f32);
        define_scalar(kernel, ["RATE_VEC", "RATE_LANE"], self.learning_rate)
    }

    /// What the kernel binds. It has no mask where there is no weight decay.
    pub(in crate::ops) fn bindings(&self, states: usize) -> Vec<Slot> {
        let used = |&i: &usize| i != 3 || self.decays();
        (0..STATES + states).filter(used).map(Slot::Input).chain([Slot::Step]).collect()
    }

    fn decays(&self) -> bool {
        self.weight_decay != 0.0
    }

    /// Reference: calls `update(element, w, g, decay)` for each element with the clipped gradient and the coefficient
    /// of its weight decay. It returns the new weight; states it updates itself. Does nothing where the flag is set.
    pub(in crate::ops) fn reference(
        &self,
        inputs: &[Array],
        mut update: impl FnMut(usize, f64, f64, f64) -> f64,
    ) -> Array {
        let mut w = inputs[0].clone();
        let (norm, flag) = (inputs[2].data[0], inputs[2].data[1]);
        if flag != 0.0 {
            return w;
        }
        let clip = self.max_grad_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        for (i, x) in w.data.iter_mut().enumerate() {
            if inputs[4].data[i / BLOCK] == 0.0 {
                continue;
            }
            let decay = self.weight_decay * inputs[3].data[i / BLOCK];
            let is_parameter = ((i % BLOCK) as f64) < inputs[4].data[i / BLOCK];
            *x = update(i, *x, if is_parameter { inputs[1].data[i] * clip } else { 0.0 }, decay);
        }
        w
    }

    /// The learning rate of a step, for references.
    pub(in crate::ops) fn rate(&self, step: &Step) -> f64 {
        f64::from(step.get(self.learning_rate))
    }
}

/// Gives a kernel the place of a scalar: `step.scalars[names[0]][names[1]]`.
pub(in crate::ops) fn define_scalar(kernel: Kernel, names: [&'static str; 2], scalar: Scalar) -> Kernel {
    let (vector, lane) = scalar.place();
    kernel.define(names[0], vector).define(names[1], lane)
}

/// Inputs of conformance cases: weights, gradients, norm with this flag, a mask that differs from entry to entry, and
/// extents of 0 to 64 at random.
pub(in crate::ops) fn case_inputs(len: usize, flag: f64) -> Vec<crate::ops::spec::Input> {
    use crate::ops::spec::{Fill, Input};
    let norm = Input::filled([2], Fill::Values(vec![2.5, flag]));
    let blocks = len.div_ceil(BLOCK);
    let mask = Input::filled([blocks], Fill::Values(vec![1.0, 0.0, 0.5]));
    let extents = Input::below([blocks], BLOCK + 1);
    [Input::normal([len]), Input::normal([len]), norm, mask, extents].map(Input::no_grad).into()
}
