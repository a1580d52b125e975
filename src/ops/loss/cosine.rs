//! Cosine loss of x and t (N, ..), everything but N flattened: the mean over rows of
//! 1 - x . t / (max(|x|, eps) max(|t|, eps)), with eps 1e-8. Both inputs get gradients, where they require them. Where a
//! norm is held at eps it is a constant to the gradient, so that a row of zeros has a finite one.

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::rows::RowView;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/cosine.wgsl");
const EPS: f32 = 1e-8;

/// Loss (1) and row stats (N, 4), from x and target.
#[derive(Debug, Clone, Copy)]
struct CosineLoss;

/// Gradient of one input: from it, the other one, row stats, dy.
#[derive(Debug, Clone, Copy)]
struct CosineBackward {
    by_target: bool,
}

fn kernel(entry: &'static str, rows: RowView, by_target: bool) -> Kernel {
    Kernel::new("cosine_loss", entry, SHADER)
        .define("COUNTED", 0)
        .define("BY_TARGET", by_target.into())
        .define_f32("SMALLEST", EPS)
        .define_f32("FACTOR", 1.0 / rows.rows as f32)
}

impl Op for CosineLoss {
    fn name(&self) -> &'static str {
        "cosine_loss"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        if inputs[0].is_empty() || inputs[0].shape.rank() < 2 {
            return Err(Error::shape(self.name(), "tensors (N, ..), not empty", inputs[0].to_string()));
        }
        Ok(vec![Meta::f32([1]), Meta::f32([inputs[0].shape[0], 4])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let gradient = |i: usize| {
            let inputs = [&at.inputs[i], &at.inputs[1 - i], &at.outputs[1], at.dy()?];
            let record = || inputs[0].tape().record1(CosineBackward { by_target: i == 1 }, &inputs);
            at.needs(i).then(record).transpose()
        };
        Ok(vec![gradient(0)?, gradient(1)?])
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let rows = RowView::of(to.input(0));
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(1)];
        rows.loss(to, &|entry| kernel(entry, rows, false), &bindings, &[Slot::Output(0)]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let rows = RowView::of(inputs[0].dims());
        let (mut sum, mut stats) = (0.0, Vec::new());
        let smallest = f64::from(EPS);
        for (x, t) in inputs[0].data.chunks(rows.columns).zip(inputs[1].data.chunks(rows.columns)) {
            let (product, norm_x, norm_t) = (dot(x, t), dot(x, x).sqrt(), dot(t, t).sqrt());
            stats.extend([product, norm_x, norm_t, 0.0]);
            sum += 1.0 - product / (norm_x.max(smallest) * norm_t.max(smallest));
        }
        vec![Array::scalar(sum / rows.rows as f64), Array::new([rows.rows, 4], stats)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

impl Op for CosineBackward {
    fn name(&self) -> &'static str {
        "cosine_loss"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let rows = RowView::of(to.input(0));
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Input(3), Slot::Output(0)];
        rows.by_elem(to, kernel("backward", rows, self.by_target), &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let rows = RowView::of(inputs[0].dims());
        let factor = inputs[3].data[0] / rows.rows as f64;
        let smallest = f64::from(EPS);
        let mut gradient = Vec::with_capacity(inputs[0].data.len());
        for (x, t) in inputs[0].data.chunks(rows.columns).zip(inputs[1].data.chunks(rows.columns)) {
            let (norm, norm_t) = (dot(x, x).sqrt(), dot(t, t).sqrt().max(smallest));
            let kept = norm.max(smallest);
            let cosine = if norm > smallest { dot(x, t) / (kept * norm_t) } else { 0.0 };
            gradient.extend(x.iter().zip(t).map(|(x, t)| (cosine * x / kept - t / norm_t) / kept * factor));
        }
        vec![Array::new(inputs[0].shape.clone(), gradient)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        5 * outputs[0].len() as u64
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Tensor {
    /// Mean over rows of 1 - cos(self, target), both (N, ..); shape `[1]`.
    pub fn cosine_loss(&self, target: &Tensor) -> Result<Tensor> {
        self.tape().record1(CosineLoss, &[self, target])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "cosine", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let shapes: [&[usize]; 8] =
        [&[1, 7], &[64, 16], &[5, 47], &[257, 3], &[3, 16, 8, 8], &[3, 1021], &[2, 5003], &[300, 2, 6]];
    for shape in shapes {
        all.push(Case::new(CosineLoss, vec![Input::normal(shape), Input::normal(shape)]).saved_from(1));
    }
    for size in [1e-3, 80.0] {
        let x = Input::filled([5, 17], Fill::Normal(size));
        // The finite difference's step is 1e-4 whatever the size of x: only where that is small is it a derivative.
        let x = if size < 1.0 { x.no_grad() } else { x };
        all.push(Case::new(CosineLoss, vec![x, Input::normal([5, 17])]).saved_from(1));
    }
    // A row of zeros: loss 1, gradient finite.
    let zero = Input::filled([1, 12], Fill::Values(vec![0.0])).no_grad();
    all.push(Case::new(CosineLoss, vec![zero, Input::normal([1, 12])]).saved_from(1));
    all
}
