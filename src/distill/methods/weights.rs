//! The teacher's weights shape the student's, together with its soft targets: the student starts from the
//! teacher's weights as [`Transfer`] chooses them, or from a mixture with its own initial weights, may be
//! pulled toward them while it trains (L2-SP, Li et al. 1802.01483), and learns from T^2 * KL (Hinton et al.
//! 1503.02531).
//!
//! With `rank` below 1 the student, which must be of the teacher's architecture, becomes one of low-rank
//! factors ([`crate::models::low_rank`]): that network is trained and saved, and starts from the best factors
//! of the teacher's matrices.

use super::kd;
use crate::distill::{
    Family, Knowledge, Layers, Loss, Method, MethodContext, MethodSpec, Need, Select, Setting, SettingValues,
    TEMPERATURE, TapNeed, Transfer, loss,
};
use crate::models::{base_of, low_rank};
use crate::nn::{ParamBuilder, Params};
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "weights",
    family: Family::Weight,
    knowledge: Knowledge::Weights,
    about: "starts from the teacher's weights, may be pulled to them, learns from soft targets",
    formula: "w_0 = transfer * w_t + (1 - transfer) * w_0; T^2 * KL + pull / 2 * ||w - w_t||^2",
    paper: "Hinton et al. 1503.02531, Li et al. 1608.08710, Liu et al. 1708.06519, Sanh et al. 1910.01108, \
            Chen et al. 1511.05641, Li et al. 1802.01483",
    settings: &[
        TEMPERATURE,
        Setting::share("transfer", 1.0, "share of the teacher's weights in the student's first ones"),
        Setting::choice(
            "select",
            &["l1", "bn", "wider"],
            "channels kept: largest L1 norm, largest BatchNorm scale; \
            wider: the student has more (Net2Wider)",
        ),
        Setting::choice(
            "layers",
            &["same", "skip", "deeper"],
            "blocks taken: of the same name, evenly spaced; \
            deeper: the student has more (Net2Deeper)",
        ),
        Setting::list("blocks", "numbers of the blocks taken, such as 0/4/8, instead of layers"),
        Setting::within(
            "rank",
            1.0,
            [0.001, 1.0],
            "below 1: share of the full rank that the student's matrices, as factors of the teacher's, have",
        ),
        Setting::from_zero("pull", 0.0, "strength of the L2-SP pull toward the teacher's weights"),
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits, Need::Weights],
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        Ok(Box::new(Weights {
            temperature: values.number("temperature")?,
            transfer: transfer_of(values)?,
            pull: values.number("pull")?,
            rank: values.number("rank")?,
        }))
    },
};

#[derive(Debug)]
struct Weights {
    temperature: f32,
    transfer: Transfer,
    pull: f32,
    rank: f32,
}

/// The rules that the user named. Numbers of blocks win over evenly spaced ones.
fn transfer_of(values: &SettingValues) -> Result<Transfer> {
    let blocks = values.list("blocks")?;
    Ok(Transfer {
        share: values.number("transfer")?,
        select: match values.choice("select")? {
            "bn" => Select::BatchNorm,
            "wider" => Select::Wider,
            _ => Select::L1,
        },
        layers: match values.choice("layers")? {
            _ if !blocks.is_empty() => Layers::Listed(blocks),
            "skip" => Layers::Skip,
            "deeper" => Layers::Deeper,
            _ => Layers::Same,
        },
    })
}

impl Weights {
    fn factorises(&self) -> bool {
        self.rank < 1.0
    }
}

impl Method for Weights {
    fn reads_teacher(&self) -> bool {
        true
    }

    fn changes_student(&self) -> bool {
        self.factorises()
    }

    fn student(&self, name: &str, _: &MethodContext<'_>) -> Result<Option<String>> {
        if !self.factorises() {
            return Ok(None);
        }
        if self.pull > 0.0 || self.transfer != Transfer::default() {
            let message = "below 1 it is the only rule for weights; leave out transfer, select, layers, \
                           blocks and pull";
            return Err(Error::config("rank", message));
        }
        Ok(Some(low_rank::name(base_of(name), self.rank)))
    }

    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        if self.factorises() {
            return crate::distill::low_rank::start(student, teacher);
        }
        self.transfer.apply(student, teacher)
    }

    fn l2_sp(&self) -> Option<(f32, Transfer)> {
        (self.pull > 0.0).then(|| (self.pull, Transfer { share: 1.0, ..self.transfer.clone() }))
    }

    fn prepare(&self, _: &MethodContext<'_>, _: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let temperature = self.temperature;
        loss(move |seen, _| kd::soft_targets(seen, temperature))
    }
}
