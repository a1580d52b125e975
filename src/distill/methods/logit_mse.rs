//! Regression of logits: the mean over samples and classes of (z_s - z_t)^2 (Ba and Caruana 1312.6184).

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{Family, Knowledge, Loss, MethodContext, MethodSpec, Need, TapNeed, parameterless};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry. The paper's students see no labels.
pub const SPEC: MethodSpec = MethodSpec {
    name: "logit-mse",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "the student's logits regress the teacher's",
    formula: "mean over N and C of (z_s - z_t)^2",
    paper: "Ba and Caruana 1312.6184, which has half the sum over classes; the mean here only changes the weight",
    settings: &[LOGITS],
    taps: TapNeed::None,
    reads: &[Need::Numbers],
    weight: 1.0,
    ce_weight: 0.0,
    build: |_| parameterless(LogitMse),
};

#[derive(Debug, Clone)]
struct LogitMse;

impl Loss for LogitMse {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        seen.values()?.mse()
    }
}
