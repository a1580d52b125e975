//! What methods on logits (R, C) share besides [`super::LogitRows`]: standardisation of both sides.
//!
//! Standardised logits (Sun et al. 2403.01427): z <- (z - mean) / (std + 1e-7) over classes, with the unbiased standard
//! deviation, as the authors' code has it. Any method on logits takes them, by the setting [`LOGITS`].

use super::{LogitRows, Loss, Method, MethodContext, Setting, TapNeed, TermSchedule, Transfer, loss};
use crate::nn::{ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The setting of every method on logits. `MethodSpec::term` wraps the method where it is asked for; the methods
/// themselves do not read it.
pub(super) const LOGITS: Setting = Setting::choice(
    "logits",
    &["plain", STANDARDISED],
    "standardised: first brings each row's logits to mean 0 and deviation 1, on both sides",
);

/// The choice that wraps a method in [`Standardised`].
pub(super) const STANDARDISED: &str = "standardised";

/// A method on standardised logits.
#[derive(Debug)]
pub(super) struct Standardised(pub Box<dyn Method>);

impl Method for Standardised {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let inner = self.0.prepare(seen, at)?;
        loss(move |seen, own| {
            let plain = seen.values()?;
            let (student, teacher) = (standardise(&plain.student)?, standardise(&plain.teacher)?);
            let rows = LogitRows { student, teacher, ..plain.clone() };
            inner.record(&MethodContext { rows: seen.rows.with(&rows), ..*seen }, own)
        })
    }

    fn needs_teacher(&self) -> bool {
        self.0.needs_teacher()
    }

    fn taps(&self) -> Option<TapNeed> {
        self.0.taps()
    }

    fn reads_teacher(&self) -> bool {
        self.0.reads_teacher()
    }

    fn teacher_batch_stats(&self) -> bool {
        self.0.teacher_batch_stats()
    }

    fn changes_student(&self) -> bool {
        self.0.changes_student()
    }

    fn student(&self, name: &str, seen: &MethodContext<'_>) -> Result<Option<String>> {
        self.0.student(name, seen)
    }

    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        self.0.start(student, teacher)
    }

    fn l2_sp(&self) -> Option<(f32, Transfer)> {
        self.0.l2_sp()
    }

    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        self.0.scalars()
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

/// The classes of logits (R, C), of which `what` needs two.
pub(super) fn at_least_two(what: &str, z: &Tensor) -> Result<usize> {
    match z.dims() {
        [_, classes] if *classes >= 2 => Ok(*classes),
        _ => Err(Error::shape(what, "logits (R, C) of at least two classes", z.meta().to_string())),
    }
}
