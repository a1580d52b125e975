//! How far the shapes of boxes differ, row by row: y (..) from a and b, both (.., 4).
//!
//! v = 4 / pi^2 (atan(w_b / h_b) - atan(w_a / h_a))^2, the term of CIoU (Zheng et al. 1911.08287, equation 9). The gradient is
//! the derivative as it is, with the 1 / (w^2 + h^2) that the paper and darknet replace by 1: sides that are exp(t) bring
//! the factor that makes up for it. Where either box has a side below 1e-30, whose gradient no f32 holds, v is 0 and has no
//! gradient.

use super::geometry::Frame;
use super::overlap::{boxes_for_cases, by_each, differences, expect_pairs, row_by_row};
use crate::Result;
use crate::gpu::Kernel;
use crate::ops::common::per_element;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../../shaders/boxes/aspect.wgsl");

/// Shorter sides are none.
const LEAST_SIDE: f32 = 1e-30;

/// y from a and b.
#[derive(Debug, Clone, Copy)]
struct BoxAspect;

/// da from a, b and dy.
#[derive(Debug, Clone, Copy)]
struct BoxAspectBackward;

fn is_flat(frame: &Frame) -> bool {
    frame.sides.iter().any(|side| *side < f64::from(LEAST_SIDE))
}

fn value(a: &Frame, b: &Frame) -> f64 {
    if is_flat(a) || is_flat(b) {
        return 0.0;
    }
    let angle = |frame: &Frame| frame.sides[0].atan2(frame.sides[1]);
    (2.0 / std::f64::consts::PI * (angle(b) - angle(a))).powi(2)
}

fn kernel(entry: &'static str) -> Kernel {
    Kernel::new("box_aspect", entry, SHADER).define_f32("LEAST_SIDE", LEAST_SIDE)
}

impl Op for BoxAspect {
    fn name(&self) -> &'static str {
        "box_aspect"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_pairs(self.name(), inputs).map(|y| vec![y])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        by_each(at, BoxAspectBackward)
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        let kernel = kernel("forward");
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![row_by_row(inputs, value)]
    }

    /// It is divided by something as small.
    fn keep_f32(&self) -> &[usize] {
        &[0]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        40 * outputs[0].len() as u64
    }
}

impl Op for BoxAspectBackward {
    fn name(&self) -> &'static str {
        "box_aspect"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(2).iter().product();
        let kernel = kernel("backward_a");
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output(0)];
        per_element(to, kernel, &bindings, len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![differences(inputs, is_flat, value)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        50 * inputs[2].len() as u64
    }
}

impl Tensor {
    /// How far the shapes of these boxes (.., 4) differ from those of `other`, one by one, (..), 0 to 1; f32 always. See
    /// [the module](self).
    pub fn box_aspect(&self, other: &Tensor) -> Result<Tensor> {
        self.tape().record1(BoxAspect, &[self, other])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "box_aspect", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for shape in [&[4][..], &[1, 4], &[41, 4], &[2, 47, 4], &[3, 5, 7, 4], &[257, 4], &[0, 4]] {
        all.push(Case::new(BoxAspect, vec![boxes_for_cases(shape, 0.0), boxes_for_cases(shape, 1.0 / 64.0)]));
    }
    // Very long ones; nearly equal ones; without area.
    let long = vec![0.0, 0.0, 900.0, 0.5, 0.0, 0.0, 0.01, 1.0, 0.0, 0.0, 3.0, 3.5];
    let other = vec![0.0, 0.0, 0.5, 700.0, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0, 3.0, 3.25];
    let input =
        |values: &[f64]| Input::filled([values.len() / 4, 4], Fill::Values(values.to_vec())).no_grad();
    all.push(Case::new(BoxAspect, vec![input(&long), input(&other)]));
    let flat = [0.1, 0.1, 0.0, 0.2, 0.1, 0.1, 0.2, 0.2, 0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 1e-35, 1e-38];
    let tall = [0.1, 0.1, 0.3, 0.2, 0.1, 0.1, 0.2, -0.2, 0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1, 0.2];
    all.push(Case::new(BoxAspect, vec![input(&flat), input(&tall)]));
    all
}
