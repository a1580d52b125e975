//! Be your own teacher (Zhang et al. 1905.08094): exits on the student's stages learn from labels and from
//! its deepest classifier. A bottleneck r_i brings stage i to the deepest stage's C channels and about its
//! size; pooled, it is f_i (N, C), and an exit brings that to logits e_i (N, classes):
//!
//! sum_i (1 - a) CE(e_i, y) + a T^2 KL(softmax(z_s / T) || softmax(e_i / T)) + b sum (f_i - f)^2
//!
//! with f the pooled deepest stage, and the last sum over samples and channels. Nothing of it passes a
//! gradient to the deepest classifier or to f. A bottleneck has 1x1, k x k and 1x1 convolutions of C / 4, C /
//! 4 and C channels, each with batch norm and relu, k and the stride of the second being the ratio of the
//! sizes; on flat features, (N, C), all three are linear. Bottlenecks and exits are the method's own
//! parameters and no part of the exported student.
//!
//! a .1, T 3 and b 1e-6 are those of a public PyTorch implementation, which also weighs the deepest
//! classifier's own cross-entropy by 1 - a, where the paper has 1. The authors' own code (a .3, no factor
//! T^2, no b, exits behind attention) is that of their later paper, TPAMI 2021.

use crate::distill::regressor::Regressor;
use crate::distill::{
    Family, Knowledge, LogitRows, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features,
    sum_of,
};
use crate::nn::{BatchNorm, Conv, Forward, Linear, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "byot",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "exits on the student's stages learn from its deepest classifier; needs no teacher",
    formula: "sum over exits of (1 - soft) * CE(e, y) + soft * T^2 * KL(softmax(z_s / T) || softmax(e / T)) \
              + hint * sum (f_e - f)^2, the last one over the batch",
    paper: "Zhang et al. 1905.08094",
    settings: &[
        Setting::positive("temperature", 3.0, "softens both distributions"),
        Setting::share("soft", 0.1, "share of soft targets in what an exit learns"),
        Setting::from_zero("hint", 1e-6, "weight of the distance to the deepest features"),
    ],
    taps: TapNeed::Stages,
    reads: &[Need::Logits, Need::Labels, Need::Taps],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [temperature, soft, hint] = values.numbers(["temperature", "soft", "hint"])?;
        Ok(Box::new(Byot { temperature, soft, hint }))
    },
};

#[derive(Debug, Clone, Copy)]
struct Byot {
    temperature: f32,
    soft: f32,
    hint: f32,
}

struct Exits {
    byot: Byot,
    /// One a stage but the deepest.
    exits: Vec<(Bottleneck, Linear)>,
}

/// The student's tapped stages.
fn stages(seen: &MethodContext<'_>) -> Result<Vec<Tensor>> {
    let all: Vec<Tensor> = seen.taps.iter().map(|(_, name)| seen.student.tap(name)).collect::<Result<_>>()?;
    if all.len() < 2 {
        let message = format!("byot needs two stages of the student at least, got {}", all.len());
        return Err(Error::config("taps", message));
    }
    all.iter().try_for_each(|stage| features::channels("byot", stage).map(drop))?;
    Ok(all)
}

impl Method for Byot {
    fn needs_teacher(&self) -> bool {
        false
    }

    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let (stages, classes) = (stages(seen)?, seen.rows()?.student.dims()[1]);
        let deepest = &stages[stages.len() - 1];
        let mut exit = |(index, stage): (usize, &Tensor)| {
            let bottleneck = Bottleneck::new(at.sub(format!("bottleneck{index}")), stage, deepest);
            (bottleneck, Linear::new(at.sub(format!("exit{index}")), deepest.dims()[1], classes, true))
        };
        let exits = stages[..stages.len() - 1].iter().enumerate().map(&mut exit).collect();
        Ok(Box::new(Exits { byot: *self, exits }))
    }
}

impl Loss for Exits {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let Byot { temperature, soft: share, hint } = self.byot;
        let stages = stages(seen)?;
        let deepest = features::embedding(&stages[stages.len() - 1])?.detach()?;
        let rows = seen.rows()?;
        // The deepest classifier is the exits' teacher.
        let rows = LogitRows { teacher: rows.student.clone(), ..rows.clone() };
        sum_of(stages.iter().zip(&self.exits).map(|(stage, (bottleneck, exit))| {
            let feature = features::embedding(&bottleneck.forward(own, stage)?)?;
            let exit = rows.with_student("byot", exit.forward(own, &feature)?)?;
            let hard = exit.cross_entropy(0.0)?.scale(1.0 - share)?;
            let soft = exit.kl_div(temperature, KlReduction::BatchMean)?;
            let hint = feature.sub(&deepest)?.square()?.sum(&[0, 1], false)?.scale(hint)?;
            hard.add(&soft.scale(share)?)?.add(&hint)
        }))
    }
}

/// Three layers, each with batch norm and relu.
struct Bottleneck([(Regressor, BatchNorm); 3]);

impl Bottleneck {
    fn new(mut at: ParamBuilder<'_>, stage: &Tensor, deepest: &Tensor) -> Self {
        let (c_in, c_out) = (stage.dims()[1], deepest.dims()[1]);
        let inner = (c_out / 4).max(1);
        // Flat features have no sizes.
        let ratios = stage.dims().iter().zip(deepest.dims()).skip(2).map(|(from, to)| from / to);
        let ratio = ratios.min().unwrap_or(1).max(1);
        let mut layer = |index: usize, c_in, c_out, k: usize| {
            // A bias before batch norm would be subtracted again.
            let at_layer = at.sub(index);
            let layer = match stage.dims().len() {
                4 => Regressor::Conv(Conv::new(at_layer, c_in, c_out, k, Conv2d::square(k, 0), false)),
                _ => Regressor::new(at_layer, stage, c_in, c_out, false),
            };
            (layer, BatchNorm::new(at.sub(format!("{index}_bn")), c_out))
        };
        Self([layer(0, c_in, inner, 1), layer(1, inner, inner, ratio), layer(2, inner, c_out, 1)])
    }

    fn forward(&self, own: &Forward<'_>, stage: &Tensor) -> Result<Tensor> {
        self.0
            .iter()
            .try_fold(stage.clone(), |x, (layer, norm)| norm.forward(own, &layer.forward(own, &x)?)?.relu())
    }
}
