//! Elements taken along an axis: y[.., j, ..] = x[.., index[.., j, ..], ..], as torch.gather.
//!
//! `index` is i32, with as many dimensions as x and, but for the axis, sizes of at most x's; y has its shape. An index
//! outside 0..size gives NaN there and no gradient. dx is cleared, and then each line of it gets its dy in
//! ascending order by one invocation, or by several that own a segment each: no atomics, so the same bits
//! every time.

use crate::gpu::{Caps, Grid, Kernel};
use crate::ops::common::{elementwise, expect_inputs, per_element};
use crate::ops::costs::Costs;
use crate::ops::shape::strided::{expect_rank, unravel};
use crate::ops::spec::{Case, Input, OpSpec};
use crate::tape::{Array, Backward, DType, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/shape/gather.wgsl");

/// y = x at `index` along `axis`. Inputs: x f32, index i32.
#[derive(Debug, Clone, Copy)]
pub struct Gather {
    /// The axis that the indices count along.
    pub axis: usize,
}

/// dx, from dy and index.
#[derive(Debug, Clone)]
struct GatherBackward {
    axis: usize,
    shape: Shape,
}

/// Invocations a workgroup of `backward_x`.
const SCATTER_WORKGROUP: usize = 64;

/// How the gradient's invocations share lines of x along the axis.
struct Segments {
    lines: usize,
    /// Segments of a line, and elements of each.
    count: usize,
    size: usize,
}

impl Segments {
    /// Each segment reads all of a line's indices, so there are no more than keep the adapter busy.
    fn new(caps: &Caps, along: usize, index: &[usize], axis: usize) -> Self {
        let wanted = Costs::of(caps).gather_lanes;
        let lines: usize =
            index.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, size)| size).product();
        let size = along.div_ceil((wanted / lines.max(1)).clamp(1, along.max(1))).max(1);
        Self { lines, count: along.div_ceil(size), size }
    }

    fn define(&self, kernel: Kernel) -> Kernel {
        kernel.define("LINES", self.lines.max(1)).define("SEGMENTS", self.count).define("SEGMENT", self.size)
    }
}

/// The kernel's constants for x and index of these sizes.
fn kernel(entry: &'static str, axis: usize, x: &[usize], index: &[usize]) -> Kernel {
    // Sizes of zero can't be divisors, also not in an entry point that isn't used; an empty index has no INDEX_AXIS.
    let (x_strides, strides) = (Shape::from(x).strides(), Shape::from(index).strides());
    // Axes are numbered innermost first.
    let axes = || (0..x.len()).rev();
    Kernel::new("gather", entry, SHADER)
        .define("AXES", x.len())
        .define("X_AXIS", x[axis])
        .define("X_AXIS_STRIDE", x_strides[axis])
        .define("INDEX_AXIS", if index.contains(&0) { 0 } else { index[axis] })
        .define("INDEX_AXIS_STRIDE", strides[axis])
        .define_each("X_SIZE", axes().map(|a| x[a].max(1)))
        .define_each("X_STRIDE", axes().map(|a| x_strides[a]))
        .define_each("INDEX_SIZE", axes().map(|a| index[a].max(1)))
        .define_each("INDEX_STRIDE", axes().map(|a| strides[a]))
        .define_each("KEEP", axes().map(|a| usize::from(a != axis)))
}

/// Calls `visit(element of x, element of index)` for each index in range.
fn each(axis: usize, shape: &Shape, index: &Array, mut visit: impl FnMut(usize, usize)) {
    let strides = shape.strides();
    for (i, &at) in index.data.iter().enumerate() {
        if at >= 0.0 && at < shape[axis] as f64 {
            let mut place = unravel(i, index.dims());
            place[axis] = at as usize;
            visit(place.iter().zip(&strides).map(|(i, s)| i * s).sum(), i);
        }
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (x, index) = (&inputs[0], &inputs[1]);
        expect_rank(self.name(), x)?;
        if x.dtype != DType::F32 || index.dtype != DType::I32 {
            let got = format!("{x} and {index}");
            return Err(Error::shape(self.name(), "x as f32 and index as i32", got));
        }
        let sizes = x.shape.dims().iter().zip(index.shape.dims()).enumerate();
        let fits = sizes.fold(true, |fits, (a, (x, index))| fits && (a == self.axis || index <= x));
        if x.shape.rank() != index.shape.rank() || self.axis >= x.shape.rank() || !fits {
            let expected = format!("an index like {x} of at most its sizes in all but axis {}", self.axis);
            return Err(Error::shape(self.name(), expected, index.to_string()));
        }
        Ok(vec![Meta::f32(index.shape.clone())])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, index) = (&at.inputs[0], &at.inputs[1]);
        let op = GatherBackward { axis: self.axis, shape: x.shape().clone() };
        Ok(vec![Some(x.tape().record1(op, &[at.dy()?, index])?), None])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, index) = (to.input(0), to.input(1));
        let segments = Segments::new(to.caps(), x[self.axis], index, self.axis);
        let kernel = segments.define(kernel("forward", self.axis, x, index)).define("VEC4S", 0);
        let len = to.output(0).iter().product();
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, index) = (&inputs[0], &inputs[1]);
        let mut y = index.map(|_| f64::NAN);
        each(self.axis, &x.shape, index, |from, to| y.data[to] = x.data[from]);
        vec![y]
    }
}

impl Op for GatherBackward {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.shape.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, index) = (to.output(0), to.input(1));
        let segments = Segments::new(to.caps(), x[self.axis], index, self.axis);
        let kernel = |entry| segments.define(kernel(entry, self.axis, x, index));
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        elementwise(to, kernel("clear").define("LEN", 0), &bindings[2..], x.iter().product());
        let grid = Grid::linear((segments.lines * segments.count).div_ceil(SCATTER_WORKGROUP));
        to.dispatch(kernel("backward_x").define("LEN", 0).define("VEC4S", 0), &bindings, grid);
        Ok(())
    }

    /// It is added to in memory, which f16 would round every time.
    fn keep_f32(&self) -> &[usize] {
        &[0]
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (dy, index) = (&inputs[0], &inputs[1]);
        let mut dx = Array::zeros(self.shape.clone());
        each(self.axis, &self.shape, index, |to, from| dx.data[to] += dy.data[from]);
        vec![dx]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Tensor {
    /// Elements along an axis by i32 index, as torch.gather; an index out of range gives NaN.
    pub fn gather(&self, axis: usize, index: &Tensor) -> Result<Tensor> {
        self.tape().record1(Gather { axis }, &[self, index])
    }
}

/// Conformance cases. That an index out of range gives NaN is in tests/gather.rs: no tolerance lets NaN pass.
pub const SPEC: OpSpec = OpSpec { name: "gather", cases };

fn cases() -> Vec<Case> {
    let gather = |axis: usize, x: &[usize], index: &[usize]| {
        Case::new(Gather { axis }, vec![Input::normal(x), Input::below(index, x[axis])])
    };
    vec![
        gather(0, &[1], &[1]),
        gather(0, &[47], &[13]),
        gather(0, &[3], &[41]),
        gather(1, &[5, 10], &[5, 1]),
        gather(1, &[5, 10], &[3, 11]),
        gather(1, &[47, 5], &[47, 41]),
        gather(0, &[5, 7], &[4, 7]),
        gather(1, &[3, 5, 7], &[2, 6, 4]),
        gather(3, &[2, 1, 3, 4, 2, 3], &[2, 1, 2, 5, 1, 3]),
        gather(1, &[3, 5], &[3, 0]),
        gather(0, &[1021, 3], &[55, 2]),
        gather(0, &[300], &[1021]),
        gather(1, &[150, 41], &[150, 7]),
    ]
}
