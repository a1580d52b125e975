//! softmax(x)_i = exp(x_i) / sum_j exp(x_j) over one axis, and its logarithm; any shape. The maximum is subtracted first.
//!
//! dx = y (dy - sum y dy), and for the logarithm dx = dy - exp(y) sum dy.

use super::common::{expect_f32, expect_inputs};
use super::rows::RowView;
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::Kernel;
use crate::ops::loss::cross_entropy::log_sum_exp;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/softmax.wgsl");

/// y from x.
#[derive(Debug, Clone, Copy)]
struct Softmax {
    axis: usize,
    log: bool,
}

/// dx from y and dy.
#[derive(Debug, Clone, Copy)]
struct SoftmaxBackward(Softmax);

impl Softmax {
    /// The rows along the axis, and how far a row's elements lie apart.
    fn rows(self, dims: &[usize]) -> (RowView, usize) {
        let outer: usize = dims[..self.axis].iter().product();
        let inner: usize = dims[self.axis + 1..].iter().product();
        (RowView { rows: outer * inner, columns: dims[self.axis], strided: inner > 1 }, inner)
    }

    fn dispatch(self, to: &mut Lowering<'_>, entry: &'static str, bindings: &[Slot]) {
        let (rows, inner) = self.rows(to.output(0));
        let kernel = Kernel::new(self.name(), entry, SHADER);
        rows.by_row(to, kernel.define("INNER", inner).define("LOG", self.log.into()), bindings);
    }

    /// Calls `f` with the indices of the elements of each row.
    fn each_row(self, dims: &[usize], mut f: impl FnMut(&[usize])) {
        let (rows, inner) = self.rows(dims);
        for row in 0..rows.rows {
            let start = row / inner * rows.columns * inner + row % inner;
            let at: Vec<usize> = (0..rows.columns).map(|i| start + i * inner).collect();
            f(&at);
        }
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        if self.axis >= inputs[0].shape.rank() {
            let expected = format!("an axis below {} for {}", inputs[0].shape.rank(), inputs[0].shape);
            return Err(Error::shape(self.name(), expected, self.axis.to_string()));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let y = &at.outputs[0];
        Ok(vec![Some(y.tape().record1(SoftmaxBackward(*self), &[y, at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        self.dispatch(to, "forward", &[Slot::Input(0), Slot::Output(0)]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let mut y = Array::zeros(x.shape.clone());
        self.each_row(x.dims(), |at| {
            let (top, log_sum) = log_sum_exp(&at.iter().map(|&i| x.data[i]).collect::<Vec<_>>());
            for &i in at {
                let log = x.data[i] - top - log_sum;
                y.data[i] = if self.log { log } else { log.exp() };
            }
        });
        vec![y]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

impl Op for SoftmaxBackward {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        self.0.dispatch(to, "backward", &[Slot::Input(0), Slot::Input(1), Slot::Output(0)]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (y, dy) = (&inputs[0].data, &inputs[1].data);
        let mut dx = Array::zeros(inputs[0].shape.clone());
        self.0.each_row(inputs[0].dims(), |at| {
            let weight = |i: usize| if self.0.log { 1.0 } else { y[i] };
            let sum: f64 = at.iter().map(|&i| weight(i) * dy[i]).sum();
            for &i in at {
                dx.data[i] = if self.0.log { dy[i] - y[i].exp() * sum } else { y[i] * (dy[i] - sum) };
            }
        });
        vec![dx]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        4 * outputs[0].len() as u64
    }
}

impl Tensor {
    /// Softmax over `axis`.
    pub fn softmax(&self, axis: usize) -> Result<Tensor> {
        self.tape().record1(Softmax { axis, log: false }, &[self])
    }

    /// Logarithm of the softmax over `axis`, without ever taking the logarithm of a small number.
    pub fn log_softmax(&self, axis: usize) -> Result<Tensor> {
        self.tape().record1(Softmax { axis, log: true }, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "softmax", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let shapes: [(&[usize], usize); 14] = [
        (&[1], 0),
        (&[5, 1], 1),
        (&[64, 10], 1),
        (&[65, 48], 1),
        (&[7, 5, 3], 0),
        (&[7, 5, 3], 1),
        (&[2, 8, 5, 4], 1),
        (&[3, 4, 7, 11], 3),
        (&[0, 5], 1),
        (&[5, 1021], 1),
        (&[67, 516], 1),
        (&[3, 2048], 1),
        (&[2, 1000, 3], 1),
        (&[2, 5003], 1),
    ];
    for (shape, axis) in shapes {
        // A long row of very unequal numbers has gradients below what a finite difference in f64 resolves.
        let size = if shape[axis] > 100 { 3.0 } else { 30.0 };
        for log in [false, true] {
            all.push(Case::new(Softmax { axis, log }, vec![Input::normal(shape)]));
            all.push(Case::new(Softmax { axis, log }, vec![Input::filled(shape, Fill::Normal(size))]));
        }
    }
    all
}
