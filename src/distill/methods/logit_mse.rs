//! Regression of logits: the mean over samples and classes of (z_s - z_t)^2 (Ba and Caruana 1312.6184).

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{Family, Method, MethodSpec, Pair, TapNeed};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry. The paper's students see no labels.
pub const SPEC: MethodSpec = MethodSpec {
    name: "logit-mse",
    family: Family::Activation,
    about: "the student's logits regress the teacher's",
    formula: "mean over N and C of (z_s - z_t)^2",
    paper: "Ba and Caruana 1312.6184, which has half the sum over classes; the mean here only changes the weight",
    settings: &[LOGITS],
    taps: TapNeed::None,
    weight: 1.0,
    ce_weight: 0.0,
    build: |_| Box::new(LogitMse),
};

struct LogitMse;

impl Method for LogitMse {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        pair.student_logits.mse_loss(pair.teacher_logits)
    }
}
