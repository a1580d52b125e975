//! Distances between the student's features and the teacher's at tapped layers, through a learned regressor
//! where widths differ; a larger map is pooled to the smaller one's size. Summed over the pairs of taps.
//!
//! With d = r(f_s) - f_t: `l2` mean d^2 (FitNets, Romero et al. 1412.6550); `l1` mean |d|; `smooth-l1` mean
//! of d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (Girshick 1504.08083). With all features of a
//! sample as one vector: `cosine` mean over samples of 1 - cos(r(f_s), f_t); `kl` T^2 * KL(softmax(f_t / T)
//! || softmax(r(f_s) / T)), batch-mean.

use crate::Result;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, loss,
};
use crate::nn::ParamBuilder;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "feature",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "distance between features at tapped layers, by a learned regressor where widths differ",
    formula: "sum over taps of distance(r(f_s), f_t); l2: mean (r(f_s) - f_t)^2",
    paper: "Romero et al. 1412.6550",
    settings: &[
        Setting::choice("distance", &["l2", "l1", "smooth-l1", "cosine", "kl"], "how far features are apart"),
        Setting::choice("regressor", &["auto", "always", "never"], "auto: where widths differ"),
        Setting::positive("beta", 1.0, "where smooth-l1 turns from a square into a line"),
        Setting::positive("softening", 1.0, "temperature of kl"),
    ],
    taps: TapNeed::Last,
    reads: &[Need::Taps],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let distance = match values.choice("distance")? {
            "l1" => Distance::L1,
            "smooth-l1" => Distance::SmoothL1(values.number("beta")?),
            "cosine" => Distance::Cosine,
            "kl" => Distance::Kl(values.number("softening")?),
            _ => Distance::L2,
        };
        let regress = match values.choice("regressor")? {
            "always" => Use::Always,
            "never" => Use::Never,
            _ => Use::Auto,
        };
        Ok(Box::new(Feature::new("feature", distance, regress)))
    },
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Distance {
    L2,
    L1,
    /// Where the square becomes a line.
    SmoothL1(f32),
    Cosine,
    /// Temperature.
    Kl(f32),
}

/// The method; FitNets and hidden activations are forms of it.
#[derive(Debug)]
pub(super) struct Feature {
    name: &'static str,
    distance: Distance,
    regress: Use,
}

impl Feature {
    /// `name` is what errors call it.
    pub fn new(name: &'static str, distance: Distance, regress: Use) -> Self {
        Self { name, distance, regress }
    }
}

impl Distance {
    fn between(self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        match self {
            Self::L2 => student.mse_loss(teacher),
            Self::L1 => student.l1_loss(teacher),
            Self::SmoothL1(beta) => student.smooth_l1_loss(teacher, beta),
            Self::Cosine => student.cosine_loss(teacher),
            Self::Kl(temperature) => {
                student.flatten()?.kl_div(&teacher.flatten()?, temperature, KlReduction::BatchMean)
            }
        }
    }
}

impl Method for Feature {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let regressors = Regressors::new(self.name, seen, at, self.regress, true)?;
        let distance = self.distance;
        loss(move |seen, own| {
            features::sum_over_taps(seen, |index, teacher, student| {
                let (teacher, student) = regressors.align(own, index, teacher, student)?;
                distance.between(&student, &teacher)
            })
        })
    }
}
