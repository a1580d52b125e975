//! Soft targets: T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), batch-mean (Hinton et al. 1503.02531).

use super::{Family, Method, MethodSpec, Pair};
use crate::Result;
use crate::nn::Forward;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;

/// The list entry; weights .9 and .1 are the usual recipe.
pub const SPEC: MethodSpec = MethodSpec {
    name: "kd",
    family: Family::Activation,
    about: "T^2 * KL of softened logits (Hinton et al. 1503.02531)",
    weight: 0.9,
    ce_weight: 0.1,
    build: |config| Box::new(Kd { temperature: config.temperature }),
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
