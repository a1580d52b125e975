//! Rows of unit length: y = x / max(|x|, eps) over the last dimension of x (.., D), with |x| the L2 norm and
//! eps 1e-12.
//!
//! dx = (dy - y (y . dy)) / |x|. A row that is no longer than eps has no direction, and gets no gradient: a
//! constant norm would send it 1e12 dy, which is what a dead channel or two equal samples would then train
//! with.

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs};
use crate::ops::rows::RowView;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/norm/normalize.wgsl");
const EPS: f32 = 1e-12;

/// y and norms (rows), from x.
#[derive(Debug, Clone, Copy)]
struct Normalize;

/// dx from y, norms, dy.
#[derive(Debug, Clone, Copy)]
struct NormalizeBackward;

/// x as rows along its last dimension.
fn rows(x: &[usize]) -> RowView {
    let (columns, outer) = x.split_last().map_or((1, x), |(columns, outer)| (*columns, outer));
    RowView { rows: outer.iter().product(), columns, strided: false }
}

fn kernel(entry: &'static str) -> Kernel {
    Kernel::new("normalize", entry, SHADER).define_f32("SMALLEST", EPS)
}

impl Op for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        if inputs[0].is_empty() {
            return Err(Error::shape(self.name(), "at least one element", inputs[0].to_string()));
        }
        Ok(vec![inputs[0].clone(), Meta::f32([rows(inputs[0].shape.dims()).rows])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (y, norms) = (&at.outputs[0], &at.outputs[1]);
        Ok(vec![Some(y.tape().record1(NormalizeBackward, &[y, norms, at.dy()?])?)])
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [Slot::Input(0), Slot::Output(0), Slot::Output(1)];
        rows(to.input(0)).by_row(to, kernel("forward"), &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let rows = rows(x.dims());
        let (mut y, mut norms) = (Vec::with_capacity(x.data.len()), Vec::with_capacity(rows.rows));
        for row in x.data.chunks(rows.columns) {
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            y.extend(row.iter().map(|x| x / norm.max(f64::from(EPS))));
            norms.push(norm);
        }
        vec![Array::new(x.shape.clone(), y), Array::new([rows.rows], norms)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

impl Op for NormalizeBackward {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output(0)];
        rows(to.input(0)).by_row(to, kernel("backward"), &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (y, norms, dy) = (&inputs[0], &inputs[1], &inputs[2]);
        let columns = rows(y.dims()).columns;
        let mut dx = Vec::with_capacity(y.data.len());
        for ((y, dy), norm) in y.data.chunks(columns).zip(dy.data.chunks(columns)).zip(&norms.data) {
            let product: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            let turned = |(y, dy): (&f64, &f64)| (dy - y * product) / norm;
            let has_direction = *norm > f64::from(EPS);
            dx.extend(y.iter().zip(dy).map(|pair| if has_direction { turned(pair) } else { 0.0 }));
        }
        vec![Array::new(y.shape.clone(), dx)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        5 * outputs[0].len() as u64
    }
}

impl Tensor {
    /// self / max(|self|, 1e-12), the norm over the last dimension; same shape. Rows of zeros stay zeros and
    /// get no gradient.
    pub fn normalize(&self) -> Result<Tensor> {
        let outputs = self.tape().record(Normalize, &[self])?;
        outputs.into_iter().next().ok_or_else(|| Error::shape("normalize", "an output", "none"))
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "normalize", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let shapes: [&[usize]; 8] =
        [&[1, 7], &[64, 16], &[5, 47], &[257, 3], &[3, 16, 8, 8], &[3, 1021], &[2, 5003], &[9, 9, 6]];
    for shape in shapes {
        all.push(Case::new(Normalize, vec![Input::normal(shape)]).saved_from(1));
    }
    // Squares that would be lost, and squares that would overflow.
    for size in [1e-9, 1e25] {
        let x = Input::filled([5, 17], Fill::Normal(size)).no_grad();
        all.push(Case::new(Normalize, vec![x]).saved_from(1));
    }
    let zeros = Input::filled([3, 12], Fill::Values(vec![0.0])).no_grad();
    all.push(Case::new(Normalize, vec![zeros]).saved_from(1));
    // What the gradient of a row of zeros is, and of one beside it.
    let norms = Input::filled([2], Fill::Values(vec![0.0, 2.0])).no_grad();
    let y = Input::normal([2, 12]).no_grad();
    all.push(Case::new(NormalizeBackward, vec![y.clone(), norms, y]));
    all
}
