//! What methods on logits (N, C) share: standardisation of both sides, and means over the samples that have a label.
//!
//! Standardised logits (Sun et al. 2403.01427): z <- (z - mean) / (std + 1e-7) over classes, with the unbiased standard
//! deviation, as the authors' code has it. Any method on logits takes them, by the setting [`LOGITS`].

use super::{Method, Pair, Setting, TermSchedule, Transfer};
use crate::nn::{Forward, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The setting of every method on logits. `MethodSpec::term` heeds it; the methods themselves need not.
pub(super) const LOGITS: Setting = Setting::choice(
    "logits",
    &["plain", STANDARDISED],
    "standardised: each sample's logits to mean 0 and deviation 1 before, on both sides",
);

/// The choice that wraps a method in [`Standardised`].
pub(super) const STANDARDISED: &str = "standardised";

/// A method on standardised logits.
pub(super) struct Standardised(pub Box<dyn Method>);

impl Method for Standardised {
    fn prepare(&mut self, pair: &Pair<'_>, at: ParamBuilder<'_>) -> Result<()> {
        self.0.prepare(pair, at)
    }

    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        self.0.start(student, teacher)
    }

    fn needs_teacher(&self) -> bool {
        self.0.needs_teacher()
    }

    fn reads_teacher(&self) -> bool {
        self.0.reads_teacher()
    }

    fn teacher_by_batch(&self) -> bool {
        self.0.teacher_by_batch()
    }

    fn student(&self, name: &str, pair: &Pair<'_>) -> Result<Option<String>> {
        self.0.student(name, pair)
    }

    fn pull(&self) -> Option<(f32, Transfer)> {
        self.0.pull()
    }

    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        self.0.scalars()
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let (student, teacher) = (standardise(pair.student_logits)?, standardise(pair.teacher_logits)?);
        self.0.loss(&Pair { student_logits: &student, teacher_logits: &teacher, ..*pair }, own)
    }
}

fn standardise(z: &Tensor) -> Result<Tensor> {
    let classes = at_least_two("logit-std", z)?;
    let centred = z.sub(&z.mean(&[1], true)?)?;
    let variance = centred.square()?.sum(&[1], true)?.scale(1.0 / (classes - 1) as f32)?;
    // The root has no derivative at 0. What is added is far below the 1e-7 that follows, and makes equal logits, as of a
    // student whose last layer starts at zero, have a gradient.
    let deviation = variance.add_scalar(1e-24)?.sqrt()?.add_scalar(1e-7)?;
    centred.div(&deviation)
}

/// The classes of logits (N, C), of which `what` needs two.
pub(super) fn at_least_two(what: &str, z: &Tensor) -> Result<usize> {
    match z.dims() {
        [_, classes] if *classes >= 2 => Ok(*classes),
        _ => Err(Error::shape(what, "logits (N, C) of at least two classes", z.meta().to_string())),
    }
}

/// The labels of a batch, some of which only fill it.
pub(super) struct Labels {
    /// (N, C), zeros for samples that do not count.
    pub hot: Tensor,
    /// (N), 1 where a sample counts.
    counts: Tensor,
    /// (1), how many count, at least 1.
    number: Tensor,
}

impl Labels {
    pub fn of(pair: &Pair<'_>, classes: usize) -> Result<Self> {
        let hot = pair.labels()?.one_hot(classes)?;
        let counts = hot.sum(&[1], false)?;
        // max(n, 1): where no sample counts the mean is 0.
        let number = counts.sum(&[0], false)?.add_scalar(-1.0)?.relu()?.add_scalar(1.0)?;
        Ok(Self { hot, counts, number })
    }

    /// Row by row the value (N) of `x` (N, C) at the label; 0 where there is none.
    pub fn pick(&self, x: &Tensor) -> Result<Tensor> {
        x.mul(&self.hot)?.sum(&[1], false)
    }

    /// 1 for all classes but the label, (N, C).
    pub fn others(&self) -> Result<Tensor> {
        self.hot.scale(-1.0)?.add_scalar(1.0)
    }

    /// The mean (1) of `rows` (N) over the samples that count.
    pub fn mean(&self, rows: &Tensor) -> Result<Tensor> {
        rows.mul(&self.counts)?.sum(&[0], false)?.div(&self.number)
    }
}
