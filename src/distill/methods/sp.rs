//! Similarity preserving (Tung and Mori 1907.09682): G = F F^T for features F (N, all of a sample), each row
//! of G of unit L2 norm; the loss is |G_s - G_t|_F^2 / N^2. Shapes of the features may differ. Summed over
//! the pairs of taps.

use crate::Result;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, TapNeed, features, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "sp",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "which samples of a batch are alike",
    formula: "G = rows of F F^T, L2-normalised; sum over taps of ||G_s - G_t||_F^2 / N^2",
    paper: "Tung and Mori 1907.09682",
    settings: &[],
    taps: TapNeed::Last,
    reads: &[Need::Taps],
    weight: 3000.0,
    ce_weight: 1.0,
    build: |_| parameterless(Sp),
};

#[derive(Debug, Clone)]
struct Sp;

impl Loss for Sp {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(seen, |_, teacher, student| {
            features::expect_batch("sp", student)?;
            similarities(student)?.mse_loss(&similarities(teacher)?)
        })
    }
}

/// G (N, N).
fn similarities(f: &Tensor) -> Result<Tensor> {
    let f = f.flatten()?;
    f.gemm(&f, false, true)?.normalize()
}
