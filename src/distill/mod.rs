//! Distillation methods: one file each. [`METHODS`] is the only list.
//!
//! A method sees both networks' forward passes (logits and taps) and returns its loss as a scalar, unweighted. Teacher
//! tensors require no gradient, so nothing of a teacher is differentiated or kept.

mod activation;
mod feature;
mod kd;
mod parse;
pub mod transfer;
mod weights;

pub use parse::parse;

use crate::nn::{Forward, ParamBuilder, Params};
use crate::optim::Schedule;
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

/// What a method is given.
pub struct Pair<'a> {
    /// The student's pass.
    pub student: &'a Forward<'a>,
    /// The teacher's pass.
    pub teacher: &'a Forward<'a>,
    /// Student logits (N, C).
    pub student_logits: &'a Tensor,
    /// Teacher logits (N, C).
    pub teacher_logits: &'a Tensor,
    /// Tap pairs, (teacher's hint, student's guided layer).
    pub taps: &'a [(String, String)],
}

/// A method's settings, with the defaults of the papers.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodConfig {
    /// Softens both distributions; Hinton et al. use 1 to 20, CIFAR recipes 4.
    pub temperature: f32,
    /// Share of the teacher's weights in the student's initial ones: 1 copies, 0 leaves the student's own.
    pub transfer: f32,
    /// Strength of the pull toward the teacher's weights while training; 0 for none.
    pub pull: f32,
}

impl Default for MethodConfig {
    fn default() -> Self {
        Self { temperature: 4.0, transfer: 1.0, pull: 0.0 }
    }
}

impl MethodConfig {
    /// Fails where a number makes no sense, and names it.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &str, expected: &str, fits: bool, got: f32| match fits {
            true => Ok(()),
            false => Err(Error::config(name, format!("expected {expected}, got {got}"))),
        };
        let temperature = self.temperature.is_finite() && self.temperature > 0.0;
        check("temperature", "a number above 0", temperature, self.temperature)?;
        check("transfer", "0 to 1", (0.0..=1.0).contains(&self.transfer), self.transfer)?;
        check("pull", "a number from 0", self.pull.is_finite() && self.pull >= 0.0, self.pull)
    }
}

/// A distillation method.
pub trait Method {
    /// Makes the method's own parameters (regressors), knowing all shapes. They are trained with the student, and are
    /// not part of the exported student.
    fn prepare(&mut self, _pair: &Pair<'_>, _at: ParamBuilder<'_>) -> Result<()> {
        Ok(())
    }

    /// Changes the student's initial weights.
    fn start(&self, _student: &mut Params, _teacher: &Params) -> Result<()> {
        Ok(())
    }

    /// Strength of an L2 pull of the student's weights toward the teacher's (see [`transfer`]); 0 for none.
    fn pull(&self) -> f32 {
        0.0
    }

    /// Records the loss, a tensor of one element. `own` is the pass of the parameters that `prepare` made.
    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor>;
}

/// An entry of [`METHODS`].
pub struct MethodSpec {
    /// What the user writes.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// Formula and source.
    pub about: &'static str,
    /// Default weight of its term.
    pub weight: f32,
    /// Default weight of the task's cross-entropy beside it.
    pub ce_weight: f32,
    /// Makes it.
    pub build: fn(&MethodConfig) -> Box<dyn Method>,
}

/// Every method.
pub static METHODS: &[MethodSpec] = &[activation::SPEC, feature::SPEC, kd::SPEC, weights::SPEC];

/// The entry for `name`, or an error that lists the names there are.
pub fn find(name: &str) -> Result<&'static MethodSpec> {
    METHODS.iter().find(|m| m.name == name).ok_or_else(|| {
        let known: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
        Error::config("method", format!("no method \"{name}\"; there are {}", known.join(", ")))
    })
}

/// A method in use: one term of the loss.
pub struct Term {
    /// The method's name.
    pub name: &'static str,
    /// Its weight.
    pub weight: f32,
    /// How the weight changes over the steps: a warm-up, a decay, a hand-over.
    pub schedule: Schedule,
    /// The method.
    pub method: Box<dyn Method>,
    /// Its settings.
    pub config: MethodConfig,
}

impl MethodSpec {
    /// This method as a term of its default weight.
    pub fn term(&self, config: &MethodConfig) -> Term {
        Term {
            name: self.name,
            weight: self.weight,
            schedule: Schedule::default(),
            method: (self.build)(config),
            config: config.clone(),
        }
    }
}
