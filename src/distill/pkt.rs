//! Probabilistic knowledge transfer (Passalis and Tefas 1803.10837) of features (N, C), a map's mean over its pixels.
//!
//! Cosines of all pairs of samples, moved to (cos + 1) / 2 and divided by the row's sum, are probabilities p_ij; the loss
//! is the mean over N^2 of p_t log((p_t + eps) / (p_s + eps)), eps 1e-7. Widths may differ. Summed over the pairs of taps.

use super::{Family, Method, MethodSpec, Pair, TapNeed, features};
use crate::Result;
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "pkt",
    family: Family::Feature,
    about: "the probability that two samples of a batch are neighbours",
    formula: "p = row-normalised (cos(f_i, f_j) + 1) / 2; mean over N^2 of p_t log(p_t / p_s)",
    paper: "Passalis and Tefas 1803.10837",
    settings: &[],
    taps: TapNeed::Last,
    weight: 30000.0,
    ce_weight: 1.0,
    build: |_| Box::new(Pkt),
};

const EPS: f32 = 1e-7;

struct Pkt;

impl Method for Pkt {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(pair, |_, teacher, student| {
            features::expect_batch("pkt", student)?;
            let (p_t, p_s) = (neighbours(teacher)?, neighbours(student)?);
            let ratio = p_t.add_scalar(EPS)?.div(&p_s.add_scalar(EPS)?)?;
            features::mean(&p_t.mul(&ratio.log()?)?)
        })
    }
}

/// p (N, N).
fn neighbours(f: &Tensor) -> Result<Tensor> {
    let f = features::embedding(f)?.normalize()?;
    let similar = f.gemm(&f, false, true)?.add_scalar(1.0)?.scale(0.5)?;
    similar.div(&similar.sum(&[1], true)?)
}
