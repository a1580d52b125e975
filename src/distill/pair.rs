//! What a method sees: both networks' passes on one batch, and the batch.

use crate::nn::{Forward, Params, Tap};
use crate::ops::binary::Binary;
use crate::tape::Tensor;
use crate::{Error, Result};

/// Both networks on one batch.
pub struct Pair<'a> {
    /// The student's pass.
    pub student: &'a Forward<'a>,
    /// The teacher's.
    pub teacher: &'a TeacherPass<'a>,
    /// Student logits (N, C).
    pub student_logits: &'a Tensor,
    /// Teacher logits (N, C), before any softmax. They require no gradient.
    pub teacher_logits: &'a Tensor,
    /// Labels i32 (N), where the task has them; [`crate::data::IGNORE_LABEL`] for samples that only fill the batch.
    pub labels: Option<&'a Tensor>,
    /// The samples' places in the training set, i32 (N).
    pub sample_ids: &'a Tensor,
    /// Images of the training set.
    pub samples: usize,
    /// Tap pairs of this method, (teacher's hint, student's guided layer).
    pub taps: &'a [(String, String)],
}

/// Where a teacher's features come from.
pub enum TeacherPass<'a> {
    /// A network that runs in the step.
    Live {
        /// Its pass.
        forward: Forward<'a>,
        /// Its weights on the host.
        params: &'a Params,
    },
    /// Features that were written to disk before.
    Stored {
        /// By name.
        taps: Vec<Tap>,
        /// The teacher itself in a pass that is never run, where its file is at hand, too: it shows a method of which
        /// layer a feature is. Not there while a step is recorded.
        shown: Option<Shown<'a>>,
    },
}

/// A pass of a teacher whose outputs lie on disk, to be looked at.
pub struct Shown<'a> {
    /// Its pass.
    pub forward: &'a Forward<'a>,
    /// Its weights on the host.
    pub params: &'a Params,
}

impl TeacherPass<'_> {
    /// A tap by name, or an error that lists the ones there are, with shapes.
    pub fn tap(&self, name: &str) -> Result<Tensor> {
        match self {
            Self::Live { forward, .. } => forward.tap(name),
            Self::Stored { taps, .. } => {
                let found = taps.iter().find(|tap| tap.name == name || tap.alias == name);
                found.map(|tap| tap.tensor.clone()).ok_or_else(|| {
                    let there = if taps.is_empty() { "no features".into() } else { Tap::list(taps) };
                    Error::config(
                        format!("tap \"{name}\" of the teacher outputs"),
                        format!("the file has {there}; write it again with this tap"),
                    )
                })
            }
        }
    }

    /// The taps that there are, in order.
    pub fn taps(&self) -> Vec<Tap> {
        match self {
            Self::Live { forward, .. } => forward.taps(),
            Self::Stored { taps, .. } => taps.clone(),
        }
    }

    /// The teacher's own pass and weights, where they are there: of a teacher in the step, or of one that is shown.
    pub fn network(&self) -> Option<(&Forward<'_>, &Params)> {
        match self {
            Self::Live { forward, params } => Some((forward, params)),
            Self::Stored { shown, .. } => shown.as_ref().map(|shown| (shown.forward, shown.params)),
        }
    }

    /// Scale and shift (C) of the batch norm that a tap comes from: the tap's own, or that of the residual
    /// branch where the tap is a block's sum.
    ///
    /// # Errors
    /// [`Error::Config`] where there is none, or only outputs on disk.
    pub fn norm(&self, tap: &str) -> Result<(&[f32], &[f32])> {
        let refuse = |why: &str| Err(Error::config(format!("tap \"{tap}\" of the teacher"), why));
        let Self::Live { forward, params } = self else {
            return refuse("outputs on disk hold no batch norm; this method needs the teacher itself");
        };
        let tensor = forward.tap(tap)?;
        let summands = tensor.producer::<Binary>().filter(|(op, _)| *op == Binary::Add);
        let candidates = summands.map_or(vec![tensor], |(_, summands)| summands);
        match candidates.iter().find_map(|t| norm_of(forward, params, t)) {
            Some(found) => Ok(found),
            None => refuse(
                "it is no batch norm's output, nor a sum of one; name one that is with `taps`. An exporter that folds \
                 batch norms into convolutions leaves none: export an ONNX teacher with its norms \
                 (torch.onnx.export(..., training=TrainingMode.PRESERVE, dynamo=False))",
            ),
        }
    }

    /// One of the teacher's own parameters, as a frozen leaf; for methods that reuse its layers.
    pub fn param(&self, name: &str) -> Result<Tensor> {
        let refuse = |why: String| Err(Error::config(format!("teacher parameter \"{name}\""), why));
        match self {
            Self::Live { forward, params } => match params.id(name) {
                Some(id) => forward.param(id),
                None => refuse("the teacher has none of that name".into()),
            },
            Self::Stored { .. } => {
                refuse("outputs on disk hold none; this method needs the teacher itself".into())
            }
        }
    }
}

/// Scale and shift of the batch norm that made a tensor: what its op reads, or what is named after the tap.
fn norm_of<'a>(forward: &Forward<'_>, params: &'a Params, tensor: &Tensor) -> Option<(&'a [f32], &'a [f32])> {
    if let Some((scale, shift)) = tensor.normalised_by() {
        let leaves = forward.leaves();
        let values = |read: &Tensor| {
            let (id, _) = leaves.iter().find(|(_, leaf)| leaf.id() == read.id())?;
            Some(&*params.get(*id).values)
        };
        return values(&scale).zip(values(&shift));
    }
    let own = forward.taps().into_iter().filter(|t| t.tensor.id() == tensor.id());
    let vector = |name: String| params.find(&name).filter(|p| p.shape.dims() == [tensor.dims()[1]]);
    let mut named = own.map(|t| (vector(format!("{}.weight", t.name)), vector(format!("{}.bias", t.name))));
    let (weight, bias) = named.find_map(|(weight, bias)| weight.zip(bias))?;
    Some((&weight.values, &bias.values))
}

impl Pair<'_> {
    /// The labels, i32 (N).
    ///
    /// # Errors
    /// [`Error::Config`] where the task has none.
    pub fn labels(&self) -> Result<&Tensor> {
        self.labels.ok_or_else(|| Error::config("method", "it needs labels, and this task has none"))
    }

    /// The tensors of every tap pair, (teacher's, student's), at least one.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is not there, listing those that are, and where no pair is given.
    pub fn tapped(&self) -> Result<Vec<(Tensor, Tensor)>> {
        if self.taps.is_empty() {
            let message = "this method needs at least one pair of taps, teacher:student";
            return Err(Error::config("taps", message));
        }
        self.taps
            .iter()
            .map(|(hint, guided)| Ok((self.teacher.tap(hint)?, self.student.tap(guided)?)))
            .collect()
    }
}
