//! Contrastive representation distillation (Tian et al. 1910.10699): of one image the student's and the
//! teacher's embeddings should go together, of two images not. Embeddings are u / ||u||, u = W f + b of `dim`
//! elements, one linear layer a network; the other network's embeddings of all images are kept in a bank
//! (n_data, dim). The loss of a sample is that of telling its own row of the other's bank from `negatives`
//! drawn ones ([`crate::ops::contrast`]), for the student's embedding against the teacher's bank and the
//! reverse, summed, and the mean over the batch.
//!
//! The paper's critic is h = e / (e + N / M). The authors' code divides e by a constant Z first, M times the
//! mean of e in the first batch, one a bank; their numbers come from it, and it is the default
//! (`partition=estimated`); `partition=none` is the paper's. The code's 1e-7 inside logarithms is not needed
//! here, where they are softplus.
//!
//! After the loss, rows of both banks move to this step's embeddings with `momentum`. Banks and Z are running
//! states of the method: they are in checkpoints. Draws are keyed by seed and step, so that a resumed run
//! draws the same. They are uniform over the training set, as for the code's default `exact` sampling.

use crate::distill::{Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed};
use crate::nn::{Forward, Init, Linear, ParamBuilder, ParamId};
use crate::ops::contrast::Contrast;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "crd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "embeddings of one image by both networks go together, of two images not",
    formula: "mean of -log h(s, t) - sum over drawn k of log(1 - h(s, t_k)), and the reverse; h = e / (e + Z K / M), \
              e = exp(s . t / tau)",
    paper: "Tian et al. 1910.10699",
    settings: &[
        Setting::count("dim", 128, [1, 4096], "elements of an embedding"),
        Setting::count("negatives", 16_384, [1, 1 << 24], "drawn images a sample"),
        Setting::within("tau", 0.07, [0.02, 100.0], "divides similarities"),
        Setting::share("momentum", 0.5, "share of the old row as a bank's row moves"),
        Setting::choice("partition", &["estimated", "none"], "Z of the first batch, or the paper's formula"),
    ],
    taps: TapNeed::Embedding,
    reads: &[Need::Taps],
    weight: 0.8,
    ce_weight: 1.0,
    build: |values| {
        Ok(Box::new(Crd {
            dim: values.count("dim")?,
            contrast: Contrast { negatives: values.count("negatives")?, temperature: values.number("tau")? },
            momentum: values.number("momentum")?,
            estimated: values.choice("partition")? == "estimated",
        }))
    },
};

#[derive(Debug, Clone, Copy)]
struct Crd {
    dim: usize,
    contrast: Contrast,
    momentum: f32,
    estimated: bool,
}

struct Sides {
    crd: Crd,
    student: Side,
    teacher: Side,
}

/// What one network has.
struct Side {
    embed: Linear,
    bank: ParamId,
    partition: ParamId,
}

impl Method for Crd {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let (teacher, student) = embedded(seen)?;
        let mut side = |name: &str, features: &Tensor| {
            let mut at = at.sub(name);
            // Rows of about unit length.
            let rows = Init::Normal(1.0 / (self.dim as f32).sqrt());
            // 0 stands for a partition that is not known yet.
            let partition = Init::Constant(if self.estimated { 0.0 } else { 1.0 });
            Side {
                embed: Linear::new(at.sub("embed"), features.dims()[1], self.dim, true),
                bank: at.state("bank", [seen.samples, self.dim], rows),
                partition: at.state("partition", [1], partition),
            }
        };
        let (student, teacher) = (side("student", &student), side("teacher", &teacher));
        Ok(Box::new(Sides { crd: *self, student, teacher }))
    }
}

impl Loss for Sides {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let Self { crd, student, teacher } = self;
        let (f_t, f_s) = embedded(seen)?;
        let (u_t, u_s) = (teacher.direction(own, &f_t)?, student.direction(own, &f_s)?);
        let by_teacher = teacher.contrast(own, &u_s, seen.leaves.ids(), crd.contrast)?;
        let by_student = student.contrast(own, &u_t, seen.leaves.ids(), crd.contrast)?;
        own.param(student.bank)?.bank_update(seen.leaves.ids(), &u_s, crd.momentum)?;
        own.param(teacher.bank)?.bank_update(seen.leaves.ids(), &u_t, crd.momentum)?;
        by_teacher.add(&by_student)?.mean(&[0], false)
    }
}

impl Side {
    /// Embeddings (N, dim) of length 1.
    fn direction(&self, own: &Forward<'_>, features: &Tensor) -> Result<Tensor> {
        self.embed.forward(own, features)?.normalize()
    }

    /// The loss (N) of the other network's embeddings against this one's bank.
    fn contrast(
        &self,
        own: &Forward<'_>,
        other: &Tensor,
        ids: &Tensor,
        settings: Contrast,
    ) -> Result<Tensor> {
        other.contrast(&own.param(self.bank)?, ids, &own.param(self.partition)?, settings)
    }
}

/// The one tap pair as (N, C), teacher's and student's.
fn embedded(seen: &MethodContext<'_>) -> Result<(Tensor, Tensor)> {
    match &seen.tapped()?[..] {
        [(teacher, student)] => Ok((teacher.flatten()?, student.flatten()?)),
        many => Err(Error::config("taps", format!("crd takes one pair, got {}", many.len()))),
    }
}
