//! Soft targets: T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), batch-mean (Hinton et al. 1503.02531).
//!
//! `reduction=legacy-mean` divides by N * C instead of N, which is what `nn.KLDivLoss()` does where nothing is said, and
//! so most sample code: only to reproduce numbers that were made with it.

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TEMPERATURE, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;

/// The list entry; weights .9 and .1 are the usual recipe.
pub const SPEC: MethodSpec = MethodSpec {
    name: "kd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets: the teacher's softened distribution over classes",
    formula: "T^2 * KL(softmax(z_t / T) || softmax(z_s / T))",
    paper: "Hinton et al. 1503.02531",
    settings: &[TEMPERATURE, REDUCTION, LOGITS],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        let legacy = values.choice("reduction")? == LEGACY;
        parameterless(Kd {
            temperature: values.number("temperature")?,
            reduction: if legacy { KlReduction::LegacyMean } else { KlReduction::BatchMean },
        })
    },
};

const LEGACY: &str = "legacy-mean";
const REDUCTION: Setting = Setting::choice(
    "reduction",
    &["batch-mean", LEGACY],
    "legacy-mean also divides by the number of classes, as nn.KLDivLoss() does by default",
);

#[derive(Debug, Clone)]
pub(super) struct Kd {
    pub temperature: f32,
    pub reduction: KlReduction,
}

impl Loss for Kd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        seen.rows()?.kl_div(self.temperature, self.reduction)
    }
}

/// The loss from both logits, batch-mean.
pub(super) fn soft_targets(seen: &MethodContext<'_>, temperature: f32) -> Result<Tensor> {
    seen.rows()?.kl_div(temperature, KlReduction::BatchMean)
}
