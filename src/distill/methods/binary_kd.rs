//! A yes or no for each label: T^2 * the mean over samples and labels of BCE(sigmoid(z_s / T), sigmoid(z_t / T)), for
//! networks of several labels and for detection heads.

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "binary-kd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets of each label by itself, by sigmoid: several labels an image, detectors",
    formula: "T^2 * mean over N and C of BCE(sigmoid(z_s / T), sigmoid(z_t / T))",
    paper: "Yang et al. 2308.06453 at T = 1, who sum KL over labels: the mean of BCE has its gradient divided by C",
    settings: &[Setting::positive("temperature", 1.0, "softens both sides' answers"), LOGITS],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| parameterless(BinaryKd { temperature: values.number("temperature")? }),
};

#[derive(Debug, Clone)]
struct BinaryKd {
    temperature: f32,
}

impl Loss for BinaryKd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        seen.rows()?.binary_kl(self.temperature)
    }
}
