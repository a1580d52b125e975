//! Soft targets: T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), batch-mean (Hinton et al. 1503.02531).

use super::{Family, Method, MethodSpec, Pair, TEMPERATURE, TapNeed};
use crate::Result;
use crate::nn::Forward;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;

/// The list entry; weights .9 and .1 are the usual recipe.
pub const SPEC: MethodSpec = MethodSpec {
    name: "kd",
    family: Family::Activation,
    about: "soft targets: the teacher's softened distribution over classes",
    formula: "T^2 * KL(softmax(z_t / T) || softmax(z_s / T))",
    paper: "Hinton et al. 1503.02531",
    settings: &[TEMPERATURE],
    taps: TapNeed::None,
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| Box::new(Kd { temperature: values.number("temperature") }),
};

struct Kd {
    temperature: f32,
}

impl Method for Kd {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        soft_targets(pair, self.temperature)
    }
}

/// The fused loss from both logits.
pub(super) fn soft_targets(pair: &Pair<'_>, temperature: f32) -> Result<Tensor> {
    pair.student_logits.kl_div(pair.teacher_logits, temperature, KlReduction::BatchMean)
}
