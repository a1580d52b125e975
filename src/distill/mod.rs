//! Distillation methods: one file each. [`METHODS`] is the only list.
//!
//! A method sees both networks' forward passes (logits and taps) and returns its loss as a scalar,
//! unweighted. Teacher tensors require no gradient, so nothing of a teacher is differentiated or kept.

mod features;
mod logits;
mod low_rank;
mod methods;
pub mod pages;
mod pair;
mod parse;
mod regressor;
mod schedule;
mod settings;
mod transfer;

pub use low_rank::{Factors, Rank, low_rank};
pub use methods::{METHODS, find};
pub use pair::{Pair, Shown, TeacherPass};
pub use parse::{Objective, parse};
pub use schedule::TermSchedule;
pub use settings::{Kind, MethodConfig, Setting, Values};
pub use transfer::{Layers, Select, Transfer};

use crate::nn::{Forward, ParamBuilder, Params};
use crate::tape::Tensor;
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

/// A distillation method.
pub trait Method {
    /// Makes the method's own parameters (regressors), knowing all shapes. They are trained with the student,
    /// and are not part of the exported student.
    fn prepare(&mut self, _pair: &Pair<'_>, _at: ParamBuilder<'_>) -> Result<()> {
        Ok(())
    }

    /// Whether the loss depends on a teacher: not where what teaches is made of the student or of the labels.
    fn needs_teacher(&self) -> bool {
        true
    }

    /// Whether it reads layers or weights of the teacher itself, besides its logits and taps: with outputs on disk it then
    /// needs the teacher's file, too.
    fn reads_teacher(&self) -> bool {
        false
    }

    /// Whether it learns from what the frozen teacher says where its batch norms go by the batch's statistics, and not by
    /// its running ones.
    fn teacher_by_batch(&self) -> bool {
        false
    }

    /// The name of the model that is trained in place of a student of this name, where the method changes its architecture.
    /// `pair` are both networks in use on a batch of one, without labels that mean anything.
    fn student(&self, _name: &str, _pair: &Pair<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    /// Changes the student's initial weights.
    fn start(&self, _student: &mut Params, _teacher: &Params) -> Result<()> {
        Ok(())
    }

    /// Strength of an L2 pull of the student's weights toward the teacher's, and which of them are whose.
    fn pull(&self) -> Option<(f32, Transfer)> {
        None
    }

    /// Scalars of the step that [`Method::loss`] asks the tape for by name, each with its values over the training.
    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        Vec::new()
    }

    /// Records the loss, a tensor of one element. `own` is the pass of the parameters that `prepare` made.
    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor>;
}

/// The taps that a method uses where the user names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapNeed {
    /// It looks at logits only.
    None,
    /// The deepest stage of both networks.
    Last,
    /// The one in the middle of the stages that both have, paired from the deepest backward.
    Middle,
    /// Every stage, paired from the deepest backward.
    Stages,
    /// The values before every stage's last activation, paired likewise.
    PreActivations,
    /// What the classifiers see.
    Embedding,
    /// [`TapNeed::PreActivations`], and after them [`TapNeed::Embedding`].
    Review,
}

/// An entry of [`METHODS`].
pub struct MethodSpec {
    /// What the user writes.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its loss, as the docs show it; batch means unless it says otherwise.
    pub formula: &'static str,
    /// Authors and arXiv number, or venue.
    pub paper: &'static str,
    /// What the user may set, with the paper's values.
    pub settings: &'static [Setting],
    /// The taps it needs.
    pub taps: TapNeed,
    /// Default weight of its term.
    pub weight: f32,
    /// Default weight of the task's cross-entropy beside it.
    pub ce_weight: f32,
    /// Makes it.
    pub build: fn(&Values) -> Box<dyn Method>,
}

/// A method in use: one term of the loss.
pub struct Term {
    /// The method's name.
    pub name: &'static str,
    /// Its weight.
    pub weight: f32,
    /// How the weight changes over the training.
    pub schedule: TermSchedule,
    /// The method.
    pub method: Box<dyn Method>,
    /// The taps it uses where the user names none.
    pub taps: TapNeed,
    /// Its settings.
    pub values: Values,
}

impl std::fmt::Debug for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} {:?} {:?}", self.name, self.weight, self.schedule, self.values)
    }
}

impl MethodSpec {
    /// This method as a term of its default weight.
    ///
    /// # Errors
    /// [`Error::Config`] for a value in `shared` that it cannot take.
    pub fn term(&self, shared: &MethodConfig) -> Result<Term> {
        self.term_with(shared, &[])
    }

    fn term_with(&self, shared: &MethodConfig, own: &[(&str, &str)]) -> Result<Term> {
        let values = Values::new(self.name, self.settings, shared, own)?;
        let method = (self.build)(&values);
        let takes_logits = self.settings.contains(&logits::LOGITS);
        let method = if takes_logits && values.choice(logits::LOGITS.name) == logits::STANDARDISED {
            Box::new(logits::Standardised(method))
        } else {
            method
        };
        Ok(Term {
            name: self.name,
            weight: self.weight,
            schedule: TermSchedule::default(),
            method,
            taps: self.taps,
            values,
        })
    }
}

/// The sum of a method's parts, at least one.
fn sum_of(mut parts: impl Iterator<Item = Result<Tensor>>) -> Result<Tensor> {
    let first =
        parts.next().ok_or_else(|| Error::config("taps", "needs at least one pair, teacher:student"))??;
    parts.try_fold(first, |sum, part| sum.add(&part?))
}

/// Softens both distributions; Hinton et al. use 1 to 20, CIFAR recipes 4.
const TEMPERATURE: Setting = Setting::positive("temperature", 4.0, "softens both distributions");
