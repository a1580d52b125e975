//! Rows of tokens (T, D) that heads share: head h has numbers h d .. (h + 1) d of each row, d = D / heads.

use super::places::expect_spans;
use crate::gpu::{Grid, Kernel, TileVariant};
use crate::ops::costs::Costs;
use crate::tape::{Array, DType, Lowering, Meta, Slot, Variant};
use crate::{Error, Result};

/// The tokens that one sees in texts of a usual length: what cost tables count, since only the data knows.
pub const USUAL_KEYS: u64 = 32;

/// Numbers of heads that kernels for subgroups of 8 unroll at most: more would take the compiler too long.
const WIDEST: usize = 128;

/// The heads of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    pub tokens: usize,
    pub heads: usize,
    /// Numbers of a head.
    pub each: usize,
}

impl Heads {
    /// The heads of rows (T, D), checked.
    pub fn new(op: &str, rows: &Meta, heads: usize) -> Result<Self> {
        match (rows.dtype, rows.shape.dims()) {
            (DType::F32, &[tokens, width]) if heads > 0 && width > 0 && width.is_multiple_of(heads) => {
                Ok(Self { tokens, heads, each: width / heads })
            }
            _ => {
                let expected = format!("rows of tokens (T, D) of f32, D a multiple of {heads} heads");
                Err(Error::shape(op, expected, rows.to_string()))
            }
        }
    }

    /// Those of an operand of the tape.
    pub fn of(rows: &[usize], heads: usize) -> Self {
        Self { tokens: rows[0], heads, each: rows[1] / heads }
    }

    /// Fails where these are not the ranges (T, 2) of the tokens.
    pub fn expect_ranges(&self, op: &str, ranges: &Meta) -> Result<()> {
        if expect_spans(op, "ranges (T, 2)", ranges)? == self.tokens {
            return Ok(());
        }
        Err(Error::shape(op, format!("ranges ({}, 2), as many as tokens", self.tokens), ranges.to_string()))
    }

    /// One dispatch with an invocation for each token and head. The kernel reads items of as many numbers, up to four, as
    /// all these widths of heads are multiples of; `ITEMS0`, `ITEMS1`, .. are those of each width.
    pub fn by_row(&self, to: &mut Lowering<'_>, kernel: Kernel, widths: &[usize], bindings: &[Slot]) {
        let (rows, costs) = (self.tokens * self.heads, &Costs::of(to.caps()).rows);
        let workgroup = costs.own_workgroup[usize::from(rows >= costs.plenty)];
        let kernel = self.define(kernel, widths).define("WORKGROUP", workgroup);
        to.dispatch(kernel, bindings, Grid::linear(rows.div_ceil(workgroup)));
    }

    /// The same, or where the adapter has subgroups of 8 one of these for 8 tokens and a head: a lane loads what the others
    /// get by broadcast, since on a CPU adapter loads are expensive and broadcasts cheap. `kernel` gives the kernel
    /// for either.
    pub fn by_row_or_eights(
        &self,
        to: &mut Lowering<'_>,
        widths: &[usize],
        bindings: &[Slot],
        kernel: impl Fn(bool) -> Kernel,
    ) -> Result<()> {
        let rows = Variant::new("rows", |to| {
            self.by_row(to, kernel(false), widths, bindings);
            Ok(())
        });
        let eights = Variant::new("eights", |to| {
            let groups = self.tokens.div_ceil(8) * self.heads;
            to.dispatch(self.define(kernel(true), widths), bindings, Grid::linear(groups));
            Ok(())
        });
        let small = widths.iter().sum::<usize>() <= WIDEST;
        let by_eights = to.caps().tile == TileVariant::Subgroup && small;
        to.lower_by(if by_eights { vec![eights, rows] } else { vec![rows] })
    }

    fn define(&self, kernel: Kernel, widths: &[usize]) -> Kernel {
        let all = |n: usize| widths.iter().all(|width| width.is_multiple_of(n));
        let item = [4, 2, 1].into_iter().find(|&n| all(n)).unwrap_or(1);
        kernel
            .define("FOUR", (item == 4).into())
            .define("TWO", (item == 2).into())
            .define("TOKENS", self.tokens)
            .define("HEADS", self.heads)
            .define_each("ITEMS", widths.iter().map(|width| width / item))
    }

    /// What head `head` has of row n of an operand.
    pub fn row<'a>(&self, rows: &'a Array, n: usize, head: usize) -> &'a [f64] {
        &rows.data[(n * self.heads + head) * self.each..][..self.each]
    }

    /// Adds `factor` times `row` to what head `head` has of row n.
    pub fn add(&self, to: &mut Array, n: usize, head: usize, factor: f64, row: &[f64]) {
        let to = &mut to.data[(n * self.heads + head) * self.each..][..self.each];
        to.iter_mut().zip(row).for_each(|(to, x)| *to += factor * x);
    }
}

/// a . b
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
