//! One step of stochastic gradient descent with momentum, in place; PyTorch's formula with dampening 0.
//!
//! g = clip * dw + weight_decay * w; v = momentum * v + g; w -= rate * v, or rate * (g + momentum * v) with Nesterov's
//! momentum (Sutskever et al. 2013). A velocity of zeros makes the first step v = g, as PyTorch's.

use crate::Result;
use crate::ops::common::elementwise_flat;
use crate::ops::spec::{Case, Input, OpSpec};
use crate::ops::update::{UpdateSettings, case_inputs};
use crate::tape::{Array, Lowering, Meta, Op, Scalar, Step};

const SHADER: &str = include_str!("../../../shaders/update/sgd.wgsl");

/// Inputs `w, dw, norm, decay_mask, extents`, and `velocity` unless momentum is zero; see [`crate::ops::update`].
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// Learning rate, weight decay, clipping.
    pub settings: UpdateSettings,
    /// Zero for none: then there is no velocity input.
    pub momentum: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

impl Sgd {
    fn states(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }
}

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        self.settings.infer(self.name(), inputs, self.states())
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        if self.momentum == 0.0 { &[0] } else { &[0, 5] }
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(0).iter().product();
        let kernel = self
            .settings
            .kernel(self.name(), SHADER)
            .define("MOMENTUM_ON", self.states())
            .define_f32("MOMENTUM", self.momentum as f32)
            .define("NESTEROV", usize::from(self.nesterov));
        elementwise_flat(to, kernel, &self.settings.bindings(self.states()), len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let rate = self.settings.rate(step);
        let mut velocity = inputs.get(5).cloned();
        let w = self.settings.reference(inputs, |i, w, g, decay| {
            let g = g + decay * w;
            let Some(velocity) = &mut velocity else { return w - rate * g };
            let v = self.momentum * velocity.data[i] + g;
            velocity.data[i] = v;
            w - rate * if self.nesterov { g + self.momentum * v } else { v }
        });
        std::iter::once(w).chain(velocity).collect()
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        7 * inputs[0].len() as u64
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "sgd", cases };

fn cases() -> Vec<Case> {
    let case = |len: usize, momentum: f64, nesterov, weight_decay, max_grad_norm, flag| {
        let settings = UpdateSettings { learning_rate: Scalar::for_cases(1), weight_decay, max_grad_norm };
        let mut inputs = case_inputs(len, flag);
        if momentum != 0.0 {
            inputs.push(Input::normal([len]).no_grad());
        }
        Case::new(Sgd { settings, momentum, nesterov }, inputs)
    };
    let mut all: Vec<Case> =
        [1, 47, 64, 65, 1024, 4096 + 128].map(|len| case(len, 0.9, false, 0.1, Some(1.0), 0.0)).into();
    all.extend([
        case(257, 0.0, false, 0.0, None, 0.0),
        case(257, 0.0, false, 0.1, None, 0.0),
        case(257, 0.9, false, 0.0, None, 0.0),
        case(257, 0.9, true, 0.1, None, 0.0),
        // The norm is below the maximum: gradients stay as they are.
        case(257, 0.9, true, 0.0, Some(3.0), 0.0),
        // Not finite: nothing changes.
        case(257, 0.9, false, 0.1, Some(1.0), 1.0),
        case(257, 0.0, false, 0.1, None, 1.0),
    ]);
    all
}
