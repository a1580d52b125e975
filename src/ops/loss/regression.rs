//! Losses of two tensors of equal shape, the mean over all elements; shape `[1]`. With d = x - target:
//!
//! mse d^2; l1 |d|; smooth_l1 d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (Girshick 1504.08083; beta 0 is l1);
//! bce_with_logits max(x, 0) - x t + log(1 + exp(-|x|)), binary cross entropy of logits x against probabilities t.
//!
//! Both inputs get gradients, where they require them. At d = 0 the derivative of l1 is 0, as PyTorch's.

use crate::gpu::{Grid, Kernel};
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::costs::Costs;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/regression.wgsl");
const WORKGROUP: usize = 256;

/// Loss (1) from x and target.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Regression {
    Mse,
    L1,
    /// Distance at which the square becomes a line.
    SmoothL1(f32),
    BceWithLogits,
}

/// Gradient of one input, from x, target, dy.
#[derive(Debug, Clone, Copy)]
struct RegressionBackward {
    function: Regression,
    by_target: bool,
}

impl Regression {
    fn kernel(self, entry: &'static str, len: usize, groups: usize) -> Kernel {
        let (index, beta) = match self {
            Self::Mse => (0, 1.0),
            Self::L1 | Self::SmoothL1(0.0) => (1, 1.0),
            Self::SmoothL1(beta) => (2, beta),
            Self::BceWithLogits => (3, 1.0),
        };
        Kernel::new(self.name(), entry, SHADER)
            .define("VECTOR", 1)
            .define("SHARED", 1)
            .define("WORKGROUP", WORKGROUP)
            .define("FUNCTION", index)
            .define_f32("BETA", beta)
            .define("LEN", len)
            .define("VEC4S", len.div_ceil(4))
            .define("GROUPS", groups)
            .define("SINGLE", (groups == 1).into())
    }

    fn value(self, x: f64, t: f64) -> f64 {
        let d = x - t;
        match self {
            Self::Mse => d * d,
            Self::L1 => d.abs(),
            Self::SmoothL1(beta) => match f64::from(beta) {
                beta if d.abs() < beta => 0.5 * d * d / beta,
                beta => d.abs() - 0.5 * beta,
            },
            Self::BceWithLogits => x.max(0.0) - x * t + (-x.abs()).exp().ln_1p(),
        }
    }

    /// Derivative by x, and by the target.
    fn derivatives(self, x: f64, t: f64) -> (f64, f64) {
        let d = x - t;
        let sign = if d == 0.0 { 0.0 } else { d.signum() };
        let by_x = match self {
            Self::Mse => 2.0 * d,
            Self::L1 => sign,
            Self::SmoothL1(beta) if d.abs() < f64::from(beta) => d / f64::from(beta),
            Self::SmoothL1(_) => sign,
            Self::BceWithLogits => return (1.0 / (1.0 + (-x).exp()) - t, -x),
        };
        (by_x, -by_x)
    }
}

impl Op for Regression {
    fn name(&self) -> &'static str {
        match self {
            Self::Mse => "mse_loss",
            Self::L1 => "l1_loss",
            Self::SmoothL1(_) => "smooth_l1_loss",
            Self::BceWithLogits => "bce_with_logits",
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        if inputs[0].is_empty() {
            return Err(Error::shape(self.name(), "at least one element", inputs[0].to_string()));
        }
        match self {
            Self::SmoothL1(beta) if !(*beta >= 0.0 && beta.is_finite()) => {
                Err(Error::shape(self.name(), "beta of zero or more", beta.to_string()))
            }
            _ => Ok(vec![Meta::f32([1])]),
        }
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let inputs = [&at.inputs[0], &at.inputs[1], at.dy()?];
        let gradient = |i: usize| {
            let op = RegressionBackward { function: *self, by_target: i == 1 };
            at.needs(i).then(|| inputs[0].tape().record1(op, &inputs)).transpose()
        };
        Ok(vec![gradient(0)?, gradient(1)?])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let costs = &Costs::of(to.caps()).regression;
        let len: usize = to.input(0).iter().product();
        let groups = len.div_ceil(4 * costs.vec4s_each * WORKGROUP).min(costs.most_workgroups);
        let [x, target, loss] = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        let kernel = |entry| self.kernel(entry, len, groups).define("BY_TARGET", 0);
        if groups == 1 {
            to.dispatch(kernel("forward"), &[x, target, loss], Grid::linear(1));
            return Ok(());
        }
        let partials = to.scratch(groups);
        to.dispatch(kernel("forward"), &[x, target, partials], Grid::linear(groups));
        to.dispatch(kernel("finish"), &[partials, loss], Grid::linear(1));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let pairs = inputs[0].data.iter().zip(&inputs[1].data);
        let sum: f64 = pairs.map(|(&x, &t)| self.value(x, t)).sum();
        vec![Array::scalar(sum / inputs[0].data.len() as f64)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

impl Op for RegressionBackward {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len: usize = to.input(0).iter().product();
        let kernel = self.function.kernel("backward", len, 1).define("BY_TARGET", self.by_target.into());
        let [x, target, dy] = [0, 1, 2].map(Slot::Input);
        let grid = Grid::linear(len.div_ceil(4).div_ceil(WORKGROUP));
        to.dispatch(kernel, &[x, target, dy, Slot::Output(0)], grid);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let factor = inputs[2].data[0] / inputs[0].data.len() as f64;
        let pairs = inputs[0].data.iter().zip(&inputs[1].data);
        let gradient = pairs.map(|(&x, &t)| {
            let (by_x, by_target) = self.function.derivatives(x, t);
            factor * if self.by_target { by_target } else { by_x }
        });
        vec![Array::new(inputs[0].shape.clone(), gradient.collect())]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        3 * outputs[0].len() as u64
    }
}

impl Tensor {
    /// Mean of (self - target)^2.
    pub fn mse_loss(&self, target: &Tensor) -> Result<Tensor> {
        self.tape().record1(Regression::Mse, &[self, target])
    }

    /// Mean of |self - target|.
    pub fn l1_loss(&self, target: &Tensor) -> Result<Tensor> {
        self.tape().record1(Regression::L1, &[self, target])
    }

    /// Mean of a loss that is square up to a distance of `beta` and linear beyond; see the [module](self).
    pub fn smooth_l1_loss(&self, target: &Tensor, beta: f32) -> Result<Tensor> {
        self.tape().record1(Regression::SmoothL1(beta), &[self, target])
    }

    /// Mean binary cross entropy of logits `self` against probabilities `target`.
    pub fn bce_with_logits(&self, target: &Tensor) -> Result<Tensor> {
        self.tape().record1(Regression::BceWithLogits, &[self, target])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "regression", cases };

fn cases() -> Vec<Case> {
    use Regression::*;
    let mut all = Vec::new();
    for f in [Mse, L1, SmoothL1(1.0), SmoothL1(0.3), SmoothL1(0.0), BceWithLogits] {
        // 16,385 is one more than a single workgroup takes; 70,001 has several partial sums and a tail.
        for shape in [vec![1], vec![3, 47], vec![2, 3, 4, 5], vec![16_384], vec![16_385], vec![70_001]] {
            // Far from each other, or the finite difference steps over a kink; multiples of 0.37 from 0.3 and 1.
            let x = Input::filled(shape.clone(), Fill::Values(vec![0.05, -3.0, 2.2, 9.0, -0.75]));
            let t = Input::filled(shape, Fill::Values(vec![0.2, 1.0, 0.6, 0.9, 0.1, 0.35, 0.0]));
            all.push(Case::new(f, vec![x, t]));
        }
    }
    for size in [1.0, 30.0] {
        let x = Input::filled([5, 41], Fill::Normal(size));
        let t = Input::filled([5, 41], Fill::Uniform(0.0, 1.0));
        all.push(Case::new(BceWithLogits, vec![x.clone(), t.clone()]));
        all.push(Case::new(Mse, vec![x, t]));
    }
    all
}
