//! Probabilistic knowledge transfer (Passalis and Tefas 1803.10837) of features (N, C), what the classifier
//! sees; of a map its mean over pixels.
//!
//! Cosines of all pairs of samples, moved to (cos + 1) / 2 and divided by the row's sum, are probabilities
//! p_ij; the loss is the mean over N^2 of p_t log((p_t + eps) / (p_s + eps)), eps 1e-7. Widths may differ.
//! Summed over the pairs of taps.

use crate::Result;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, TapNeed, features, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "pkt",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "the probability that two samples of a batch are neighbours",
    formula: "p = row-normalised (cos(f_i, f_j) + 1) / 2; mean over N^2 of p_t log(p_t / p_s)",
    paper: "Passalis and Tefas 1803.10837",
    settings: &[],
    taps: TapNeed::Embedding,
    reads: &[Need::Taps],
    weight: 30000.0,
    ce_weight: 1.0,
    build: |_| parameterless(Pkt),
};

const EPS: f32 = 1e-7;

#[derive(Debug, Clone)]
struct Pkt;

impl Loss for Pkt {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(seen, |_, teacher, student| {
            features::expect_batch("pkt", student)?;
            let (p_t, p_s) = (neighbours(teacher)?, neighbours(student)?);
            // Rows of both sum to 1, so that with r = (p_s - p_t) / (p_t + eps) the sum of -p_t log(1 + r) is
            // that of p_t (r - log(1 + r)) + eps r: no large terms that cancel where the two nearly agree.
            let gap = p_s.sub(&p_t)?.div(&p_t.add_scalar(EPS)?)?;
            features::mean(&p_t.mul(&gap.x_minus_log1p()?)?.add(&gap.scale(EPS)?)?)
        })
    }
}

/// p (N, N).
fn neighbours(f: &Tensor) -> Result<Tensor> {
    let f = features::embedding(f)?.normalize()?;
    // Rounding may take a cosine below -1, and a probability below 0.
    let similar = f.gemm(&f, false, true)?.add_scalar(1.0)?.scale(0.5)?.relu()?;
    similar.div(&similar.sum(&[1], true)?)
}
