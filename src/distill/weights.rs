//! The teacher's weights shape the student's, together with its soft targets: the student starts from the teacher's
//! strongest channels (see [`transfer`]), or from a mixture with its own initial weights, may be pulled toward them while
//! it trains (L2-SP, Li et al. 1802.01483), and learns from T^2 * KL (Hinton et al. 1503.02531).

use super::{Family, Method, MethodSpec, Pair, Setting, TEMPERATURE, TapNeed, kd, transfer};
use crate::Result;
use crate::nn::{Forward, Params};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "weights",
    family: Family::Weight,
    about: "starts from the teacher's strongest channels, may be pulled toward them, and learns from soft targets",
    formula: "w_0 = transfer * w_t + (1 - transfer) * w_0; T^2 * KL + pull / 2 * ||w - w_t||^2",
    paper: "Hinton et al. 1503.02531, Li et al. 1802.01483",
    settings: &[
        TEMPERATURE,
        Setting::share("transfer", 1.0, "share of the teacher's weights in the student's first ones"),
        Setting::from_zero("pull", 0.0, "strength of the pull toward the teacher's weights"),
    ],
    taps: TapNeed::None,
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        Box::new(Weights {
            temperature: values.number("temperature"),
            transfer: values.number("transfer"),
            pull: values.number("pull"),
        })
    },
};

struct Weights {
    temperature: f32,
    transfer: f32,
    pull: f32,
}

impl Method for Weights {
    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        transfer::transfer(student, teacher, self.transfer)
    }

    fn pull(&self) -> f32 {
        self.pull
    }

    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        kd::soft_targets(pair, self.temperature)
    }
}
