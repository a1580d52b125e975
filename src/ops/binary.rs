//! y = a + b, a - b, a * b, a / b, element by element. Operands of different shape broadcast by NumPy's rule: aligned
//! at the last dimension, sizes equal or 1, at most 6 dimensions. Gradients sum over what was broadcast.

use super::common::{elementwise, expect_f32, expect_inputs};
use super::layout::{Axis, broadcast, broadcast_axes, broadcast_shapes, collapse, define_index, pitches};
use super::spec::{Case, Fill, Input, OpSpec};
use crate::Result;
use crate::gpu::Kernel;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../shaders/binary.wgsl");

/// y = f(a, b). The discriminant is `FUNCTION` in shaders/binary.wgsl.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

/// Tells the kernel how operand `name` of shape `from` is read for an output of shape `to`.
fn define_operand(kernel: Kernel, name: &str, from: &Shape, to: &Shape) -> Kernel {
    let repeats = broadcast_axes(from, to);
    let dims = collapse(to.dims(), |d| repeats.contains(&d));
    let (last, repeats_last) = dims.last().copied().unwrap_or((1, false));
    let whole = from.len() == to.len();
    let aligned = last % 4 == 0;
    let kernel = kernel
        .define(format!("{name}_WHOLE"), whole.into())
        .define(format!("{name}_VEC4"), (whole || (aligned && !repeats_last)).into())
        .define(format!("{name}_SPLAT"), (from.len() == 1 || (aligned && repeats_last)).into());
    let pitch = pitches(dims.iter().map(|d| d.0));
    let stride = pitches(dims.iter().map(|&(size, repeats)| if repeats { 1 } else { size }));
    let axes: Vec<Axis> = (0..dims.len())
        .filter(|&d| !dims[d].1)
        .map(|d| Axis { pitch: pitch[d], size: dims[d].0, stride: stride[d] })
        .collect();
    define_index(kernel, name, if whole { &[] } else { &axes }, to.len())
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        Ok(vec![Meta::f32(broadcast_shapes(self.name(), &inputs[0].shape, &inputs[1].shape)?)])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (a, b, y, dy) = (&at.inputs[0], &at.inputs[1], &at.outputs[0], at.dy()?);
        let da = || match self {
            Binary::Add | Binary::Sub => dy.sum_to(a.shape()),
            Binary::Mul => dy.mul(b)?.sum_to(a.shape()),
            Binary::Div => dy.div(b)?.sum_to(a.shape()),
        };
        let db = || match self {
            Binary::Add => dy.sum_to(b.shape()),
            Binary::Sub => dy.sum_to(b.shape())?.scale(-1.0),
            Binary::Mul => dy.mul(a)?.sum_to(b.shape()),
            // -dy * a / b^2 = -dy * y / b, and b is constant over what is summed.
            Binary::Div => dy.mul(y)?.sum_to(b.shape())?.div(b)?.scale(-1.0),
        };
        Ok(vec![at.needs(0).then(da).transpose()?, at.needs(1).then(db).transpose()?])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let [a, b, y] = [to.input(0), to.input(1), to.output(0)].map(Shape::from);
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("FUNCTION", *self as usize)
            .define("LEN", y.len());
        let kernel = define_operand(define_operand(kernel, "A", &a, &y), "B", &b, &y);
        elementwise(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], y.len());
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (a, b) = (&inputs[0], &inputs[1]);
        let Ok(shape) = broadcast_shapes(self.name(), &a.shape, &b.shape) else { return Vec::new() };
        let (a, b) = (broadcast(a, &shape), broadcast(b, &shape));
        let value = |(&a, &b): (&f64, &f64)| match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
        };
        vec![Array::new(shape, a.data.iter().zip(&b.data).map(value).collect())]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Tensor {
    /// self + other, broadcasting.
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Add, other)
    }

    /// self - other, broadcasting.
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Sub, other)
    }

    /// self * other, broadcasting.
    pub fn mul(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Mul, other)
    }

    /// self / other, broadcasting.
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Div, other)
    }

    fn binary(&self, op: Binary, other: &Tensor) -> Result<Tensor> {
        self.tape().record1(op, &[self, other])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "binary", cases };

fn cases() -> Vec<Case> {
    let divisor = |shape: &[usize]| Input::filled(shape, Fill::Uniform(0.5, 2.0));
    let case = |op, a: &[usize], b: &[usize]| Case::new(op, vec![Input::normal(a), divisor(b)]);
    let mut all = Vec::new();
    for op in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div] {
        all.push(case(op, &[3, 47], &[3, 47]));
        all.push(case(op, &[2, 3, 4, 4], &[3, 1, 1]));
        all.push(case(op, &[3, 1, 5], &[1, 7, 1]));
    }
    for (a, b) in [
        (&[1][..], &[1][..]),
        (&[1, 1, 1, 1], &[1]),
        // One number, from either side, with a length that is no multiple of 4.
        (&[55], &[1]),
        (&[1], &[41]),
        // Rows and columns, aligned to vec4 and not.
        (&[5, 8], &[8]),
        (&[5, 7], &[7]),
        (&[5, 8], &[5, 1]),
        (&[5, 7], &[5, 1]),
        (&[8], &[5, 1]),
        (&[2, 1, 3, 8], &[2, 5, 1, 8]),
        // Per channel with odd planes.
        (&[2, 3, 7, 7], &[1, 3, 1, 1]),
        (&[2, 3, 5, 4], &[2, 1, 1, 4]),
        // Six dimensions that do not merge.
        (&[2, 1, 3, 1, 2, 1], &[1, 3, 1, 2, 1, 5]),
        (&[2, 1, 3, 1, 2, 4], &[1, 3, 1, 2, 1, 4]),
        (&[0, 5], &[5]),
        (&[4, 0], &[4, 1]),
    ] {
        all.push(case(Binary::Sub, a, b));
    }
    // More workgroups than one dimension of a grid holds need 67 million elements: the fold is tested by reduce.
    all.push(Case::new(Binary::Add, vec![Input::normal([300, 1023]), Input::normal([1023])]));
    all
}
