//! Moves rows of a memory bank (M, D) in place (Wu et al. 1805.01978):
//! `bank[ids[n]] = u / ||u||, u = keep * bank[ids[n]] + (1 - keep) * v[n]`.
//!
//! Where several rows of v have one id the last one counts; an id outside 0..M changes nothing.

use crate::gpu::{Grid, Kernel};
use crate::ops::common::expect_inputs;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/bank_update.wgsl");

/// Inputs: bank (M, D), overwritten, ids i32 (N), v (N, D).
#[derive(Debug, Clone, Copy)]
pub struct BankUpdate {
    /// Share of the old row, 0 to 1.
    pub keep: f32,
}

impl Op for BankUpdate {
    fn name(&self) -> &'static str {
        "bank_update"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 3)?;
        let [bank, ids, v] = [0, 1, 2].map(|i| inputs[i].shape.dims());
        let types = inputs.iter().map(|m| m.dtype).collect::<Vec<_>>();
        let fits = matches!((bank, ids, v), ([m, b], [i], [n, d]) if i == n && b == d && *m > 0 && *n > 0);
        if fits && types == [DType::F32, DType::I32, DType::F32] {
            return Ok(Vec::new());
        }
        let got = inputs.iter().map(Meta::to_string).collect::<Vec<_>>().join(", ");
        Err(Error::shape(self.name(), "bank (M, D), ids i32 (N) and v (N, D)", got))
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (&[bank, _], &[rows, columns]) = (to.input(0), to.input(2)) else { return Ok(()) };
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("ROWS", rows)
            .define("COLUMNS", columns)
            .define("BANK", bank)
            .define_f32("KEEP", self.keep);
        to.dispatch(kernel, &[0, 1, 2].map(Slot::Input), Grid::linear(rows));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (bank, v, keep) = (&inputs[0], &inputs[2], f64::from(self.keep));
        let columns = v.dims()[1];
        let mut moved = bank.clone();
        for (n, id) in inputs[1].data.iter().enumerate() {
            if *id < 0.0 || *id >= bank.dims()[0] as f64 {
                continue;
            }
            let at = *id as usize * columns;
            let mixed = |d: usize| keep * bank.data[at + d] + (1.0 - keep) * v.data[n * columns + d];
            let norm = (0..columns).map(|d| mixed(d).powi(2)).sum::<f64>().max(1e-24).sqrt();
            (0..columns).for_each(|d| moved.data[at + d] = mixed(d) / norm);
        }
        vec![moved]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        6 * inputs[2].len() as u64
    }
}

impl Tensor {
    /// Moves the rows `ids` of this bank toward those of `v`, in place; see the [module](self). `self` must
    /// live in a caller's buffer.
    pub fn bank_update(&self, ids: &Tensor, v: &Tensor, keep: f32) -> Result<()> {
        self.tape().record(BankUpdate { keep }, &[self, ids, v]).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "bank_update", cases };

fn cases() -> Vec<Case> {
    let case = |[bank, rows, columns]: [usize; 3], keep: f32, ids: Vec<f64>| {
        let ids = Input { fill: Fill::Values(ids), ..Input::below([rows], bank) };
        let [bank, v] = [[bank, columns], [rows, columns]].map(|shape| Input::normal(shape).no_grad());
        Case::new(BankUpdate { keep }, vec![bank, ids, v])
    };
    vec![
        case([1, 1, 1], 0.5, vec![0.0]),
        case([7, 3, 5], 0.5, vec![6.0, 0.0, 3.0]),
        // One id thrice, and some outside.
        case([5, 6, 128], 0.9, vec![2.0, 4.0, 2.0, -1.0, 5.0, 2.0]),
        case([47, 13, 67], 0.0, (0..13).map(|i| f64::from(46 - 3 * i)).collect()),
    ]
}
