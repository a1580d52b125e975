//! Dynamic loss scaling (Micikevicius et al. 1710.03740), by the rule of torch.amp.GradScaler.
//!
//! Gradients of scale * loss are divided by the scale before anything reads them. Then, where a gradient norm is flagged
//! as not finite, scale *= backoff; after `interval` steps in a row where none was, scale *= growth, unless that is
//! infinite. All on the device: a step reads nothing back.

use crate::gpu::{Grid, Kernel};
use crate::ops::common::{elementwise_flat, expect_f32, expect_inputs};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/update/loss_scale.wgsl");

/// Both entry points are in one text, so both need every constant.
fn kernel(entry: &'static str, update: &UpdateLossScale, norms: usize) -> Kernel {
    Kernel::new("loss_scale", entry, SHADER)
        .define("NORMS", norms)
        .define("INTERVAL", update.interval as usize)
        .define_f32("GROWTH", update.growth)
        .define_f32("BACKOFF", update.backoff)
}

/// Inputs: gradients `dw` of any shape (overwritten) and `scale` (1). dw /= scale.
#[derive(Debug, Clone, Copy)]
pub struct Unscale;

impl Op for Unscale {
    fn name(&self) -> &'static str {
        "unscale"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_one(self.name(), &inputs[1])?;
        Ok(Vec::new())
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(0).iter().product();
        let kernel = kernel("unscale", &UpdateLossScale::default(), 1);
        elementwise_flat(to, kernel, &[Slot::Input(0), Slot::Input(1)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let scale = inputs[1].data[0];
        vec![Array::new(inputs[0].shape.clone(), inputs[0].data.iter().map(|x| x / scale).collect())]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

/// Inputs: `scale` (1) and `counts` (2, i32: steps without an overflow since the scale changed, overflows in all), both
/// overwritten; then one or two norms from [`grad_norm`](crate::ops::update::grad_norm). The defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateLossScale {
    /// The scale's factor after `interval` steps without an overflow.
    pub growth: f32,
    /// The scale's factor after an overflow.
    pub backoff: f32,
    /// Steps.
    pub interval: u32,
}

impl Default for UpdateLossScale {
    fn default() -> Self {
        Self { growth: 2.0, backoff: 0.5, interval: 2000 }
    }
}

/// Most norms of one update: those of a student and its peer.
const MOST_NORMS: usize = 2;

impl Op for UpdateLossScale {
    fn name(&self) -> &'static str {
        "loss_scale"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let expected = || {
            let got: Vec<String> = inputs.iter().map(Meta::to_string).collect();
            let expected = format!("a scale f32 [1], counts i32 [2] and 1 to {MOST_NORMS} norms f32 [2]");
            Err(Error::shape(self.name(), expected, got.join(", ")))
        };
        let [scale, counts, norms @ ..] = inputs else { return expected() };
        let sound = *scale == Meta::f32([1])
            && *counts == Meta::i32([2])
            && (1..=MOST_NORMS).contains(&norms.len())
            && norms.iter().all(|norm| *norm == Meta::f32([2]));
        if sound { Ok(Vec::new()) } else { expected() }
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0, 1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings: Vec<Slot> = (0..to.input_count()).map(Slot::Input).collect();
        let kernel = kernel("update", self, bindings.len() - 2).define("VEC4S", 0);
        to.dispatch(kernel, &bindings, Grid::linear(1));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (scale, good, skipped) = (inputs[0].data[0], inputs[1].data[0], inputs[1].data[1]);
        let overflow = inputs[2..].iter().any(|norm| norm.data[1] != 0.0);
        let grown = scale * f64::from(self.growth);
        let (scale, good) = match good + 1.0 {
            _ if overflow => (scale * f64::from(self.backoff), 0.0),
            good if good < f64::from(self.interval) => (scale, good),
            _ if grown > f64::from(f32::MAX) => (scale, 0.0),
            _ => (grown, 0.0),
        };
        let skipped = skipped + f64::from(overflow);
        vec![Array::new([1], vec![scale]), Array::new([2], vec![good, skipped])]
    }
}

fn expect_one(op: &str, scale: &Meta) -> Result<()> {
    if scale.len() == 1 {
        return Ok(());
    }
    Err(Error::shape(op, "a scale of one element", scale.to_string()))
}

impl Tensor {
    /// self /= scale, in place: `self` must live in a caller's buffer. `scale` has one element.
    pub fn unscale_in_place(&self, scale: &Tensor) -> Result<()> {
        self.tape().record(Unscale, &[self, scale]).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "loss_scale", cases };

fn cases() -> Vec<Case> {
    let scale = |x: f64| Input::filled([1], Fill::Values(vec![x])).no_grad();
    let unscale = |n: usize, x| Case::new(Unscale, vec![Input::normal([n]).no_grad(), scale(x)]);
    let norm = |flag| Input::filled([2], Fill::Values(vec![1.5, flag])).no_grad();
    let update = |interval, x, counts: [f64; 2], flags: &[f64]| {
        let mut counts = Input { fill: Fill::Values(counts.into()), ..Input::below([2], 1) };
        counts.grad = false;
        let inputs = [scale(x), counts].into_iter().chain(flags.iter().map(|&flag| norm(flag)));
        Case::new(UpdateLossScale { interval, ..Default::default() }, inputs.collect())
    };
    let mut all: Vec<Case> = [1, 47, 64, 1025].map(|n| unscale(n, 65536.0)).into();
    all.extend([
        unscale(7, 3.0),
        // As many as the largest case of grad_norm.
        unscale(8_400_001, 2.0),
        update(2000, 65536.0, [3.0, 1.0], &[0.0]),
        update(2000, 65536.0, [1999.0, 1.0], &[0.0]),
        update(2000, 65536.0, [1999.0, 1.0], &[1.0]),
        update(1, 4.0, [0.0, 0.0], &[0.0, 0.0]),
        update(5, 4.0, [4.0, 0.0], &[0.0, 1.0]),
        update(5, 4.0, [4.0, 0.0], &[1.0, 1.0]),
        // The next scale would be infinite.
        update(3, 2f64.powi(127), [2.0, 9.0], &[0.0]),
    ]);
    all
}
