//! sum, mean and max over any dimensions, which are kept with size 1 or dropped; reducing all and dropping them gives
//! shape `[1]`. The gradient of max goes to the first maximum in row-major order.

use super::argmax::{ArgMax, Scatter};
use super::broadcast::Broadcast;
use super::common::{expect_f32, expect_inputs};
use super::costs::Costs;
use super::layout::{
    Axis, MOST_DIMS, broadcast_axes, broadcast_shapes, collapse, define_index, pitches, project,
};
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::{Grid, Kernel};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/reduce.wgsl");

/// What a reduction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Mean,
    Max,
}

/// y = reduction of x over `axes`. `output` has the kept elements in order; sizes of 1 may come and go.
#[derive(Debug, Clone)]
pub struct Reduce {
    pub(super) reduction: Reduction,
    pub(super) axes: Vec<usize>,
    pub(super) output: Shape,
    /// Applied to a sum.
    pub(super) factor: f32,
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.reduction {
            Reduction::Sum => "sum",
            Reduction::Mean => "mean",
            Reduction::Max => "max",
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        let x = &inputs[0].shape;
        let elements = check_axes(self.name(), x, &self.axes)?;
        if self.output.len() != kept_sizes(x, &self.axes).product::<usize>() {
            let expected = format!("an output that holds what is kept of {x}");
            return Err(Error::shape(self.name(), expected, self.output.to_string()));
        }
        if elements == 0 && self.reduction != Reduction::Sum {
            return Err(Error::shape(self.name(), "at least one element to reduce", x.to_string()));
        }
        Ok(vec![Meta::f32(self.output.clone())])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, dy) = (&at.inputs[0], at.dy()?);
        let (axes, output) = (self.axes.clone(), x.shape().clone());
        let dx = if self.reduction == Reduction::Max {
            let first = ArgMax { axes: axes.clone(), output: self.output.clone() };
            let first = x.tape().record1(first, &[x])?;
            x.tape().record1(Scatter { axes, output }, &[&first, dy])?
        } else {
            x.tape().record1(Broadcast { axes, output, factor: self.factor }, &[dy])?
        };
        Ok(vec![Some(dx)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let dims = collapse(to.input(0), |d| self.axes.contains(&d));
        let stage = Stage { name: self.name(), max: self.reduction == Reduction::Max, factor: self.factor };
        stage.lower(to, dims, Slot::Input(0), Slot::Output(0));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let max = self.reduction == Reduction::Max;
        let mut y = vec![if max { f64::NEG_INFINITY } else { 0.0 }; self.output.len()];
        for (x, o) in x.data.iter().zip(project(x.dims(), &self.axes)) {
            y[o] = if max { y[o].max(*x) } else { y[o] + x };
        }
        y.iter_mut().for_each(|y| *y *= f64::from(self.factor));
        vec![Array::new(self.output.clone(), y)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

/// Appends the dispatches of a sum over `axes` of a tensor with these sizes, for ops that have one inside.
pub(super) fn lower_sum(to: &mut Lowering<'_>, dims: &[usize], axes: &[usize], x: Slot, y: Slot) {
    let stage = Stage { name: "sum", max: false, factor: 1.0 };
    stage.lower(to, collapse(dims, |d| axes.contains(&d)), x, y);
}

/// The lowering of one reduction, in one or two dispatches.
struct Stage {
    name: &'static str,
    max: bool,
    factor: f32,
}

/// The dimensions that an index runs over, in the kernels' constants: `kept` for outputs, `reduced` for the rest.
pub(super) struct Space {
    /// Axes of the index of outputs.
    pub kept: Vec<Axis>,
    /// Axes of the index of reduced elements.
    pub reduced: Vec<Axis>,
    /// Outputs.
    pub outputs: usize,
    /// Elements that one output reduces.
    pub elements: usize,
}

impl Space {
    /// From merged dimensions and whether each is reduced.
    pub fn new(dims: &[(usize, bool)]) -> Self {
        let stride = pitches(dims.iter().map(|d| d.0));
        let part = |which: bool| -> (Vec<Axis>, usize) {
            let pitch = pitches(dims.iter().map(|&(size, reduced)| if reduced == which { size } else { 1 }));
            let of = (0..dims.len()).filter(|&d| dims[d].1 == which);
            let axes = of.map(|d| Axis { pitch: pitch[d], size: dims[d].0, stride: stride[d] }).collect();
            (axes, dims.iter().filter(|d| d.1 == which).map(|d| d.0).product())
        };
        let ((kept, outputs), (reduced, elements)) = (part(false), part(true));
        Self { kept, reduced, outputs, elements }
    }

    /// Gives a kernel `kept_offset` and `reduced_offset`, and their ranges.
    pub fn define(&self, kernel: Kernel) -> Kernel {
        let kernel = define_index(kernel, "KEPT", &self.kept, self.outputs);
        define_index(kernel, "REDUCED", &self.reduced, self.elements)
            .define("OUTPUTS", self.outputs)
            .define("REDUCED", self.elements)
    }
}

impl Stage {
    fn lower(&self, to: &mut Lowering<'_>, mut dims: Vec<(usize, bool)>, from: Slot, target: Slot) {
        let rows = dims.last().is_none_or(|d| d.1);
        let vec4 = dims.last().is_some_and(|d| d.0 % 4 == 0);
        if let Some(last) = dims.last_mut().filter(|_| vec4) {
            last.0 /= 4;
        }
        let space = Space::new(&dims);
        let (outputs, elements) = (space.outputs, space.elements);
        let &Costs { reducing_lanes: lanes, reduce: ref costs, .. } = Costs::of(to.caps());
        // Short rows, and outputs in plenty, need no cooperation; columns never do, their neighbours are outputs.
        let enough = outputs >= costs.plenty && elements <= costs.longest;
        let serial = !rows || elements <= costs.short || enough;
        let chunks = match (rows, serial) {
            (false, _) => costs.columns.parts(elements, outputs),
            (true, false) => costs.rows.parts(elements, outputs),
            (true, true) => 1,
        };
        let chunk = elements.div_ceil(chunks).max(1);
        let chunks = elements.div_ceil(chunk).max(1);
        let factor = if chunks == 1 { self.factor } else { 1.0 };
        let kernel = Kernel::new(self.name, if serial { "serial" } else { "cooperative" }, SHADER)
            .define("VEC4", vec4.into())
            .define("ROWS", rows.into())
            .define("MAX", self.max.into())
            .define("LANES", lanes)
            .define("CHUNK", chunk)
            .define("CHUNKS", chunks)
            .define_f32("FACTOR", factor);
        let jobs = outputs * chunks;
        let grid = Grid::linear(if serial { jobs.div_ceil(lanes) } else { jobs });
        let kernel = space.define(kernel);
        if chunks == 1 {
            to.dispatch(kernel, &[from, target], grid);
            return;
        }
        let width = if vec4 && !rows { 4 } else { 1 };
        let partials = to.scratch(jobs * width);
        to.dispatch(kernel, &[from, partials], grid);
        let (outputs, chunks) = ((outputs * width, false), (chunks, true));
        let rest = if serial { [chunks, outputs] } else { [outputs, chunks] };
        self.lower(to, rest.into_iter().filter(|d| d.0 != 1).collect(), partials, target);
    }
}

/// Fails where axes repeat or are out of range. Returns how many elements one output reduces.
pub(super) fn check_axes(op: &str, x: &Shape, axes: &[usize]) -> Result<usize> {
    if x.rank() > MOST_DIMS {
        return Err(Error::shape(op, format!("at most {MOST_DIMS} dimensions"), x.to_string()));
    }
    let repeats = (1..axes.len()).any(|i| axes[..i].contains(&axes[i]));
    if repeats || axes.iter().any(|&axis| axis >= x.rank()) {
        let expected = format!("distinct axes below {}, the rank of {x}", x.rank());
        return Err(Error::shape(op, expected, format!("{axes:?}")));
    }
    Ok(axes.iter().map(|&axis| x[axis]).product())
}

/// Sizes that are not reduced.
pub(super) fn kept_sizes(x: &Shape, axes: &[usize]) -> impl Iterator<Item = usize> {
    x.dims().iter().enumerate().filter(|(d, _)| !axes.contains(d)).map(|(_, &size)| size)
}

/// Shape of a reduction's output: [1] where nothing is left.
pub(super) fn reduced_shape(x: &Shape, axes: &[usize], keep: bool) -> Shape {
    if keep {
        let size = |(d, &size): (usize, &usize)| if axes.contains(&d) { 1 } else { size };
        return Shape::new(x.dims().iter().enumerate().map(size).collect::<Vec<_>>());
    }
    let kept: Vec<usize> = kept_sizes(x, axes).collect();
    Shape::new(if kept.is_empty() { vec![1] } else { kept })
}

impl Tensor {
    /// Sum over `axes`, which keep size 1 or are dropped.
    pub fn sum(&self, axes: &[usize], keep: bool) -> Result<Tensor> {
        self.reduce(Reduction::Sum, axes, keep)
    }

    /// Mean over `axes`, which keep size 1 or are dropped.
    pub fn mean(&self, axes: &[usize], keep: bool) -> Result<Tensor> {
        self.reduce(Reduction::Mean, axes, keep)
    }

    /// Maximum over `axes`, which keep size 1 or are dropped. Its gradient goes to the first maximum.
    pub fn max(&self, axes: &[usize], keep: bool) -> Result<Tensor> {
        self.reduce(Reduction::Max, axes, keep)
    }

    /// Sum over all dimensions along which a tensor of `shape` repeats to become this one: broadcasting's gradient.
    pub fn sum_to(&self, shape: &Shape) -> Result<Tensor> {
        if self.shape() == shape {
            return Ok(self.clone());
        }
        if broadcast_shapes("sum_to", shape, self.shape())? != *self.shape() {
            let expected = format!("a shape that broadcasts to {}", self.shape());
            return Err(Error::shape("sum_to", expected, shape.to_string()));
        }
        let axes = broadcast_axes(shape, self.shape());
        let op = Reduce { reduction: Reduction::Sum, axes, output: shape.clone(), factor: 1.0 };
        self.tape().record1(op, &[self])
    }

    fn reduce(&self, reduction: Reduction, axes: &[usize], keep: bool) -> Result<Tensor> {
        self.tape().record1(Reduce::new(reduction, self.shape(), axes, keep), &[self])
    }
}

impl Reduce {
    /// The reduction of a tensor of shape `x` over `axes`.
    pub fn new(reduction: Reduction, x: &Shape, axes: &[usize], keep: bool) -> Self {
        // An axis out of range counts as 1 here; infer refuses it.
        let elements: usize = axes.iter().map(|&a| x.dims().get(a).copied().unwrap_or(1)).product();
        let factor = if reduction == Reduction::Mean { 1.0 / elements.max(1) as f32 } else { 1.0 };
        Self { reduction, axes: axes.to_vec(), output: reduced_shape(x, axes, keep), factor }
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "reduce", cases };

fn cases() -> Vec<Case> {
    let case = |reduction, dims: &[usize], axes: &[usize], keep, fill| {
        let op = Reduce::new(reduction, &Shape::from(dims), axes, keep);
        Case::new(op, vec![Input::filled(dims, fill)])
    };
    let mut all = Vec::new();
    for (dims, axes) in [
        (&[1][..], &[0][..]),
        (&[55], &[0]),
        (&[3, 47], &[0]),
        (&[3, 47], &[1]),
        (&[47, 3], &[0, 1]),
        (&[5, 8], &[0]),
        (&[5, 8], &[1]),
        (&[41, 1, 1], &[1, 2]),
        // Per channel: planes of a multiple of 4 and not, and one plane's mean.
        (&[3, 5, 4, 4], &[0, 2, 3]),
        (&[3, 5, 7, 7], &[0, 2, 3]),
        (&[3, 5, 7, 7], &[2, 3]),
        (&[2, 3, 2, 5, 2, 7], &[0, 2, 4]),
        (&[2, 3, 2, 5, 2, 4], &[1, 3, 5]),
        // Around one workgroup's lanes.
        (&[3, 63], &[1]),
        (&[3, 65], &[1]),
        (&[2, 260], &[1]),
        // Two stages: columns, and rows as scalars and as vec4.
        (&[1031, 3], &[0]),
        (&[2053, 8], &[0]),
        (&[3, 8209], &[1]),
        (&[5, 3, 16396], &[0, 2]),
        // Outputs in plenty.
        (&[2049, 49], &[1]),
        (&[0, 5], &[1]),
    ] {
        for (i, reduction) in [Reduction::Sum, Reduction::Mean, Reduction::Max].into_iter().enumerate() {
            let fill = if i == 2 { Fill::Distinct } else { Fill::Uniform(-0.5, 1.0) };
            all.push(case(reduction, dims, axes, i % 2 == 0, fill));
        }
    }
    all.push(case(Reduction::Sum, &[5, 0], &[1], true, Fill::Normal(1.0)));
    // Over 65,535 workgroups.
    all.push(case(Reduction::Sum, &[65_537, 511], &[1], false, Fill::Values(vec![1.0, 2.0, 3.0, -4.0, 0.5])));
    all.push(case(Reduction::Max, &[4], &[0], false, Fill::Values(vec![-2.0, -1.0, -7.0, -3.0])));
    all
}
