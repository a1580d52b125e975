//! The frozen teacher, and what is learned from it.

use super::batch::Inputs;
use super::step::scaled;
use crate::distill::{Pair, TapNeed, TeacherPass, Term};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Forward, ParamBuilder, ParamId, Params};
use crate::tape::{Gradients, Scalar, Tape, Tensor};
use crate::{Error, Result};

/// A frozen teacher and the terms that use it.
pub struct Teacher<'a> {
    /// The architecture, with its weights on the host.
    pub network: &'a Network,
    /// Its weights on the device.
    pub params: &'a DeviceParams,
    /// The methods.
    pub terms: Vec<Term>,
    /// (hint, guided) taps: the teacher's layer, the student's layer. Empty for those that each method uses by default.
    pub taps: Vec<(String, String)>,
}

impl Teacher<'_> {
    /// The tap pairs of a method that needs `need`.
    fn taps_for(&self, need: TapNeed, student: &Network) -> Vec<(String, String)> {
        if !self.taps.is_empty() {
            return self.taps.clone();
        }
        let pairs = self.network.stages.iter().rev().cloned().zip(student.stages.iter().rev().cloned());
        let mut pairs: Vec<_> = pairs.collect();
        pairs.reverse();
        let wanted = match need {
            TapNeed::None => 0..0,
            TapNeed::Last => pairs.len().saturating_sub(1)..pairs.len(),
            TapNeed::Middle => {
                let middle = pairs.len().saturating_sub(1) / 2;
                middle..pairs.len().min(middle + 1)
            }
            TapNeed::Stages => 0..pairs.len(),
        };
        pairs.drain(wanted).collect()
    }
}

/// The student's side of a step, as far as methods see it.
pub(super) struct Seen<'a> {
    pub network: &'a Network,
    pub forward: &'a Forward<'a>,
    /// (N, C)
    pub logits: &'a Tensor,
    pub inputs: &'a Inputs,
    /// Images of the training set.
    pub samples: usize,
}

/// What a teacher adds to a step.
pub(super) struct Distillation {
    /// Sum of the weighted terms, (1).
    pub loss: Tensor,
    /// Each term before weighting, (1), by name.
    pub terms: Vec<(&'static str, Tensor)>,
    /// The weights' scalars.
    pub weights: Vec<Scalar>,
    /// The methods' own parameters, where they have any.
    pub regressors: Option<Regressors>,
}

/// The methods' own parameters, trained with the student and no part of it.
pub(super) struct Regressors {
    pub host: Params,
    pub device: DeviceParams,
    leaves: Vec<(ParamId, Tensor)>,
}

impl Regressors {
    pub fn place_gradients(&self, gradients: &Gradients) -> Result<()> {
        self.leaves.iter().try_for_each(|(id, leaf)| self.device.place_gradient(*id, leaf, gradients))
    }
}

impl Distillation {
    /// Records the teacher's pass on the student's images, and the terms.
    pub fn record(
        gpu: &Gpu,
        tape: &Tape,
        student: &Seen<'_>,
        teacher: &mut Teacher<'_>,
        seed: u64,
    ) -> Result<Self> {
        let fx = Forward::eval(tape, teacher.params);
        let teacher_logits = teacher.network.forward(&fx, &student.inputs.images)?;
        same_classes(student.logits, &teacher_logits)?;
        let taps: Vec<_> = teacher.terms.iter().map(|t| teacher.taps_for(t.taps, student.network)).collect();
        let pass = TeacherPass::Live { forward: fx, params: &teacher.network.params };
        let terms = &mut teacher.terms;
        let pair = |taps| Pair {
            student: student.forward,
            teacher: &pass,
            student_logits: student.logits,
            teacher_logits: &teacher_logits,
            labels: &student.inputs.labels,
            sample_ids: &student.inputs.ids,
            samples: student.samples,
            taps,
        };
        let mut host = Params::default();
        for (term, taps) in terms.iter_mut().zip(&taps) {
            term.method.prepare(&pair(taps), ParamBuilder::new(&mut host).sub(term.name))?;
        }
        host.initialise(seed);
        let device = DeviceParams::trainable(gpu, "regressors", &host)?;
        let own = Forward::train(tape, &device);
        let mut recorded = Vec::new();
        let mut weights = Vec::new();
        let mut sum: Option<Tensor> = None;
        for (term, taps) in terms.iter().zip(&taps) {
            let loss = tape.scope(term.name, || term.method.loss(&pair(taps), &own))?;
            let (weighted, scalar) = scaled(&loss, term.name)?;
            weights.push(scalar);
            recorded.push((term.name, loss));
            sum = Some(match sum {
                None => weighted,
                Some(sum) => sum.add(&weighted)?,
            });
        }
        let loss = sum.ok_or_else(|| Error::config("method", "a teacher needs at least one method"))?;
        let leaves = own.leaves();
        let regressors = (!host.is_empty()).then_some(Regressors { host, device, leaves });
        Ok(Self { loss, terms: recorded, weights, regressors })
    }
}

fn same_classes(student: &Tensor, teacher: &Tensor) -> Result<()> {
    if student.dims() == teacher.dims() {
        return Ok(());
    }
    let expected = format!("a teacher of as many classes as the student ({})", student.dims()[1]);
    Err(Error::shape("distillation", expected, format!("a teacher of {}", teacher.dims()[1])))
}
