//! How alike the samples of a batch are: c_ij the cosine of the vectors of samples i and j, in each network by itself, so that
//! widths may differ and nothing is projected.
//!
//! - `mse`: the mean over pairs i other than j of (c_s - c_t)^2.
//! - `kl`: the mean over i of KL(softmax_j(c_t / T) || softmax_j(c_s / T)), j other than i: which samples are near, as
//!   contrastive losses see it. Without a factor T^2.
//!
//! Samples that only fill a batch up are in no pair. The vectors are a sentence encoder's outputs, or what classifiers see.
//! Batches of 128 and more have enough pairs to tell.

use crate::Result;
use crate::distill::vectors::{Pairs, Vectors, cosines};
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "relational",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "how alike the vectors of a batch's samples are, such as of sentences; any widths",
    formula: "mse: mean over i != j of (c_s - c_t)^2; kl: mean over i of KL(softmax_j(c_t / T) || softmax_j(c_s / T)); c = \
              cos(e_i, e_j)",
    paper: "Park et al. 1904.05068 relate samples so; kl: Fang et al. 2101.04731, who have a queue for a batch",
    settings: &[
        Setting::choice("form", &["mse", "kl"], "the cosines themselves, or who is near"),
        Setting::within("softening", 0.05, [0.01, 100.0], "T of kl"),
    ],
    taps: TapNeed::Vectors,
    reads: &[Need::Vectors],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let near = values.choice("form")? == "kl";
        let temperature = values.number("softening")?;
        parameterless(Relational { near: near.then_some(temperature) })
    },
};

#[derive(Debug, Clone)]
struct Relational {
    /// T of neighbours, where those are compared.
    near: Option<f32>,
}

impl Loss for Relational {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let pairs = Pairs::of("relational", 2, seen)?;
        let Vectors { teacher, student } = Vectors::of("relational", seen)?;
        let (teacher, student) = (cosines(&teacher)?, cosines(&student)?);
        match self.near {
            None => {
                let sum = pairs.sum(&student.sub(&teacher)?.square()?)?;
                sum.div(&pairs.samples.mul(&pairs.samples_less(1.0)?)?.add_scalar(1e-9)?)
            }
            Some(t) => {
                // A row that does not count is the same on both sides, and adds nothing.
                let (student, teacher) = (pairs.alone(&student)?, pairs.alone(&teacher)?);
                let loss = student.kl_div(&teacher, t, KlReduction::BatchMean)?;
                // kl_div has the factor T^2 of soft targets, and divides by all rows.
                let rows = student.dims()[0] as f32;
                loss.reshape([1])?.scale(rows / (t * t))?.div(&pairs.samples_less(0.0)?)
            }
        }
    }
}
