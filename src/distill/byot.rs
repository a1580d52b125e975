//! Be your own teacher (Zhang et al. 1905.08094): exits on the student's stages learn from labels and from its deepest
//! classifier. Stage i is pooled to (N, C_i); a bottleneck r_i brings it to the deepest stage's C, and an exit e_i to
//! logits (N, classes):
//!
//! sum_i (1 - a) CE(e_i, y) + a T^2 KL(softmax(z_s / T) || softmax(e_i / T)) + b mean (r_i - f)^2
//!
//! with a .1, T 3, b 1e-6 as in the authors' code. Nothing of it passes a gradient to the deepest classifier or f, the
//! pooled deepest stage. Exits and bottlenecks are the method's own parameters and no part of the exported student; the
//! bottlenecks are linear layers on pooled maps, where the authors use convolutions.

use super::{Family, Method, MethodSpec, Pair, Setting, TapNeed, features, sum_of};
use crate::data::IGNORE_LABEL;
use crate::nn::{Forward, Linear, ParamBuilder};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "byot",
    family: Family::Activation,
    about: "exits on the student's stages learn from its deepest classifier; needs no teacher",
    formula: "sum over exits of (1 - soft) * CE(e, y) + soft * T^2 * KL(softmax(z_s / T) || softmax(e / T)) \
              + hint * mean (r - f)^2",
    paper: "Zhang et al. 1905.08094",
    settings: &[
        Setting::positive("temperature", 3.0, "softens both distributions"),
        Setting::share("soft", 0.1, "share of soft targets in what an exit learns"),
        Setting::from_zero("hint", 1e-6, "weight of the distance to the deepest features"),
    ],
    taps: TapNeed::Stages,
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        Box::new(Byot {
            temperature: values.number("temperature"),
            soft: values.number("soft"),
            hint: values.number("hint"),
            exits: Vec::new(),
        })
    },
};

struct Byot {
    temperature: f32,
    soft: f32,
    hint: f32,
    /// Bottleneck and classifier.
    exits: Vec<(Linear, Linear)>,
}

/// The student's tapped stages, pooled to (N, C).
fn stages(pair: &Pair<'_>) -> Result<Vec<Tensor>> {
    let pooled = |(_, name): &(String, String)| features::embedding(&pair.student.tap(name)?);
    let all: Vec<Tensor> = pair.taps.iter().map(pooled).collect::<Result<_>>()?;
    if all.len() < 2 {
        let message = format!("byot needs two stages of the student at least, got {}", all.len());
        return Err(Error::config("taps", message));
    }
    Ok(all)
}

impl Method for Byot {
    fn needs_teacher(&self) -> bool {
        false
    }

    fn prepare(&mut self, pair: &Pair<'_>, mut at: ParamBuilder<'_>) -> Result<()> {
        let (stages, classes) = (stages(pair)?, pair.student_logits.dims()[1]);
        let deepest = stages[stages.len() - 1].dims()[1];
        for (index, stage) in stages[..stages.len() - 1].iter().enumerate() {
            let bottleneck =
                Linear::new(at.sub(format!("bottleneck{index}")), stage.dims()[1], deepest, true);
            self.exits
                .push((bottleneck, Linear::new(at.sub(format!("exit{index}")), deepest, classes, true)));
        }
        Ok(())
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let stages = stages(pair)?;
        let deepest = stages[stages.len() - 1].detach()?;
        let labels = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: 0.0 };
        sum_of(stages.iter().zip(&self.exits).map(|(stage, (bottleneck, exit))| {
            let feature = bottleneck.forward(own, stage)?;
            let logits = exit.forward(own, &feature)?;
            let hard = logits.cross_entropy(pair.labels, &labels)?.scale(1.0 - self.soft)?;
            let soft = logits.kl_div(pair.student_logits, self.temperature, KlReduction::BatchMean)?;
            let hint = feature.mse_loss(&deepest)?.scale(self.hint)?;
            hard.add(&soft.scale(self.soft)?)?.add(&hint)
        }))
    }
}
