//! The frozen teacher, and what is learned from it.

use super::step::scaled;
use crate::distill::{Pair, Term};
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
    /// (hint, guided) taps: the teacher's layer, the student's layer.
    pub taps: Vec<(String, String)>,
}

/// The deepest stage of teacher and student: the taps of feature methods where the user names none.
pub fn last_stages(teacher: &Network, student: &Network) -> Vec<(String, String)> {
    teacher.stages.last().cloned().zip(student.stages.last().cloned()).into_iter().collect()
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
        images: &Tensor,
        student: &Forward<'_>,
        student_logits: &Tensor,
        teacher: &mut Teacher<'_>,
        seed: u64,
    ) -> Result<Self> {
        let fx = Forward::eval(tape, teacher.params);
        let teacher_logits = teacher.network.forward(&fx, images)?;
        same_classes(student_logits, &teacher_logits)?;
        let (taps, terms) = (&teacher.taps, &mut teacher.terms);
        let pair = Pair { student, teacher: &fx, student_logits, teacher_logits: &teacher_logits, taps };
        let mut host = Params::default();
        for term in terms.iter_mut() {
            term.method.prepare(&pair, ParamBuilder::new(&mut host).sub(term.name))?;
        }
        host.initialise(seed);
        let device = DeviceParams::trainable(gpu, "regressors", &host)?;
        let own = Forward::train(tape, &device);
        let mut recorded = Vec::new();
        let mut weights = Vec::new();
        let mut sum: Option<Tensor> = None;
        for term in terms.iter() {
            let loss = tape.scope(term.name, || term.method.loss(&pair, &own))?;
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
