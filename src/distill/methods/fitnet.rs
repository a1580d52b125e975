//! Hints (FitNets, Romero et al. 1412.6550): mean (r(f_s) - f_t)^2 between the teacher's hint layer and the
//! student's guided layer, the middle stages where the user names none.
//!
//! r is always there, a 1x1 convolution or a linear layer, also where widths are equal; a larger map is
//! pooled to the smaller one's size. (RepDistiller's r is a convolution with the stride or kernel that fits
//! the sizes, batch norm and relu.)
//!
//! In one stage the hint is a term beside the cross-entropy, with weight 100, as RepDistiller runs it. The
//! paper trains in two: up to the guided layer with the hint alone, then everything with soft targets.
//! Schedules of terms say that: `fitnet,until=0.3+ce:0.1,from=0.3+kd,from=0.3`.

use super::feature::{Distance, Feature};
use crate::distill::regressor::Use;
use crate::distill::{Family, Knowledge, MethodSpec, Need, TapNeed};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "fitnet",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "hints: the student's middle layer regressed on the teacher's; stages by from, until",
    formula: "sum over taps of mean (r(f_s) - f_t)^2",
    paper: "Romero et al. 1412.6550",
    settings: &[],
    taps: TapNeed::Middle,
    reads: &[Need::Taps],
    weight: 100.0,
    ce_weight: 1.0,
    build: |_| Ok(Box::new(Feature::new("fitnet", Distance::L2, Use::Always))),
};
