//! Differences of scores (Hofstätter et al. 2010.02666): how much better one sample goes with a second than with a third,
//! (S_ij - S_ik), S_ij the product of the vectors of samples i and j, or with `score=cosine` their cosine. Compared is the mean of
//! ((S_ij - S_ik)_s - (S_ij - S_ik)_t)^2, so that networks whose scores lie elsewhere are not held to be different; widths may
//! differ, too.
//!
//! The samples are those of a batch: `margins=all` takes every i, j and k that differ, n (n - 1) (n - 2) of them; `next` takes k =
//! i + 2 and j = i + 1, for data whose samples lie so, n - 2 of them. (The paper has passages that are right and wrong for
//! a query.) Samples that only fill a batch up are in none. The vectors are a sentence encoder's outputs, or what classifiers
//! see.

use crate::Result;
use crate::distill::vectors::{Pairs, Vectors, products};
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "margin-mse",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "how much better a sample goes with one than with another; sentences, any widths",
    formula: "mean over i, j, k of ((S_ij - S_ik)_s - (S_ij - S_ik)_t)^2, S_ij = e_i . e_j",
    paper: "Hofstätter et al. 2010.02666",
    settings: &[
        Setting::choice("margins", &["all", "next"], "all of a batch, or those of a sample's next two"),
        Setting::choice("score", &["dot", "cosine"], "products of vectors as they are, or of unit length"),
    ],
    taps: TapNeed::Vectors,
    reads: &[Need::Vectors],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let (all, unit) = (values.choice("margins")? == "all", values.choice("score")? == "cosine");
        parameterless(MarginMse { all, unit })
    },
};

#[derive(Debug, Clone)]
struct MarginMse {
    all: bool,
    unit: bool,
}

impl Loss for MarginMse {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let pairs = Pairs::of("margin-mse", 3, seen)?;
        let Vectors { teacher, student } = Vectors::of("margin-mse", seen)?;
        let vectors = |x: Tensor| if self.unit { x.normalize() } else { Ok(x) };
        let (teacher, student) = (vectors(teacher)?, vectors(student)?);
        if self.all { every(&pairs, &teacher, &student) } else { next(seen, &teacher, &student) }
    }
}

/// Every margin: twice the variance, by n - 2, of each row of the scores' differences.
fn every(pairs: &Pairs, teacher: &Tensor, student: &Tensor) -> Result<Tensor> {
    let apart = products(student)?.sub(&products(teacher)?)?.mul(&pairs.mask)?;
    let means = apart.sum(&[1], true)?.div(&pairs.samples_less(1.0)?)?;
    let sum = pairs.sum(&apart.sub(&means)?.square()?)?;
    let rows = pairs.samples.mul(&pairs.samples_less(2.0)?)?.add_scalar(1e-9)?;
    sum.scale(2.0)?.div(&rows)
}

/// The margin of each sample's next two.
fn next(seen: &MethodContext<'_>, teacher: &Tensor, student: &Tensor) -> Result<Tensor> {
    let margins = |x: &Tensor| {
        let n = x.dims()[0] - 2;
        let (first, second, third) = (x.slice(0, 0, n)?, x.slice(0, 1, n)?, x.slice(0, 2, n)?);
        first.mul(&second.sub(&third)?)?.sum(&[1], false)
    };
    let apart = margins(student)?.sub(&margins(teacher)?)?.square()?;
    // Samples come first, and what only fills the batch up behind them.
    let counts = seen.leaves.mask().slice(0, 2, apart.dims()[0])?;
    apart.mul(&counts)?.sum(&[0], false)?.div(&counts.sum(&[0], false)?.add_scalar(1e-30)?)
}
