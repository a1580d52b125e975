//! The teacher's weights shape the student's, together with its soft targets: the student starts from the teacher's
//! strongest channels (see [`transfer`]), or from a mixture with its own initial weights, may be pulled toward them while
//! it trains (L2-SP, Li et al. 1802.01483), and learns from T^2 * KL (Hinton et al. 1503.02531).

use super::{Family, Method, MethodConfig, MethodSpec, Pair, kd, transfer};
use crate::Result;
use crate::nn::{Forward, Params};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "weights",
    family: Family::Weight,
    about: "starts from the teacher's strongest channels, optional L2 pull toward them (1802.01483), T^2 * KL",
    weight: 0.9,
    ce_weight: 0.1,
    build: |config| Box::new(Weights(config.clone())),
};

struct Weights(MethodConfig);

impl Method for Weights {
    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        transfer::transfer(student, teacher, self.0.transfer)
    }

    fn pull(&self) -> f32 {
        self.0.pull
    }

    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        kd::soft_targets(pair, self.0.temperature)
    }
}
