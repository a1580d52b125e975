//! How far boxes overlap, row by row: y (..) from a and b, both (.., 4).
//!
//! | | |
//! |---|---|
//! | IoU | I / U: intersection by union |
//! | GIoU | IoU - (C - U) / C, with C the area of the smallest box around both (Rezatofighi et al. 1902.09630) |
//! | DIoU | IoU - d^2 / c^2, with d the distance of the centres and c the diagonal of that box (Zheng et al. 1911.08287) |
//! | CIoU | DIoU - alpha v, with v of [`super::aspect`] and alpha = v / ((1 - IoU) + v), which is no part of the gradient (ibid.) |
//!
//! Where either box has no area, a side of zero or less, all of them are 0 and have no gradient. Of two edges that are
//! equal, each has half of the gradient, as in PyTorch.

use super::geometry::Frame;
use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::rng::Stream;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/boxes/overlap.wgsl");

/// Keeps alpha of CIoU a number where boxes are equal: more than the 2.5 units in the last place by which WGSL lets IoU, a
/// quotient, be above 1.
const LEAST_DIFFERENCE: f32 = 1e-6;

/// Which measure of overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Intersection by union, 0 to 1.
    Iou,
    /// IoU less the share of the box around both that neither fills, -1 to 1.
    Giou,
    /// IoU less the squared distance of centres by the squared diagonal of the box around both, -1 to 1.
    Diou,
}

/// y from a and b.
#[derive(Debug, Clone, Copy)]
struct BoxOverlap(Overlap);

/// da from a, b and dy.
#[derive(Debug, Clone, Copy)]
struct BoxOverlapBackward(Overlap);

impl Overlap {
    fn kernel(self, entry: &'static str) -> Kernel {
        Kernel::new("box_overlap", entry, SHADER)
            .define("GIOU", (self == Overlap::Giou).into())
            .define("DIOU", (self == Overlap::Diou).into())
    }

    fn value(self, a: &Frame, b: &Frame) -> f64 {
        if a.is_empty() || b.is_empty() {
            return 0.0;
        }
        let around = a.around(b);
        match self {
            Overlap::Iou => a.iou(b),
            Overlap::Giou => a.iou(b) - 1.0 + a.union(b) / (around[0] * around[1]),
            Overlap::Diou => a.iou(b) - a.distance_share(b),
        }
    }
}

impl Op for BoxOverlap {
    fn name(&self) -> &'static str {
        "box_overlap"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_pairs(self.name(), inputs).map(|y| vec![y])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        by_each(at, BoxOverlapBackward(self.0))
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        per_element(to, self.0.kernel("forward"), &bindings, len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![row_by_row(inputs, |a, b| self.0.value(a, b))]
    }

    /// What is near 1 differs by less than an f16 tells.
    fn keep_f32(&self) -> &[usize] {
        &[0]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        40 * outputs[0].len() as u64
    }
}

impl Op for BoxOverlapBackward {
    fn name(&self) -> &'static str {
        "box_overlap"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(2).iter().product();
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output(0)];
        per_element(to, self.0.kernel("backward_a"), &bindings, len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![differences(inputs, Frame::is_empty, |a, b| self.0.value(a, b))]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        80 * inputs[2].len() as u64
    }
}

/// The output (..) of two inputs (.., 4), checked.
pub(super) fn expect_pairs(op: &str, inputs: &[Meta]) -> Result<Meta> {
    expect_inputs(op, inputs, 2)?;
    expect_f32(op, inputs)?;
    let (a, b) = (&inputs[0], &inputs[1]);
    match a.shape.dims() {
        [rows @ .., 4] if a.shape == b.shape => {
            Ok(Meta::f32(if rows.is_empty() { Shape::from([1]) } else { Shape::from(rows) }))
        }
        _ => Err(Error::shape(op, "two tensors (.., 4) of boxes with equal shapes", format!("{a} and {b}"))),
    }
}

/// Gradients of a symmetric function of two inputs: `op` gives that of the first of two, from both and dy.
pub(super) fn by_each(at: &Backward<'_>, op: impl Op + Copy) -> Result<Vec<Option<Tensor>>> {
    let (a, b, dy) = (&at.inputs[0], &at.inputs[1], at.dy()?);
    let by = |a: &Tensor, b: &Tensor| a.tape().record1(op, &[a, b, dy]);
    Ok(vec![at.needs(0).then(|| by(a, b)).transpose()?, at.needs(1).then(|| by(b, a)).transpose()?])
}

/// A function of two boxes for each row.
pub(super) fn row_by_row(inputs: &[Array], value: impl Fn(&Frame, &Frame) -> f64) -> Array {
    let rows = inputs[0].data.len() / 4;
    let y = (0..rows).map(|row| value(&Frame::at(&inputs[0].data, row), &Frame::at(&inputs[1].data, row)));
    let dims = inputs[0].dims();
    let shape = if dims.len() > 1 { Shape::from(&dims[..dims.len() - 1]) } else { Shape::from([1]) };
    Array::new(shape, y.collect())
}

/// The gradient by the first of a, b and dy, by central differences: where two edges meet, the mean of both sides. 0 where
/// either box is a flat one.
pub(super) fn differences(
    inputs: &[Array],
    is_flat: impl Fn(&Frame) -> bool,
    value: impl Fn(&Frame, &Frame) -> f64,
) -> Array {
    const H: f64 = 1e-6;
    let mut da = Array::zeros(inputs[0].shape.clone());
    for (at, da) in da.data.iter_mut().enumerate() {
        let (a, b) = (Frame::at(&inputs[0].data, at / 4), Frame::at(&inputs[1].data, at / 4));
        let moved = |by: f64| {
            let mut numbers = [a.centre[0], a.centre[1], a.sides[0], a.sides[1]];
            numbers[at % 4] += by;
            value(&Frame::at(&numbers, 0), &b)
        };
        *da = if is_flat(&a) || is_flat(&b) {
            0.0
        } else {
            inputs[2].data[at / 4] * (moved(H) - moved(-H)) / (2.0 * H)
        };
    }
    da
}

impl Tensor {
    /// How far these boxes (.., 4) overlap those of `other`, one by one, (..); f32 always. See [the module](self).
    pub fn box_overlap(&self, other: &Tensor, kind: Overlap) -> Result<Tensor> {
        self.tape().record1(BoxOverlap(kind), &[self, other])
    }

    /// CIoU of these boxes (.., 4) and those of `truth`, one by one, (..); f32 always. See [the module](self). Boxes that are
    /// equal have 1.
    pub fn ciou(&self, truth: &Tensor) -> Result<Tensor> {
        let full = |x: Tensor| {
            x.keep_full();
            x
        };
        let v = self.box_aspect(truth)?;
        let (boxes, truth, fixed) = (self.detach()?, truth, v.detach()?);
        let unlike = boxes.box_overlap(&truth.detach()?, Overlap::Iou)?.scale(-1.0).map(full)?;
        let rest = full(full(unlike.add_scalar(1.0 + LEAST_DIFFERENCE)?).add(&fixed)?);
        let alpha = full(fixed.div(&rest)?);
        self.box_overlap(truth, Overlap::Diou)?.sub(&full(alpha.mul(&v)?)).map(full)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "box_overlap", cases };

/// Boxes of which no two edges, of one from an input with another `offset`, lie nearer than 1/64: lower edges within 0 to
/// 3/8, sides of 1/4 to 5/8, of which an f16 holds every number.
pub(super) fn boxes_for_cases(shape: &[usize], offset: f64) -> Input {
    let mut random = Stream::new(7, &format!("boxes {shape:?} {offset}"));
    let rows = shape.iter().product::<usize>() / 4;
    let mut values = Vec::new();
    for _ in 0..rows {
        let low = [0, 1].map(|_| random.below(13) as f64 / 32.0 + offset);
        let side = [0, 1].map(|_| (8 + random.below(13)) as f64 / 32.0);
        values.extend([low[0] + side[0] / 2.0, low[1] + side[1] / 2.0, side[0], side[1]]);
    }
    Input::filled(shape, Fill::Values(values))
}

fn cases() -> Vec<Case> {
    let kinds = [Overlap::Iou, Overlap::Giou, Overlap::Diou];
    let mut all = Vec::new();
    for kind in kinds {
        for shape in [&[4][..], &[1, 4], &[41, 4], &[2, 47, 4], &[3, 5, 7, 4], &[257, 4], &[0, 4]] {
            let inputs = vec![boxes_for_cases(shape, 0.0), boxes_for_cases(shape, 1.0 / 64.0)];
            all.push(Case::new(BoxOverlap(kind), inputs));
        }
        // Far apart; one in the other; without area, on either side, with sides below zero too.
        let a = vec![
            0.2, 0.2, 0.1, 0.1, 0.5, 0.5, 0.4, 0.3, 0.5, 0.5, 0.0, 0.3, 0.4, 0.4, 0.2, 0.2, 0.0, 0.0, 0.0,
            0.0,
        ];
        let b = vec![
            0.8, 0.7, 0.1, 0.2, 0.55, 0.45, 0.1, 0.1, 0.5, 0.5, 0.3, 0.3, 0.4, 0.4, -0.1, 0.2, 0.0, 0.0, 0.0,
            0.0,
        ];
        let case = |a: &[f64], b: &[f64]| {
            let [a, b] =
                [a, b].map(|values| Input::filled([values.len() / 4, 4], Fill::Values(values.to_vec())));
            Case::new(BoxOverlap(kind), vec![a, b])
        };
        all.push(case(&a[..8], &b[..8]));
        let mut flat = case(&a, &b);
        flat.inputs.iter_mut().for_each(|input| input.grad = false);
        all.push(flat);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_has_a_divisor_above_zero_however_iou_is_rounded() {
        let most_iou = 1.0 + 2.5 * f64::from(f32::EPSILON);
        assert!(f64::from(1.0 + LEAST_DIFFERENCE) - most_iou > 0.5 * f64::from(LEAST_DIFFERENCE));
    }
}
