//! Distances between all rows of x (N, D): y_ij = |x_i - x_j|, L2, shape (N, N), the diagonal 0.
//!
//! dx_i = sum_j (dy_ij + dy_ji) (x_i - x_j) / y_ij, where pairs of distance 0 count nothing: the root has no
//! derivative there, and equal samples in a batch must not make one. Differences are squared as they are; the
//! usual |x_i|^2 + |x_j|^2 - 2 x_i . x_j would lose the digits of near rows.

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/distance.wgsl");

/// y from x.
#[derive(Debug, Clone, Copy)]
struct Distance;

/// dx from x, y, dy.
#[derive(Debug, Clone, Copy)]
struct DistanceBackward;

fn kernel(entry: &'static str, x: &[usize]) -> Kernel {
    Kernel::new("distance", entry, SHADER).define("COUNT", x[0]).define("COLUMNS", x[1])
}

impl Op for Distance {
    fn name(&self) -> &'static str {
        "distance"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        match inputs[0].shape.dims() {
            [n, d] if n * d > 0 => Ok(vec![Meta::f32([*n, *n])]),
            _ => Err(Error::shape(self.name(), "rows (N, D), not empty", inputs[0].to_string())),
        }
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, y) = (&at.inputs[0], &at.outputs[0]);
        Ok(vec![Some(x.tape().record1(DistanceBackward, &[x, y, at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let x = to.input(0).to_vec();
        per_element(to, kernel("forward", &x), &[Slot::Input(0), Slot::Output(0)], x[0] * x[0]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let rows: Vec<&[f64]> = x.data.chunks(x.dims()[1]).collect();
        let distance =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let y = rows.iter().flat_map(|a| rows.iter().map(|b| distance(a, b))).collect();
        vec![Array::new([rows.len(), rows.len()], y)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        3 * (inputs[0].len() * inputs[0].shape[0]) as u64
    }
}

impl Op for DistanceBackward {
    fn name(&self) -> &'static str {
        "distance"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let x = to.input(0).to_vec();
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output(0)];
        per_element(to, kernel("backward", &x), &bindings, x[0] * x[1]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, y, dy) = (&inputs[0], &inputs[1].data, &inputs[2].data);
        let (n, d) = (x.dims()[0], x.dims()[1]);
        let mut dx = Array::zeros(x.shape.clone());
        for pair in (0..n * n).filter(|pair| y[*pair] > 0.0) {
            let (a, b) = (pair / n, pair % n);
            for i in 0..d {
                let share = dy[pair] * (x.data[a * d + i] - x.data[b * d + i]) / y[pair];
                dx.data[a * d + i] += share;
                dx.data[b * d + i] -= share;
            }
        }
        vec![dx]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        4 * (inputs[0].len() * inputs[0].shape[0]) as u64
    }
}

impl Tensor {
    /// L2 distances between all rows of self (N, D); shape (N, N). Equal rows get no gradient from their
    /// pair.
    pub fn pairwise_distance(&self) -> Result<Tensor> {
        self.tape().record1(Distance, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "distance", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for shape in [[1, 7], [2, 1], [5, 47], [33, 3], [17, 64], [3, 1021], [65, 16]] {
        all.push(Case::new(Distance, vec![Input::normal(shape)]));
    }
    // Rows that are equal: distance 0 and a gradient without it.
    let equal =
        Input::filled([6, 4], Fill::Values(vec![0.5, -1.0, 2.0, 0.25, 0.5, -1.0, 2.0, 0.75])).no_grad();
    all.push(Case::new(Distance, vec![equal.clone()]));
    let near =
        Input::filled([4, 3], Fill::Values(vec![1000.0, 1000.0, 1000.0, 1000.5, 1000.0, 1000.25])).no_grad();
    all.push(Case::new(Distance, vec![near]));
    // Its rows alternate between two that are 0.5 apart.
    let (zero_half, half_zero) = (vec![0.0, 0.5, 0.0, 0.5, 0.0, 0.5], vec![0.5, 0.0, 0.5, 0.0, 0.5, 0.0]);
    let saved = Input::filled([6, 6], Fill::Values([zero_half, half_zero].concat())).no_grad();
    all.push(Case::new(DistanceBackward, vec![equal, saved, Input::normal([6, 6]).no_grad()]));
    all
}
