//! Hidden activations and soft targets together: MSE between the teacher's hidden activations and the student's,
//! regressed where widths differ, plus T^2 * KL of the softened logits.

use super::feature::Feature;
use super::{Family, Method, MethodSpec, Pair, kd};
use crate::Result;
use crate::nn::{Forward, ParamBuilder};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "activation",
    family: Family::Activation,
    about: "T^2 * KL of softened logits plus MSE of hidden activations at taps (1503.02531 with 1412.6550)",
    weight: 0.9,
    ce_weight: 0.1,
    build: |config| Box::new(Activation { hidden: Feature::default(), temperature: config.temperature }),
};

struct Activation {
    hidden: Feature,
    temperature: f32,
}

impl Method for Activation {
    fn prepare(&mut self, pair: &Pair<'_>, at: ParamBuilder<'_>) -> Result<()> {
        self.hidden.prepare(pair, at)
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        kd::soft_targets(pair, self.temperature)?.add(&self.hidden.loss(pair, own)?)
    }
}
