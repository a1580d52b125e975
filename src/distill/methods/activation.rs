//! Hidden activations and soft targets together: MSE between the teacher's hidden activations and the student's,
//! regressed where widths differ, plus T^2 * KL of the softened logits.

use super::feature::{Distance, Feature};
use super::kd;
use crate::Result;
use crate::distill::regressor::Use;
use crate::distill::{Family, Method, MethodSpec, Pair, TEMPERATURE, TapNeed};
use crate::nn::{Forward, ParamBuilder};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "activation",
    family: Family::Activation,
    about: "soft targets and hidden activations together",
    formula: "T^2 * KL(softmax(z_t / T) || softmax(z_s / T)) + sum over taps of mean (r(f_s) - f_t)^2",
    paper: "Hinton et al. 1503.02531, Romero et al. 1412.6550",
    settings: &[TEMPERATURE],
    taps: TapNeed::Last,
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        let hidden = Feature::new("activation", Distance::L2, Use::Auto);
        Box::new(Activation { hidden, temperature: values.number("temperature") })
    },
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
