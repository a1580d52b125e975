//! One step of Adam (Kingma and Ba, 1412.6980) or AdamW (Loshchilov and Hutter, 1711.05101), in place; PyTorch's formula.
//!
//! m = beta_1 m + (1 - beta_1) g; v = beta_2 v + (1 - beta_2) g^2;
//! w -= rate / correction_1 * m / (sqrt(v / correction_2) + eps). Adam adds weight_decay * w to g; AdamW subtracts
//! rate * weight_decay * w from the weight first.

use crate::Result;
use crate::ops::common::elementwise_flat;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::update::{UpdateSettings, case_inputs, define_scalar};
use crate::tape::{Array, Lowering, Meta, Op, Scalar, Step};

const SHADER: &str = include_str!("../../../shaders/update/adam.wgsl");

/// Inputs `w, dw, norm, decay_mask, extents, m, v`; see [`crate::ops::update`].
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// Learning rate, weight decay, clipping.
    pub settings: UpdateSettings,
    /// 1 - beta^t for both betas; t counts updates from 1. The host computes them: beta^t in f32 loses its digits.
    pub corrections: [Scalar; 2],
    /// Decay of the mean of gradients, and of their squares.
    pub betas: [f64; 2],
    /// Added to the root, against division by zero.
    pub eps: f64,
    /// AdamW's decoupled weight decay.
    pub decoupled: bool,
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        if self.decoupled { "adamw" } else { "adam" }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        self.settings.infer(self.name(), inputs, 2)
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0, 5, 6]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(0).iter().product();
        // 1 - beta from f64: f32 would keep only half of the digits of 1 - 0.999.
        let mut kernel = self
            .settings
            .kernel(self.name(), SHADER)
            .define_f32("BETA_1", self.betas[0] as f32)
            .define_f32("BETA_2", self.betas[1] as f32)
            .define_f32("ONE_MINUS_BETA_1", (1.0 - self.betas[0]) as f32)
            .define_f32("ONE_MINUS_BETA_2", (1.0 - self.betas[1]) as f32)
            .define_f32("EPS", self.eps as f32)
            .define("DECOUPLED", usize::from(self.decoupled));
        kernel = define_scalar(kernel, ["CORRECTION_1_VEC", "CORRECTION_1_LANE"], self.corrections[0]);
        kernel = define_scalar(kernel, ["CORRECTION_2_VEC", "CORRECTION_2_LANE"], self.corrections[1]);
        elementwise_flat(to, kernel, &self.settings.bindings(2), len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let rate = self.settings.rate(step);
        let [correction_1, correction_2] = self.corrections.map(|s| f64::from(step.get(s)));
        let (mut m, mut v) = (inputs[5].clone(), inputs[6].clone());
        let w = self.settings.reference(inputs, |i, w, g, decay| {
            let (w, g) = if self.decoupled { (w - rate * decay * w, g) } else { (w, g + decay * w) };
            m.data[i] = self.betas[0] * m.data[i] + (1.0 - self.betas[0]) * g;
            v.data[i] = self.betas[1] * v.data[i] + (1.0 - self.betas[1]) * g * g;
            w - rate / correction_1 * m.data[i] / ((v.data[i] / correction_2).sqrt() + self.eps)
        });
        vec![w, m, v]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        16 * inputs[0].len() as u64
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "adam", cases };

fn cases() -> Vec<Case> {
    let case = |len: usize, decoupled, weight_decay, max_grad_norm, flag| {
        let settings = UpdateSettings { learning_rate: Scalar::for_cases(0), weight_decay, max_grad_norm };
        // Scalars of two different vec4 of the uniform.
        let corrections = [Scalar::for_cases(3), Scalar::for_cases(6)];
        let mut inputs = case_inputs(len, flag);
        inputs.push(Input::normal([len]).no_grad());
        inputs.push(Input::filled([len], Fill::Uniform(0.0, 2.0)).no_grad());
        Case::new(Adam { settings, corrections, betas: [0.9, 0.999], eps: 1e-3, decoupled }, inputs)
    };
    let mut all: Vec<Case> =
        [1, 47, 64, 65, 1024, 4096 + 128].map(|len| case(len, true, 0.1, Some(1.0), 0.0)).into();
    all.extend([
        case(257, false, 0.0, None, 0.0),
        case(257, false, 0.1, None, 0.0),
        case(257, true, 0.0, None, 0.0),
        case(257, false, 0.1, Some(3.0), 0.0),
        case(257, true, 0.1, Some(1.0), 1.0),
        case(257, false, 0.1, None, 1.0),
    ]);
    all
}
