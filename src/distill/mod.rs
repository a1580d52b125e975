//! Distillation methods: one file each in `methods/`, of which [`METHODS`] is the only list. What they share is here.
//!
//! A [`Method`] is what the user asked for, parsed once and never changed. For a step it makes its [`Loss`], which sees
//! both networks' forward passes (logits and taps) and records a scalar, unweighted. Teacher tensors require no
//! gradient, so nothing of a teacher is differentiated or kept.
//!
//! Methods declare, the trainer provides. A [`MethodSpec`] says formula, paper, settings with the paper's defaults and which taps
//! it needs; the trainer pairs what both models offer for that need. A schedule is in shares of the training and a weight is a
//! scalar of the step, so that neither makes a new plan.

pub mod boxes;
mod context;
mod features;
mod logits;
mod low_rank;
mod method;
mod methods;
mod need;
mod objective;
pub mod pages;
mod parse;
mod regressor;
mod rows;
mod schedule;
mod settings;
mod term;
mod tokens;
mod transfer;
mod vectors;

pub use context::{MethodContext, TaskRows, TeacherPass, UnrunPass};
pub use low_rank::{Factors, Rank, low_rank};
pub use method::{Loss, Method, Parameterless, loss};
pub use methods::{METHODS, find};
pub use need::tasks;
pub use objective::Objective;
pub use parse::parse;
pub use rows::LogitRows;
pub use schedule::TermSchedule;
pub use settings::{MethodConfig, Setting, SettingKind, SettingValues};
pub use term::Term;
pub use transfer::{Layers, Select, Transfer};

use method::parameterless;

use crate::tape::Tensor;
pub use crate::tasks::Need;
use crate::{Error, Result};

/// The three families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Soft targets and hidden activations of a frozen teacher.
    Activation,
    /// The teacher's weights shape the student's.
    Weight,
    /// The task's loss plus a distance between intermediate features.
    Feature,
}

/// What a loss compares, in the field's words (Gou et al. 2006.05525).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// Outputs: logits, or what is made of them.
    Response,
    /// Features of one sample.
    Feature,
    /// How samples, channels or layers go together.
    Relation,
    /// Outputs, and the weights that the student starts from.
    Weights,
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Activation => "activation",
            Self::Weight => "weight",
            Self::Feature => "feature",
        })
    }
}

impl std::fmt::Display for Knowledge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Response => "response-based",
            Self::Feature => "feature-based",
            Self::Relation => "relation-based",
            Self::Weights => "response-based, from the teacher's weights",
        })
    }
}

/// The taps that a method uses where the user names none. Those of a detector's heads are paired by the size of their maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapNeed {
    /// It looks at logits only.
    None,
    /// The deepest stage of both networks; of detectors that of every head.
    Last,
    /// The one in the middle of the stages that both have, paired from the deepest backward.
    Middle,
    /// Every stage, paired from the deepest backward.
    Stages,
    /// The values before every stage's last activation, paired likewise.
    PreActivations,
    /// What the classifiers see.
    Embedding,
    /// [`TapNeed::PreActivations`], and after them, but of detectors, [`TapNeed::Embedding`].
    Review,
    /// Every stage of the student, each with that of the teacher which is as far along: stage i of n with stage i m / n of m.
    Layers,
    /// [`TapNeed::Layers`] without the deepest.
    LayersButLast,
    /// [`TapNeed::Stages`] without the deepest.
    StagesButLast,
    /// [`TapNeed::Embedding`]; of a student whose output is vectors none: those are what is compared.
    Vectors,
}

/// An entry of [`METHODS`].
pub struct MethodSpec {
    /// What the user writes.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// What it compares.
    pub knowledge: Knowledge,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its loss, as the docs show it; batch means unless it says otherwise.
    pub formula: &'static str,
    /// Authors and arXiv number, or venue.
    pub paper: &'static str,
    /// What the user may set, with the paper's values.
    pub settings: &'static [Setting],
    /// The taps it uses where the user names none.
    pub taps: TapNeed,
    /// What it reads, which says for which tasks it is.
    pub reads: &'static [Need],
    /// Default weight of its term.
    pub weight: f32,
    /// Default weight of the task's cross-entropy beside it.
    pub ce_weight: f32,
    /// Makes it.
    pub build: fn(&SettingValues) -> Result<Box<dyn Method>>,
}

/// The sum of a method's parts, at least one.
fn sum_of(mut parts: impl Iterator<Item = Result<Tensor>>) -> Result<Tensor> {
    let first =
        parts.next().ok_or_else(|| Error::config("taps", "needs at least one pair, teacher:student"))??;
    parts.try_fold(first, |sum, part| sum.add(&part?))
}

/// Softens both distributions; Hinton et al. use 1 to 20, CIFAR recipes 4.
const TEMPERATURE: Setting = Setting::positive("temperature", 4.0, "softens both distributions");
