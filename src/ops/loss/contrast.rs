//! Noise-contrastive estimation with a bank (Gutmann and Hyvarinen 2010; Tian et al. 1910.10699): for each
//! row of v (N, D) the logistic loss of telling its own row of the bank (M, D) from K drawn ones.
//!
//! With s_k = v . bank_k / temperature - log(Z K / M) the loss of a row is softplus(-s_own) + sum over drawn
//! k of softplus(s_k), which is -log h(own) - sum log(1 - h(k)) for h = (e / Z) / (e / Z + K / M), e = exp(v
//! . bank / t). Z, `partition`, of one element, is kept: where it is 0 it becomes M times the mean of all e
//! of this batch. It counts as a constant.
//!
//! Draws are uniform over the bank, own row included, and a function of seed, step, row and k: nothing but
//! the loss (N) and its gradient by v (N, D) is stored. That gradient is computed with the loss, so that the
//! bank may change right after.

use crate::gpu::{Grid, Kernel};
use crate::ops::common::{expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::rng::{pcg, random_bits};
use crate::tape::{Array, Backward, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/contrast.wgsl");
/// As in the shader.
const DOMAIN: u32 = 0x63_7264;
/// Compared rows of a workgroup.
const CHUNK: usize = 512;

/// Inputs: v (N, D), bank (M, D), ids i32 (N) in 0..M, partition (1), overwritten where it is 0. Outputs:
/// loss (N), dv (N, D).
#[derive(Debug, Clone, Copy)]
pub struct Contrast {
    /// K.
    pub negatives: usize,
    /// Divides similarities.
    pub temperature: f32,
}

impl Op for Contrast {
    fn name(&self) -> &'static str {
        "contrast"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 4)?;
        let [v, bank, ids, partition] = [0, 1, 2, 3].map(|i| inputs[i].shape.dims());
        let types = inputs.iter().map(|m| m.dtype).collect::<Vec<_>>();
        let fits =
            matches!((v, bank, ids), ([n, d], [m, b], [i]) if n == i && d == b && *m > 0 && *n > 0 && *d > 0);
        if !fits || partition != [1] || types != [DType::F32, DType::F32, DType::I32, DType::F32] {
            let got = inputs.iter().map(Meta::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::shape(self.name(), "v (N, D), bank (M, D), ids i32 (N), partition (1)", got));
        }
        if self.negatives == 0 || self.temperature.is_nan() || self.temperature <= 0.0 {
            let got = format!("{} and {}", self.negatives, self.temperature);
            return Err(Error::shape(self.name(), "a negative or more, and a temperature above 0", got));
        }
        // The counters of draws are 32 bits wide.
        if v[0] * (self.negatives + 1) > u32::MAX as usize || bank[0] > i32::MAX as usize {
            return Err(Error::shape(self.name(), "fewer than 2^32 comparisons", inputs[1].to_string()));
        }
        Ok(vec![Meta::f32([v[0]]), inputs[0].clone()])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let dy = at.dy()?;
        let dv = at.outputs[1].mul(&dy.reshape([dy.dims()[0], 1])?)?;
        Ok(vec![Some(dv), None, None, None])
    }

    fn in_place(&self) -> &[usize] {
        &[3]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (&[rows, columns], &[bank, _]) = (to.input(0), to.input(1)) else { return Ok(()) };
        let chunks = (self.negatives + 1).div_ceil(CHUNK);
        let kernel = |entry| {
            Kernel::new("contrast", entry, SHADER)
                .define("ROWS", rows)
                .define("COLUMNS", columns)
                .define("BANK", bank)
                .define("NEGATIVES", self.negatives)
                .define("CHUNK", CHUNK)
                .define("CHUNKS", chunks)
                .define_f32("TEMPERATURE", self.temperature)
        };
        let [v, vectors, ids, partition] = [0, 1, 2, 3].map(Slot::Input);
        let groups = Grid::linear(rows * chunks);
        let sums = to.scratch(rows * chunks * 64);
        to.dispatch(kernel("partition_sums"), &[v, vectors, ids, partition, Slot::Step, sums], groups);
        to.dispatch(kernel("partition_finish"), &[partition, sums], Grid::linear(1));
        let partial = to.scratch(rows * chunks * (columns + 1));
        to.dispatch(kernel("forward"), &[v, vectors, ids, partition, Slot::Step, partial], groups);
        let bindings = [partial, Slot::Output(0), Slot::Output(1)];
        per_element(to, kernel("finish"), &bindings, rows * (columns + 1));
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let (v, bank, ids) = (&inputs[0], &inputs[1], &inputs[2]);
        let (rows, columns, size) = (v.dims()[0], v.dims()[1], bank.dims()[0]);
        let (compared, temperature) = (self.negatives + 1, f64::from(self.temperature));
        let [lo, hi] = step.seed_words();
        let key = [lo, hi ^ DOMAIN, pcg(step.number)];
        let other = |row: usize, k: usize| match k {
            0 => ids.data[row] as usize,
            _ => random_bits(key, (row * compared + k) as u32) as usize % size,
        };
        let similarity = |row: usize, k: usize| {
            let (a, b) = (&v.data[row * columns..], &bank.data[other(row, k) * columns..]);
            a.iter().zip(b).take(columns).map(|(a, b)| a * b).sum::<f64>() / temperature
        };
        let each = || (0..rows).flat_map(|row| (0..compared).map(move |k| (row, k)));
        let mut partition = inputs[3].data[0];
        if partition <= 0.0 {
            let total: f64 = each().map(|(row, k)| similarity(row, k).exp()).sum();
            partition = total / (rows * compared) as f64 * size as f64;
        }
        let offset = (partition * self.negatives as f64 / size as f64).ln();
        let mut loss = Array::zeros([rows]);
        let mut dv = Array::zeros(v.shape.clone());
        for (row, k) in each() {
            let logit = similarity(row, k) - offset;
            let share = 1.0 / (1.0 + (-logit).exp());
            let (term, residual) =
                if k == 0 { (-share.ln(), share - 1.0) } else { (-(1.0 - share).ln(), share) };
            loss.data[row] += term;
            for d in 0..columns {
                dv.data[row * columns + d] += residual * bank.data[other(row, k) * columns + d] / temperature;
            }
        }
        vec![loss, dv, Array::new([1], vec![partition])]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        4 * (inputs[0].len() * (self.negatives + 1)) as u64
    }
}

impl Tensor {
    /// The loss (N) of telling each row of `self` (N, D) from drawn rows of `bank` (M, D); see the
    /// [module](self). `partition` (1) must live in a caller's buffer.
    pub fn contrast(
        &self,
        bank: &Tensor,
        ids: &Tensor,
        partition: &Tensor,
        settings: Contrast,
    ) -> Result<Tensor> {
        self.tape().record1(settings, &[self, bank, ids, partition])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "contrast", cases };

fn cases() -> Vec<Case> {
    let case = |[rows, columns, bank]: [usize; 3], negatives: usize, partition: f64| {
        let partition_input = Input::filled([1], Fill::Values(vec![partition])).no_grad();
        let v = Input::filled([rows, columns], Fill::Normal(0.5));
        // An estimate depends on v, and is meant to count as a constant.
        let v = if partition > 0.0 { v } else { v.no_grad() };
        let others = [Input::normal([bank, columns]).no_grad(), Input::below([rows], bank), partition_input];
        let op = Contrast { negatives, temperature: 0.7 };
        Case::new(op, std::iter::once(v).chain(others).collect()).saved_from(1)
    };
    vec![
        case([1, 1, 1], 1, 1.0),
        case([3, 7, 5], 4, 2.0),
        case([5, 13, 41], 47, 1.0),
        case([4, 128, 23], 65, 30.0),
        // One more than a chunk, and more than two.
        case([2, 67, 11], 512, 1.0),
        case([3, 5, 301], 1100, 0.5),
        case([3, 5, 301], 600, 0.0),
        case([2, 64, 9], 3, 0.0),
    ]
}
