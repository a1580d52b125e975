//! Tasks: what a network is trained for. [`TASKS`] is the only list of limbeck's own; a program's own is a type that
//! implements [`Task`].
//!
//! A task says how a batch's fields become what the model reads, which terms its loss has, what is counted on the device,
//! and how a network is measured. It knows nothing of schemes, checkpoints, files or flags, and the trainer knows no task
//! by name.

pub mod classify;
pub mod detect;
pub mod embed;
mod images;
mod leaves;
pub mod masked;
mod meter;
mod metric;
mod reads;
pub mod regress;
pub mod vectors;

pub use classify::{Classify, ClassifyConfig};
pub use detect::{Detect, DetectConfig};
pub use embed::Embed;
pub use images::{ImageConfig, Images, Views};
pub use leaves::Leaves;
pub use masked::MaskedWords;
pub use meter::{Meter, Tally};
pub use metric::{Measured, Metric, Unit};
pub use reads::{Features, Reads, Texts};
pub use regress::Regress;
pub use vectors::Vectors;

use crate::data::Source;
use crate::gpu::Gpu;
use crate::models::{Head, ModelConfig, Outputs, Values};
use crate::nn::Mode;
use crate::tape::Tensor;
use crate::{Error, Result};

/// Every task.
pub static TASKS: &[&TaskSpec] =
    &[&classify::SPEC, &detect::SPEC, &embed::SPEC, &masked::SPEC, &regress::SPEC, &vectors::SPEC];

/// An entry of [`TASKS`].
#[derive(Debug)]
pub struct TaskSpec {
    /// What people write.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What its steps have for methods of distillation to read.
    pub offers: &'static [Need],
}

impl TaskSpec {
    /// Whether it has everything that is needed.
    pub fn offers_all(&self, needs: &[Need]) -> bool {
        needs.iter().all(|need| self.offers.contains(need))
    }
}

/// What a method of distillation reads, and a task offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Rows of logits over classes.
    Logits,
    /// Rows of numbers, be they logits or not.
    Numbers,
    /// The right class of each row.
    Labels,
    /// Boxes, read off maps by heads.
    Boxes,
    /// The boxes that are there.
    Truths,
    /// Intermediate features.
    Taps,
    /// The networks' weights.
    Weights,
    /// The tokens of texts, and what networks make of each.
    Tokens,
    /// A vector of each sample, of any width.
    Vectors,
}

/// What a network is trained for.
///
/// A task of one's own may have another's inputs and measures, and a loss of its own:
///
/// ```
/// use std::sync::Arc;
///
/// use limbeck::Result;
/// use limbeck::data::{LABELS, LoadOptions, Source, load};
/// use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
/// use limbeck::models::{ModelConfig, Outputs, Values, build};
/// use limbeck::nn::Mode;
/// use limbeck::tasks::{Classify, ClassifyConfig, Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm, Views};
/// use limbeck::train::{TrainConfig, Trainer};
///
/// /// Classes by the squared distance of logits to one-hot labels.
/// struct Brier(Classify);
///
/// static BRIER: TaskSpec =
///     TaskSpec { name: "brier", about: "classes by squared distance", offers: &[Need::Logits, Need::Labels, Need::Taps] };
///
/// impl Task for Brier {
///     fn spec(&self) -> &'static TaskSpec {
///         &BRIER
///     }
///     fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
///         let labels = leaves.get(LABELS)?.one_hot(10)?;
///         let distance = outputs.logits()?.softmax(1)?.sub(&labels)?.square()?;
///         let loss = distance.sum(&[1], false)?.mean(&[0], false)?;
///         Ok(vec![TaskTerm { name: "brier", loss, weight: 1.0 }])
///     }
///     fn model_config(&self) -> ModelConfig {
///         self.0.model_config()
///     }
///     fn check(&self, source: &dyn Source) -> Result<()> {
///         self.0.check(source)
///     }
///     fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
///         self.0.inputs(leaves, mode)
///     }
///     fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Option<Rows>> {
///         self.0.rows(outputs, leaves)
///     }
///     fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
///         self.0.meter(gpu)
///     }
///     fn identity(&self) -> Vec<(&'static str, String)> {
///         self.0.identity()
///     }
///     fn views(&self) -> Views {
///         self.0.views()
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let (training, test) = load("digits", None, &LoadOptions::default())?;
/// let task = Brier(Classify::new(&training, ClassifyConfig::default())?);
/// let mut network = build("mlp:16", &task.model_config())?;
/// let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
/// let config = TrainConfig { epochs: 4, ..Default::default() };
/// let run = Trainer::new(&gpu, task, &config, &Arc::new(training), &Arc::new(test)).fit(&mut network)?;
/// assert!(run.value() > 0.5 && run.epochs[3].loss < run.epochs[0].loss);
/// # Ok(())
/// # }
/// ```
pub trait Task: Send + Sync {
    /// Its list entry, or one of a program's own.
    fn spec(&self) -> &'static TaskSpec;

    /// What networks for it are built for.
    fn model_config(&self) -> ModelConfig;

    /// Whether a network with this head can be measured by the task, and teach: the one that its own networks have, as a rule.
    fn takes(&self, head: Head) -> bool {
        self.model_config().head == head
    }

    /// Fails where a source lacks a field, or has one of other sizes, naming it.
    fn check(&self, source: &dyn Source) -> Result<()>;

    /// Records how a batch's fields become what the model reads: decoding, normalising, and in [`Mode::Train`] augmenting.
    /// What has to change with them, such as boxes in an image that is flipped, it [shows](Leaves::show) in its place.
    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values>;

    /// Records the terms of the task's own loss, each (1); none of a task that only a teacher can teach.
    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>>;

    /// The rows of numbers that methods on logits see: a classifier's logits of each sample, a token model's of each token.
    /// `None` where a task has no such rows.
    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Option<Rows>>;

    /// What counts over the batches of a training epoch, or of an evaluation.
    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>>;

    /// Settings that weights depend on, by name, in a form that never changes: checkpoints compare them.
    fn identity(&self) -> Vec<(&'static str, String)>;

    /// What a model is shown of each sample; stored outputs of a teacher are valid for the same views only.
    fn views(&self) -> Views;
}

impl dyn Task + '_ {
    /// [`Task::rows`] where there must be some.
    ///
    /// # Errors
    /// [`Error::Config`] for a task that has no rows, by its name.
    pub fn some_rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Rows> {
        self.rows(outputs, leaves)?.ok_or_else(|| {
            let message = format!("the task {} has no rows of logits to learn from", self.spec().name);
            Error::config("method", message)
        })
    }
}

/// A term of a task's loss.
pub struct TaskTerm {
    /// Its name.
    pub name: &'static str,
    /// The loss before weighting, (1).
    pub loss: Tensor,
    /// Its weight.
    pub weight: f32,
}

/// Rows of numbers that methods compare: one for each sample, token or anchor.
#[derive(Clone)]
pub struct Rows {
    /// (R, C): logits over classes, or plain numbers where there are no labels.
    pub values: Tensor,
    /// The class of each row, i32 (R).
    pub labels: Option<Tensor>,
    /// How much each row counts, f32 (R); all alike where absent.
    pub weights: Option<Tensor>,
}

impl Rows {
    /// The class that a row of logits (C) answers: the place of the largest, the first of equals. `None` where one is NaN
    /// or infinite.
    pub fn answer(logits: &[f32]) -> Option<usize> {
        let best = (0..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
        logits.iter().all(|v| v.is_finite()).then_some(best)
    }
}

impl<T: Task + ?Sized> Task for std::sync::Arc<T> {
    fn spec(&self) -> &'static TaskSpec {
        (**self).spec()
    }

    fn model_config(&self) -> ModelConfig {
        (**self).model_config()
    }

    fn takes(&self, head: Head) -> bool {
        (**self).takes(head)
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        (**self).check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        (**self).inputs(leaves, mode)
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        (**self).loss(outputs, leaves)
    }

    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Option<Rows>> {
        (**self).rows(outputs, leaves)
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        (**self).meter(gpu)
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        (**self).identity()
    }

    fn views(&self) -> Views {
        (**self).views()
    }
}
