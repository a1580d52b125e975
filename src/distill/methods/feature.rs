//! Distances between the student's features and the teacher's at tapped layers, through a learned regressor
//! where widths differ; a larger map is pooled to the smaller one's size. Summed over the pairs of taps.
//!
//! With d = r(f_s) - f_t: `l2` mean d^2 (FitNets, Romero et al. 1412.6550); `l1` mean |d|; `smooth-l1` mean
//! of d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (Girshick 1504.08083). With all features of a
//! sample as one vector: `cosine` mean over samples of 1 - cos(r(f_s), f_t); `kl` T^2 * KL(softmax(f_t / T)
//! || softmax(r(f_s) / T)), batch-mean.
//!
//! For detectors `mask` weights cells: the mean over cells by their weight, and over channels, of d^2 (or what the distance
//! makes of d). `frs` weights by the teacher's score, the largest over anchors of objectness times the likeliest class
//! (Du et al., NeurIPS 2021); no truth is needed. `fine-grained` takes the cells where one of the teacher's anchors overlaps
//! a truth by more than psi times the most that any does (Wang et al. 1906.03609, who divide by twice the number of cells).
//! Either reads the teacher's head whose map has as many cells.

use crate::distill::boxes::CellMask;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, loss,
};
use crate::nn::ParamBuilder;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "feature",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "distance of features at tapped layers, by a learned regressor where widths differ",
    formula: "sum over taps of distance(r(f_s), f_t); l2: mean (r(f_s) - f_t)^2",
    paper: "Romero et al. 1412.6550; mask=frs: Du et al., NeurIPS 2021; mask=fine-grained: Wang et al. 1906.03609",
    settings: &[
        Setting::choice("distance", &["l2", "l1", "smooth-l1", "cosine", "kl"], "how far features are apart"),
        Setting::choice("regressor", &["auto", "always", "never"], "auto: where widths differ"),
        Setting::positive("beta", 1.0, "where smooth-l1 turns from a square into a line"),
        Setting::positive("softening", 1.0, "temperature of kl"),
        Setting::choice(
            "mask",
            &["none", "frs", "fine-grained"],
            "detectors, by cell: frs weights by the teacher's score, fine-grained takes those of anchors near a truth",
        )
        .later(),
        Setting::within("psi", 0.5, [0.0, 0.999], "share of a truth's largest overlap, for fine-grained").later(),
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
        let mask = match values.choice("mask")? {
            "frs" => Some(CellMask::Frs),
            "fine-grained" => Some(CellMask::FineGrained(values.number("psi")?)),
            _ => None,
        };
        if mask.is_some() && matches!(distance, Distance::Cosine | Distance::Kl(_)) {
            let message =
                "weights cells, which cosine and kl do not tell apart; use distance=l2, l1 or smooth-l1";
            return Err(Error::config("mask", message));
        }
        Ok(Box::new(Feature { mask, ..Feature::new("feature", distance, regress) }))
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
    mask: Option<CellMask>,
}

impl Feature {
    /// `name` is what errors call it.
    pub fn new(name: &'static str, distance: Distance, regress: Use) -> Self {
        Self { name, distance, regress, mask: None }
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

impl Distance {
    /// What an element of the difference d adds; `None` for distances of whole samples.
    fn of_elements(self, d: &Tensor) -> Result<Option<Tensor>> {
        match self {
            Self::L2 => d.square().map(Some),
            Self::L1 => d.abs().map(Some),
            Self::SmoothL1(beta) => {
                let size = d.abs()?;
                let beyond = size.add_scalar(-beta)?.relu()?;
                let inside = size.sub(&beyond)?;
                inside.square()?.scale(0.5 / beta)?.add(&beyond).map(Some)
            }
            Self::Cosine | Self::Kl(_) => Ok(None),
        }
    }
}

impl Method for Feature {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let regressors = Regressors::new(self.name, seen, at, self.regress, true)?;
        let Feature { name, distance, mask, .. } = *self;
        if mask.is_some() {
            features::expect_maps(name, seen)?;
        }
        loss(move |seen, own| {
            features::sum_over_taps(seen, |index, teacher, student| {
                let (teacher, student) = regressors.align(own, index, teacher, student)?;
                let Some(mask) = mask else { return distance.between(&student, &teacher) };
                match distance.of_elements(&student.sub(&teacher)?)? {
                    Some(elements) => mask.mean(name, seen, &elements),
                    None => {
                        Err(Error::config("mask", "weights cells, which this distance does not tell apart"))
                    }
                }
            })
        })
    }
}
