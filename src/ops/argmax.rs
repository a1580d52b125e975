//! Place of the maximum along a dimension as i32, the first one of equals; and the gradient of max, which goes there.

use super::common::{expect_f32, expect_inputs, per_element};
use super::costs::Costs;
use super::layout::{Axis, collapse, define_index, project};
use super::reduce::{Space, check_axes, kept_sizes, reduced_shape};
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::{Caps, Grid, Kernel};
use crate::tape::{Array, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/argmax.wgsl");

/// y = place of the maximum over `axes`, counted in row-major order over them. `output` has the kept elements in order.
#[derive(Debug, Clone)]
pub struct ArgMax {
    pub(super) axes: Vec<usize>,
    pub(super) output: Shape,
}

/// Gradient of max: dx = dy at the place, 0 elsewhere. Inputs: places, dy. `output` is x's shape.
#[derive(Debug, Clone)]
pub(super) struct Scatter {
    pub axes: Vec<usize>,
    pub output: Shape,
}

/// The constants of every entry point of the shader.
fn kernel(caps: &Caps, name: &'static str, entry: &'static str, space: &Space) -> Kernel {
    let turned = |axes: &[Axis]| -> Vec<Axis> {
        axes.iter().map(|a| Axis { pitch: a.stride, size: a.size, stride: a.pitch }).collect()
    };
    let len = space.outputs * space.elements;
    let kernel =
        space.define(Kernel::new(name, entry, SHADER)).define("LANES", Costs::of(caps).reducing_lanes);
    let kernel = define_index(kernel, "OUTPUT", &turned(&space.kept), len);
    define_index(kernel, "PLACE", &turned(&space.reduced), len)
}

/// Dispatches argmax over merged dimensions, each with whether it is reduced.
pub(super) fn lower_argmax(
    to: &mut Lowering<'_>,
    name: &'static str,
    dims: &[(usize, bool)],
    x: Slot,
    y: Slot,
) {
    let space = Space::new(dims);
    // Columns read neighbours with neighbouring invocations; long rows need a workgroup for that.
    let rows = dims.last().is_none_or(|d| d.1);
    let &Costs { reducing_lanes: lanes, argmax: ref costs, .. } = Costs::of(to.caps());
    let plenty = space.outputs >= costs.plenty[usize::from(rows)];
    let serial = space.elements <= costs.short || (plenty && (!rows || space.elements <= costs.longest));
    let (entry, workgroups) = match serial {
        true => ("serial", space.outputs.div_ceil(lanes)),
        false => ("cooperative", space.outputs),
    };
    // Only the gradient counts elements of x, but the text is one.
    let kernel = kernel(to.caps(), name, entry, &space).define("LEN", space.outputs * space.elements);
    to.dispatch(kernel, &[x, y], Grid::linear(workgroups));
}

impl Op for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        let x = &inputs[0].shape;
        if check_axes(self.name(), x, &self.axes)? == 0 {
            return Err(Error::shape(self.name(), "at least one element to compare", x.to_string()));
        }
        if self.output.len() != kept_sizes(x, &self.axes).product::<usize>() {
            let expected = format!("an output that holds what is kept of {x}");
            return Err(Error::shape(self.name(), expected, self.output.to_string()));
        }
        Ok(vec![Meta::i32(self.output.clone())])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let dims = collapse(to.input(0), |d| self.axes.contains(&d));
        lower_argmax(to, self.name(), &dims, Slot::Input(0), Slot::Output(0));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let mut best = vec![(f64::NEG_INFINITY, 0); self.output.len()];
        for (x, (o, place)) in x.data.iter().zip(outputs_and_places(x.dims(), &self.axes)) {
            if *x > best[o].0 {
                best[o] = (*x, place);
            }
        }
        vec![Array::new(self.output.clone(), best.into_iter().map(|b| b.1 as f64).collect())]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        "max"
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.output.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let space = Space::new(&collapse(self.output.dims(), |d| self.axes.contains(&d)));
        let kernel = kernel(to.caps(), self.name(), "backward_max", &space);
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], self.output.len());
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (places, dy) = (&inputs[0], &inputs[1]);
        let dx = outputs_and_places(self.output.dims(), &self.axes)
            .map(|(o, place)| if places.data[o] == place as f64 { dy.data[o] } else { 0.0 });
        vec![Array::new(self.output.clone(), dx.collect())]
    }
}

/// For each element: the output it belongs to, and its place among those that this output reduces.
fn outputs_and_places(dims: &[usize], axes: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let kept: Vec<usize> = (0..dims.len()).filter(|d| !axes.contains(d)).collect();
    project(dims, axes).into_iter().zip(project(dims, &kept))
}

impl Tensor {
    /// Place of the maximum along `axis`, which is dropped, as i32; the first one of equals.
    pub fn argmax(&self, axis: usize) -> Result<Tensor> {
        let axes = vec![axis];
        let output = reduced_shape(self.shape(), &axes, false);
        self.tape().record1(ArgMax { axes, output }, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "argmax", cases };

fn cases() -> Vec<Case> {
    let case = |dims: &[usize], axes: &[usize], fill| {
        let op = ArgMax { axes: axes.to_vec(), output: reduced_shape(&dims.into(), axes, false) };
        Case::new(op, vec![Input::filled(dims, fill)])
    };
    let ties = || Fill::Values(vec![-4.0, -1.0, -3.0, -1.0, -2.0]);
    vec![
        case(&[1], &[0], ties()),
        case(&[3, 10], &[1], Fill::Distinct),
        case(&[3, 10], &[0], Fill::Distinct),
        case(&[1, 1000], &[1], Fill::Distinct),
        case(&[5, 41, 47], &[1], Fill::Distinct),
        case(&[5, 41, 3], &[1], Fill::Distinct),
        case(&[2, 3, 5, 7], &[1, 3], Fill::Distinct),
        case(&[2050, 33], &[1], Fill::Distinct),
        // The first of equals, within an invocation and across them.
        case(&[10], &[0], ties()),
        case(&[2, 333], &[1], ties()),
        case(&[333, 2], &[0], ties()),
        case(&[0, 4], &[1], ties()),
        // Over 65,535 workgroups.
        case(&[65_537, 511], &[1], ties()),
    ]
}
