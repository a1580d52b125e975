//! What a method sees: both networks' passes on one batch, and the batch.

use super::LogitRows;
use crate::models::Outputs;
use crate::nn::{Forward, Params, Tap};
use crate::ops::binary::Binary;
use crate::tape::Tensor;
use crate::tasks::Leaves;
use crate::{Error, Result};

/// Both networks on one batch, and the batch.
pub struct MethodContext<'a> {
    /// The student's pass.
    pub student: &'a Forward<'a>,
    /// The teacher's.
    pub teacher: &'a TeacherPass<'a>,
    /// What the task gives methods on logits to compare; [`MethodContext::rows`] and [`MethodContext::values`] read it.
    pub rows: TaskRows<'a>,
    /// What the student gives, by name.
    pub student_outputs: &'a Outputs,
    /// What the teacher gives, by name.
    pub teacher_outputs: &'a Outputs,
    /// The batch: the samples' places in the training set, and its fields as the step sees them.
    pub leaves: &'a Leaves,
    /// Samples of the training set.
    pub samples: usize,
    /// Tap pairs of this method, (teacher's hint, student's guided layer).
    pub taps: &'a [(String, String)],
}

/// Rows of both networks' outputs, if the task has any.
#[derive(Clone, Copy)]
pub enum TaskRows<'a> {
    /// Their columns are classes: the rows are logits.
    Logits(&'a LogitRows),
    /// Their columns are other numbers, such as a regression's.
    Values(&'a LogitRows),
    /// The task's outputs are no rows.
    None,
}

impl TaskRows<'_> {
    /// Rows of the same kind.
    pub(super) fn with<'b>(&self, rows: &'b LogitRows) -> TaskRows<'b> {
        match self {
            Self::Logits(_) => TaskRows::Logits(rows),
            Self::Values(_) => TaskRows::Values(rows),
            Self::None => TaskRows::None,
        }
    }
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
        /// The teacher itself in a pass that is never run, where its file is at hand, too: it tells a method which layer
        /// a feature comes from. Not there while a step is recorded.
        unrun: Option<UnrunPass<'a>>,
    },
}

/// A pass of a teacher whose outputs lie on disk, to be looked at.
pub struct UnrunPass<'a> {
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

    /// The teacher's own pass and weights, where they are there: of a teacher in the step, or of a pass that never runs.
    pub fn network(&self) -> Option<(&Forward<'_>, &Params)> {
        match self {
            Self::Live { forward, params } => Some((forward, params)),
            Self::Stored { unrun, .. } => unrun.as_ref().map(|pass| (pass.forward, pass.params)),
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
            Some(&*params.get(*id).ok()?.values)
        };
        return values(&scale).zip(values(&shift));
    }
    let own = forward.taps().into_iter().filter(|t| t.tensor.id() == tensor.id());
    let vector = |name: String| params.find(&name).filter(|p| p.shape.dims() == [tensor.dims()[1]]);
    let mut named = own.map(|t| (vector(format!("{}.weight", t.name)), vector(format!("{}.bias", t.name))));
    let (weight, bias) = named.find_map(|(weight, bias)| weight.zip(bias))?;
    Some((&weight.values, &bias.values))
}

impl MethodContext<'_> {
    /// The rows of logits over classes.
    ///
    /// # Errors
    /// [`Error::Config`] where the task has none, naming its outputs; [`Error::Shape`] for rows that do not go together.
    pub fn rows(&self) -> Result<&LogitRows> {
        match self.rows {
            TaskRows::Logits(rows) => rows.checked(),
            _ => Err(self.no_rows("rows of logits over classes")),
        }
    }

    /// The rows, be they logits or other numbers.
    ///
    /// # Errors
    /// Those of [`MethodContext::rows`].
    pub fn values(&self) -> Result<&LogitRows> {
        match self.rows {
            TaskRows::Logits(rows) | TaskRows::Values(rows) => rows.checked(),
            TaskRows::None => Err(self.no_rows("rows of numbers")),
        }
    }

    fn no_rows(&self, wanted: &str) -> Error {
        let outputs: Vec<&str> = self.student_outputs.iter().map(|(name, _)| name).collect();
        let outputs = outputs.join(", ");
        let message = format!(
            "this method reads {wanted}, which the task does not give; its outputs are {outputs}. `limbeck methods` \
             shows the tasks of each method"
        );
        Error::config("method", message)
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
