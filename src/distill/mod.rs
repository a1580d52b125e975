//! Distillation methods: one file each. [`METHODS`] is the only list.
//!
//! A method sees both networks' forward passes (logits and taps) and returns its loss as a scalar, unweighted. Teacher
//! tensors require no gradient, so nothing of a teacher is differentiated or kept.

mod activation;
mod feature;
mod kd;
pub mod weights;

use crate::nn::{DeviceParams, Forward, ParamBuilder, Params};
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
}

impl Default for MethodConfig {
    fn default() -> Self {
        Self { temperature: 4.0 }
    }
}

/// A distillation method.
pub trait Method {
    /// Makes the method's own parameters (regressors), knowing all shapes. They are trained with the student, and are
    /// not part of the exported student.
    fn prepare(&mut self, _pair: &Pair<'_>, _at: ParamBuilder<'_>) -> Result<()> {
        Ok(())
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
pub static METHODS: &[MethodSpec] = &[activation::SPEC, feature::SPEC, kd::SPEC];

/// The entry for `name`, or an error that lists the names there are.
pub fn find(name: &str) -> Result<&'static MethodSpec> {
    METHODS.iter().find(|m| m.name == name).ok_or_else(|| {
        let known: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
        Error::config("method", format!("no method \"{name}\"; there are {}", known.join(", ")))
    })
}

/// A method's own parameters on the device, where it has any.
pub struct Regressors {
    /// Host side.
    pub params: Params,
    /// Device side.
    pub device: DeviceParams,
}
