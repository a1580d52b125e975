//! y = factor * x repeated along some dimensions: broadcasting as an op of its own, and the gradient of sum and mean.

use super::common::{elementwise, expect_f32, expect_inputs};
use super::layout::{Axis, broadcast_axes, broadcast_shapes, collapse, define_index, pitches, project};
use super::reduce::{Reduce, Reduction, check_axes, kept_sizes};
use super::spec::{Case, Input, OpSpec};
use crate::gpu::Kernel;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/broadcast.wgsl");

/// y = factor * x, repeated along `axes` of the output. x has the output's other dimensions in order; sizes of 1 may
/// come and go.
#[derive(Debug, Clone)]
pub struct Broadcast {
    pub(super) axes: Vec<usize>,
    pub(super) output: Shape,
    pub(super) factor: f32,
}

impl Op for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        check_axes(self.name(), &self.output, &self.axes)?;
        if inputs[0].len() != kept_sizes(&self.output, &self.axes).product::<usize>() {
            let expected = format!("an input that repeats along {:?} to {}", self.axes, self.output);
            return Err(Error::shape(self.name(), expected, inputs[0].to_string()));
        }
        Ok(vec![Meta::f32(self.output.clone())])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (axes, output) = (self.axes.clone(), at.inputs[0].shape().clone());
        let op = Reduce { reduction: Reduction::Sum, axes, output, factor: self.factor };
        Ok(vec![Some(at.dy()?.tape().record1(op, &[at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let dims = collapse(to.output(0), |d| self.axes.contains(&d));
        let (last, repeats_last) = dims.last().copied().unwrap_or((1, false));
        let len = self.output.len();
        let aligned = last % 4 == 0;
        let pitch = pitches(dims.iter().map(|d| d.0));
        let stride = pitches(dims.iter().map(|&(size, repeats)| if repeats { 1 } else { size }));
        let axes: Vec<Axis> = (0..dims.len())
            .filter(|&d| !dims[d].1)
            .map(|d| Axis { pitch: pitch[d], size: dims[d].0, stride: stride[d] })
            .collect();
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("ROW", (aligned && !repeats_last).into())
            .define("SPLAT", (axes.is_empty() || (aligned && repeats_last)).into())
            .define("LEN", len)
            .define_f32("FACTOR", self.factor);
        let kernel = define_index(kernel, "X", &axes, len);
        elementwise(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let at = project(self.output.dims(), &self.axes);
        let factor = f64::from(self.factor);
        vec![Array::new(self.output.clone(), at.into_iter().map(|i| factor * inputs[0].data[i]).collect())]
    }
}

impl Tensor {
    /// Repeated to `shape` by NumPy's rule: aligned at the last dimension, sizes equal or 1.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        let output = shape.into();
        if broadcast_shapes("broadcast", self.shape(), &output)? != output {
            let expected = format!("a shape that {} broadcasts to", self.shape());
            return Err(Error::shape("broadcast", expected, output.to_string()));
        }
        if output == *self.shape() {
            return Ok(self.clone());
        }
        let axes = broadcast_axes(self.shape(), &output);
        self.tape().record1(Broadcast { axes, output, factor: 1.0 }, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "broadcast", cases };

fn cases() -> Vec<Case> {
    let case = |from: &[usize], output: &[usize], axes: &[usize]| {
        let op = Broadcast { axes: axes.to_vec(), output: output.into(), factor: 0.75 };
        Case::new(op, vec![Input::normal(from)])
    };
    vec![
        case(&[1], &[1], &[0]),
        case(&[1], &[41], &[0]),
        case(&[7], &[5, 7], &[0]),
        case(&[8], &[5, 8], &[0]),
        case(&[5], &[5, 8], &[1]),
        case(&[5, 1], &[5, 7], &[1]),
        case(&[3], &[2, 3, 7, 7], &[0, 2, 3]),
        case(&[1, 3, 1, 1], &[2, 3, 4, 4], &[0, 2, 3]),
        case(&[2, 1, 2, 1, 2, 1], &[2, 3, 2, 5, 2, 7], &[1, 3, 5]),
        case(&[3, 5, 4], &[2, 3, 2, 5, 2, 4], &[0, 2, 4]),
        case(&[3, 1], &[3, 0], &[1]),
    ]
}
