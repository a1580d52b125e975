//! Hidden activations and soft targets together: MSE between the teacher's hidden activations and the student's,
//! regressed where widths differ, plus T^2 * KL of the softened logits.

use super::feature::{Distance, Feature};
use super::kd;
use crate::Result;
use crate::distill::regressor::Use;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, TEMPERATURE, TapNeed, loss,
};
use crate::nn::ParamBuilder;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "activation",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets and hidden activations together",
    formula: "T^2 * KL(softmax(z_t / T) || softmax(z_s / T)) + sum over taps of mean (r(f_s) - f_t)^2",
    paper: "Hinton et al. 1503.02531, Romero et al. 1412.6550",
    settings: &[TEMPERATURE],
    taps: TapNeed::Last,
    reads: &[Need::Logits, Need::Taps],
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        let hidden = Feature::new("activation", Distance::L2, Use::Auto);
        Ok(Box::new(Activation { hidden, temperature: values.number("temperature")? }))
    },
};

#[derive(Debug)]
struct Activation {
    hidden: Feature,
    temperature: f32,
}

impl Method for Activation {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let (hidden, temperature) = (self.hidden.prepare(seen, at)?, self.temperature);
        loss(move |seen, own| kd::soft_targets(seen, temperature)?.add(&hidden.record(seen, own)?))
    }
}
