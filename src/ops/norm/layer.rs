//! Layer normalisation (Ba, Kiros and Hinton 1607.06450) of x (.., D) over the trailing dimensions D that gamma and beta
//! have: y = (x - mean) / sqrt(var + eps) * gamma + beta, with the biased variance.
//!
//! With a residual r of x's shape it is that of x + r, and dx goes to both: what stands behind each half of a layer of a transformer
//! (Vaswani et al. 1706.03762) is one dispatch, and where no gradient is wanted the sum is never stored.

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::costs::Costs;
use crate::ops::rows::RowView;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/norm/layer_norm.wgsl");

/// y and row stats (rows, 2), from x, gamma, beta; maybe of x + r, with r as the last input.
#[derive(Debug, Clone, Copy)]
struct LayerNorm {
    eps: f32,
    /// Whether x + r is an output too: the gradient reads it.
    kept: bool,
}

/// dx from x, gamma, dy, row stats.
#[derive(Debug, Clone, Copy)]
struct LayerNormBackward;

/// dgamma and dbeta from x, gamma, dy, row stats.
#[derive(Debug, Clone, Copy)]
struct AffineBackward;

/// x as rows of as many elements as gamma has.
fn rows(x: &[usize], gamma: &[usize]) -> RowView {
    let columns = gamma.iter().product::<usize>();
    RowView { rows: x[..x.len() - gamma.len()].iter().product(), columns, strided: false }
}

/// What is normalised: x, or x + r, which may be an output, too.
#[derive(Clone, Copy, Default)]
struct Summed {
    residual: bool,
    kept: bool,
}

fn kernel(entry: &'static str, eps: f32, rows: RowView, chunks: usize, summed: Summed) -> Kernel {
    Kernel::new("layer_norm", entry, SHADER)
        .define_f32("EPS", eps)
        .define("CHUNKS", chunks)
        .define("PER", rows.rows.div_ceil(chunks))
        .define("DIRECT", (chunks == 1).into())
        .define("RESIDUAL", summed.residual.into())
        .define("KEPT", summed.kept.into())
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let residual = inputs.len() == 4;
        expect_inputs(self.name(), inputs, if residual { 4 } else { 3 })?;
        expect_f32(self.name(), inputs)?;
        expect_same(self.name(), &inputs[1].shape, &inputs[2].shape)?;
        let (x, gamma) = (inputs[0].shape.dims(), inputs[1].shape.dims());
        if gamma.is_empty() || !x.ends_with(gamma) || inputs[0].is_empty() {
            let expected = format!("x that ends with gamma's sizes {}, not empty", inputs[1].shape);
            return Err(Error::shape(self.name(), expected, inputs[0].to_string()));
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(Error::shape(self.name(), "eps above zero", self.eps.to_string()));
        }
        if residual {
            expect_same(self.name(), &inputs[0].shape, &inputs[3].shape)?;
        }
        let stats = Meta::f32([rows(x, gamma).rows, 2]);
        let total = (self.kept && residual).then(|| inputs[0].clone());
        Ok([inputs[0].clone(), stats].into_iter().chain(total).collect())
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let residual = at.inputs.len() == 4;
        let x = if residual { &at.outputs[2] } else { &at.inputs[0] };
        let inputs = [x, &at.inputs[1], at.dy()?, &at.outputs[1]];
        let tape = x.tape();
        let wanted = at.needs(0) || residual && at.needs(3);
        let dx = wanted.then(|| tape.record1(LayerNormBackward, &inputs)).transpose()?;
        let mut all = vec![dx.clone().filter(|_| at.needs(0))];
        if at.needs(1) || at.needs(2) {
            all.extend(tape.record(AffineBackward, &inputs)?.into_iter().map(Some));
        }
        all.resize(3, None);
        if residual {
            all.push(dx.filter(|_| at.needs(3)));
        }
        Ok(all)
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let rows = rows(to.input(0), to.input(1));
        let residual = to.input_count() == 4;
        let kept = residual && self.kept;
        let mut bindings =
            vec![Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output(0), Slot::Output(1)];
        bindings.extend(residual.then_some(Slot::Input(3)));
        bindings.extend(kept.then_some(Slot::Output(2)));
        let kernel = kernel("forward", self.eps, rows, 1, Summed { residual, kept });
        rows.by_row(to, kernel, &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (gamma, beta) = (&inputs[1].data, &inputs[2].data);
        let mut x = inputs[0].clone();
        let residual = inputs.get(3).into_iter().flat_map(|r| &r.data);
        x.data.iter_mut().zip(residual).for_each(|(x, r)| *x += r);
        let rows = rows(x.dims(), inputs[1].dims());
        let d = rows.columns as f64;
        let (mut y, mut stats) = (Vec::new(), Vec::new());
        for row in x.data.chunks(rows.columns) {
            let mean = row.iter().sum::<f64>() / d;
            let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d;
            let rstd = 1.0 / (var + f64::from(self.eps)).sqrt();
            stats.extend([mean, rstd]);
            y.extend(row.iter().zip(gamma).zip(beta).map(|((x, g), b)| (x - mean) * rstd * g + b));
        }
        let all = [Array::new(x.shape.clone(), y), Array::new([rows.rows, 2], stats)];
        all.into_iter().chain((self.kept && inputs.len() == 4).then_some(x)).collect()
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        (5 + inputs.len() as u64) * inputs[0].len() as u64
    }
}

impl Op for LayerNormBackward {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let rows = rows(to.input(0), to.input(1));
        let bindings = [&[0, 1, 2, 3].map(Slot::Input)[..], &[Slot::Output(0)]].concat();
        rows.by_row(to, kernel("backward_x", 0.0, rows, 1, Summed::default()), &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, gamma, dy, stats) = (&inputs[0], &inputs[1].data, &inputs[2].data, &inputs[3].data);
        let d = gamma.len();
        let mut dx = Vec::with_capacity(x.data.len());
        for (row, x) in x.data.chunks(d).enumerate() {
            let (mean, rstd) = (stats[2 * row], stats[2 * row + 1]);
            let unit = |i: usize| (x[i] - mean) * rstd;
            let through = |i: usize| dy[row * d + i] * gamma[i];
            let sum = (0..d).map(through).sum::<f64>() / d as f64;
            let product = (0..d).map(|i| through(i) * unit(i)).sum::<f64>() / d as f64;
            dx.extend((0..d).map(|i| rstd * (through(i) - sum - unit(i) * product)));
        }
        vec![Array::new(x.shape.clone(), dx)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        10 * outputs[0].len() as u64
    }
}

impl Op for AffineBackward {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[1].clone(), inputs[1].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let costs = &Costs::of(to.caps()).layer_norm;
        let rows = rows(to.input(0), to.input(1));
        let chunks = rows.rows.div_ceil(costs.rows_each).min(costs.most_parts);
        let [x, dy, stats] = [Slot::Input(0), Slot::Input(2), Slot::Input(3)];
        let [dgamma, dbeta] = [Slot::Output(0), Slot::Output(1)];
        // `RowView` with one row for each invocation's share of a column.
        let shares = |n| RowView { rows: n, ..rows };
        let kernel = |entry| kernel(entry, 0.0, rows, chunks, Summed::default());
        if chunks == 1 {
            shares(1).by_elem_of(to, rows, kernel("backward_affine"), &[x, dy, stats, dgamma, dbeta]);
            return Ok(());
        }
        let partials = to.scratch(2 * chunks * rows.columns);
        shares(chunks).by_elem_of(to, rows, kernel("backward_affine"), &[x, dy, stats, partials]);
        shares(1).by_elem_of(to, rows, kernel("backward_finish"), &[partials, dgamma, dbeta]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, dy, stats) = (&inputs[0].data, &inputs[2].data, &inputs[3].data);
        let d = inputs[1].data.len();
        let mut dgamma = Array::zeros(inputs[1].shape.clone());
        let mut dbeta = dgamma.clone();
        for i in 0..x.len() {
            let (row, column) = (i / d, i % d);
            dgamma.data[column] += dy[i] * (x[i] - stats[2 * row]) * stats[2 * row + 1];
            dbeta.data[column] += dy[i];
        }
        vec![dgamma, dbeta]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

impl Tensor {
    /// Layer normalisation over the trailing dimensions, as many as `gamma` and `beta` have.
    pub fn layer_norm(&self, gamma: &Tensor, beta: &Tensor, eps: f32) -> Result<Tensor> {
        self.layer_norm_of(None, gamma, beta, eps)
    }

    /// [`Tensor::layer_norm`] of the sum of this tensor and `residual`, of its shape, in one pass.
    pub fn add_layer_norm(
        &self,
        residual: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        eps: f32,
    ) -> Result<Tensor> {
        self.layer_norm_of(Some(residual), gamma, beta, eps)
    }

    fn layer_norm_of(
        &self,
        residual: Option<&Tensor>,
        gamma: &Tensor,
        beta: &Tensor,
        eps: f32,
    ) -> Result<Tensor> {
        let inputs: Vec<&Tensor> = [self, gamma, beta].into_iter().chain(residual).collect();
        let kept = inputs.iter().any(|input| input.requires_grad());
        self.tape().record1(LayerNorm { eps, kept }, &inputs)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "layer_norm", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let shapes: [(&[usize], usize); 10] = [
        (&[7], 1),
        (&[3, 17], 1),
        (&[4, 5, 17], 2),
        (&[2, 3, 8], 1),
        (&[65, 47], 1),
        (&[129, 12], 1),
        (&[300, 41], 1),
        (&[9000, 4], 1),
        (&[3, 1024], 1),
        (&[130, 2, 523], 2),
    ];
    for (shape, over) in shapes {
        let tail = &shape[shape.len() - over..];
        let inputs = |x| vec![x, Input::normal(tail), Input::normal(tail)];
        let norm = LayerNorm { eps: 1e-5, kept: true };
        all.push(Case::new(norm, inputs(Input::normal(shape))).saved_from(1));
        // Mean 1000, standard deviation 1: the rounding of x itself is 3e-5.
        let x = Input::filled(shape, Fill::Uniform(998.27, 1001.73)).no_grad();
        all.push(Case::new(norm, inputs(x)).saved_from(1).tolerance(2e-4));
        let summed = |r: Input| [inputs(Input::normal(shape)), vec![r]].concat();
        all.push(Case::new(norm, summed(Input::normal(shape))).saved_from(1));
        // Where no gradient is wanted, x + r is no output.
        let fixed = summed(Input::normal(shape)).into_iter().map(Input::no_grad).collect();
        all.push(Case::new(LayerNorm { kept: false, ..norm }, fixed).saved_from(1));
    }
    all
}
