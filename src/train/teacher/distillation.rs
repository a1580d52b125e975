//! The frozen teacher, and what is learned from it.

use super::stored::{StoredInputs, StoredTeacher};
use crate::distill::{Pair, TapNeed, TeacherPass, Term};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Forward, Mode, ParamBuilder, ParamId, Params, Precision, Tap};
use crate::tape::{Gradients, Scalar, Tape, Tensor};
use crate::train::run::batch::Inputs;
use crate::train::run::step::scaled;
use crate::train::schemes::{Scheme, mean_logits};
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

/// Who teaches: a network in the step, or what one wrote to disk before.
pub enum Teaching<'a> {
    /// A frozen network.
    Live(Teacher<'a>),
    /// Its outputs.
    Stored(StoredTeacher<'a>),
}

impl<'a> From<Teacher<'a>> for Teaching<'a> {
    fn from(teacher: Teacher<'a>) -> Self {
        Self::Live(teacher)
    }
}

impl<'a> From<StoredTeacher<'a>> for Teaching<'a> {
    fn from(teacher: StoredTeacher<'a>) -> Self {
        Self::Stored(teacher)
    }
}

impl<'a> Teaching<'a> {
    /// The methods.
    pub fn terms(&self) -> &[Term] {
        match self {
            Self::Live(teacher) => &teacher.terms,
            Self::Stored(teacher) => &teacher.terms,
        }
    }

    /// The tap pairs that the user named.
    pub fn taps(&self) -> &[(String, String)] {
        match self {
            Self::Live(teacher) => &teacher.taps,
            Self::Stored(teacher) => &teacher.taps,
        }
    }

    /// The teacher on the host, where it is there.
    pub(in crate::train) fn network(&self) -> Option<&'a Network> {
        match self {
            Self::Live(teacher) => Some(teacher.network),
            Self::Stored(teacher) => teacher.network,
        }
    }

    /// The teacher's weights on the host, where they are there.
    pub fn params(&self) -> Option<&'a Params> {
        self.network().map(|network| &network.params)
    }

    fn terms_mut(&mut self) -> &mut [Term] {
        match self {
            Self::Live(teacher) => &mut teacher.terms,
            Self::Stored(teacher) => &mut teacher.terms,
        }
    }

    /// The teacher's side of a batch, and its logits.
    pub(in crate::train) fn pass(&self, tape: &Tape, images: &Tensor) -> Result<(TeacherPass<'a>, Tensor)> {
        let recorded = self.record(tape, images, Mode::Eval, Precision::F32)?;
        Ok((recorded.pass, recorded.logits))
    }

    /// The tap pairs of a method that needs `need`.
    pub(in crate::train) fn taps_for(&self, need: TapNeed, student: &Network) -> Vec<(String, String)> {
        if !self.taps().is_empty() {
            return self.taps().to_vec();
        }
        if need == TapNeed::None {
            return Vec::new();
        }
        let guided = offered(student, need);
        let hints = match self {
            Self::Live(teacher) => offered(teacher.network, need),
            Self::Stored(teacher) => teacher.outputs.info().taps.clone(),
        };
        let pairs = paired(&hints, &guided);
        match need {
            TapNeed::Last => pairs.into_iter().last().into_iter().collect(),
            TapNeed::Middle => {
                let middle = pairs.len().saturating_sub(1) / 2;
                pairs.into_iter().nth(middle).into_iter().collect()
            }
            _ => pairs,
        }
    }

    /// Records the teacher's side of a step. Outputs on disk are of no mode.
    fn record(&self, tape: &Tape, images: &Tensor, mode: Mode, precision: Precision) -> Result<Recorded<'a>> {
        match self {
            Self::Live(teacher) => {
                let fx = Forward::new(tape, teacher.params, mode, false).storing(precision);
                let logits = teacher.network.forward(&fx, images)?;
                let pass = TeacherPass::Live { forward: fx, params: &teacher.network.params };
                Ok(Recorded { pass, logits, inputs: None })
            }
            Self::Stored(teacher) => {
                let inputs = StoredInputs::new(tape, teacher.outputs.clone(), images.dims()[0])?;
                let pass = TeacherPass::Stored { taps: inputs.taps.clone(), shown: None };
                Ok(Recorded { pass, logits: inputs.logits.clone(), inputs: Some(inputs) })
            }
        }
    }
}

struct Recorded<'a> {
    pass: TeacherPass<'a>,
    logits: Tensor,
    inputs: Option<StoredInputs>,
}

/// What a network offers to a method that needs `need`.
fn offered(network: &Network, need: TapNeed) -> Vec<String> {
    match need {
        TapNeed::None => Vec::new(),
        TapNeed::Last | TapNeed::Middle | TapNeed::Stages => network.stages.clone(),
        TapNeed::PreActivations => network.preactivations.clone(),
        TapNeed::Embedding => vec![network.embedding.clone()],
        TapNeed::Review => [&network.preactivations[..], std::slice::from_ref(&network.embedding)].concat(),
    }
}

/// The taps of both networks, paired from the deepest backward, in the networks' order.
fn paired(teacher: &[String], student: &[String]) -> Vec<(String, String)> {
    let pairs = teacher.iter().rev().cloned().zip(student.iter().rev().cloned());
    let mut pairs: Vec<_> = pairs.collect();
    pairs.reverse();
    pairs
}

/// The student's side of a step, as far as methods see it.
pub(in crate::train) struct Seen<'a> {
    pub network: &'a Network,
    pub forward: &'a Forward<'a>,
    /// (N, C)
    pub logits: &'a Tensor,
    pub inputs: &'a Inputs,
    /// Images of the training set.
    pub samples: usize,
}

/// What a teacher adds to a step.
pub(in crate::train) struct Distillation {
    /// Sum of the weighted terms, (1).
    pub loss: Tensor,
    /// Each term before weighting, (1), by name.
    pub terms: Vec<(&'static str, Tensor)>,
    /// The weights' scalars.
    pub weights: Vec<Scalar>,
    /// The methods' own parameters, where they have any.
    pub regressors: Option<Regressors>,
    /// Logits (N, C) of each teacher.
    pub teachers: Vec<Tensor>,
    /// Teacher logits (N, C) that each term sees.
    pub targets: Vec<Tensor>,
    /// The taps of both networks that the terms use, each once.
    pub tapped: Vec<Tapped>,
    /// What is read from disk for each batch, where the teacher's outputs lie there.
    pub stored: Option<StoredInputs>,
}

/// A tap that a term uses.
pub(in crate::train) struct Tapped {
    /// `teacher` or `student`.
    pub owner: &'static str,
    pub name: String,
    pub tensor: Tensor,
}

/// The methods' own parameters, trained with the student and no part of it.
pub(in crate::train) struct Regressors {
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
        teacher: &mut Teaching<'_>,
        scheme: &Scheme<'_>,
        seed: u64,
    ) -> Result<Self> {
        let Recorded { pass, logits: teacher_logits, inputs: stored } =
            teacher.record(tape, &student.inputs.images, Mode::Eval, student.forward.precision())?;
        let by_batch = by_batch(student, teacher)?;
        same_classes(student.logits, &teacher_logits)?;
        let everyone = all_logits(student, teacher_logits, scheme)?;
        let taps: Vec<_> =
            teacher.terms().iter().map(|t| teacher.taps_for(t.taps, student.network)).collect();
        let terms = teacher.terms_mut();
        let targets = terms.iter().map(|t| mean_logits(&everyone, t.values.temperature()));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let pair = |by_batch: Option<_>, taps, teacher_logits| Pair {
            student: student.forward,
            teacher: by_batch.unwrap_or(&pass),
            student_logits: student.logits,
            teacher_logits,
            labels: &student.inputs.labels,
            sample_ids: &student.inputs.ids,
            samples: student.samples,
            taps,
        };
        let mut host = Params::default();
        for ((term, taps), targets) in terms.iter_mut().zip(&taps).zip(&targets) {
            let pair = pair(by_batch.as_ref().filter(|_| term.method.teacher_by_batch()), taps, targets);
            let prepared = term.method.prepare(&pair, ParamBuilder::new(&mut host).sub(term.name));
            prepared.map_err(|error| with_taps(error, &pair))?;
        }
        host.initialise(seed);
        let device = DeviceParams::trainable(gpu, "regressors", &host)?;
        let own = Forward::train(tape, &device);
        let mut recorded = Vec::new();
        let mut weights = Vec::new();
        let mut sum: Option<Tensor> = None;
        for ((term, taps), targets) in terms.iter().zip(&taps).zip(&targets) {
            let pair = pair(by_batch.as_ref().filter(|_| term.method.teacher_by_batch()), taps, targets);
            let loss = tape.scope(term.name, || term.method.loss(&pair, &own));
            let loss = loss.map_err(|error| with_taps(error, &pair))?;
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
        let tapped = tapped(&pass, student.forward, &taps);
        let teachers = everyone.into_iter().map(|(logits, _)| logits).collect();
        Ok(Self { loss, terms: recorded, weights, regressors, teachers, targets, tapped, stored })
    }
}

/// An error about the shapes of taps, with the taps that there are instead.
fn with_taps(error: Error, pair: &Pair<'_>) -> Error {
    match error {
        Error::Shape { op, expected, got } if !pair.taps.is_empty() => {
            let [teacher, student] = [pair.teacher.taps(), pair.student.taps()].map(|taps| Tap::list(&taps));
            let got = format!("{got}; the teacher's taps are {teacher}; the student's are {student}");
            Error::Shape { op, expected, got }
        }
        other => other,
    }
}

/// A second pass of the teacher, by the batch's statistics, where a method wants one.
fn by_batch<'a>(student: &Seen<'_>, teacher: &Teaching<'a>) -> Result<Option<TeacherPass<'a>>> {
    if !teacher.terms().iter().any(|term| term.method.teacher_by_batch()) {
        return Ok(None);
    }
    let forward = student.forward;
    let recorded = teacher.record(forward.tape(), &student.inputs.images, Mode::Train, forward.precision());
    recorded.map(|recorded| Some(recorded.pass))
}

/// The taps of all terms; names that only a method understands are left out.
fn tapped(teacher: &TeacherPass<'_>, student: &Forward<'_>, taps: &[Vec<(String, String)>]) -> Vec<Tapped> {
    let mut all: Vec<Tapped> = Vec::new();
    for (hint, guided) in taps.iter().flatten() {
        let both = [("teacher", hint, teacher.tap(hint)), ("student", guided, student.tap(guided))];
        for (owner, name, tensor) in both {
            let known = all.iter().any(|t| t.owner == owner && t.name == *name);
            if let (Ok(tensor), false) = (tensor, known) {
                all.push(Tapped { owner, name: name.clone(), tensor });
            }
        }
    }
    all
}

/// Every teacher's logits (N, C) with its weight.
fn all_logits(student: &Seen<'_>, first: Tensor, scheme: &Scheme<'_>) -> Result<Vec<(Tensor, f32)>> {
    let mut all = vec![(first, scheme.first_weight)];
    for member in &scheme.others {
        let forward = student.forward;
        let fx = Forward::eval(forward.tape(), member.params).storing(forward.precision());
        let logits = member.network.forward(&fx, &student.inputs.images)?;
        same_classes(student.logits, &logits)?;
        all.push((logits, member.weight));
    }
    Ok(all)
}

fn same_classes(student: &Tensor, teacher: &Tensor) -> Result<()> {
    if student.dims() == teacher.dims() {
        return Ok(());
    }
    let expected = format!("a teacher of as many classes as the student ({})", student.dims()[1]);
    Err(Error::shape("distillation", expected, format!("a teacher of {}", teacher.dims()[1])))
}
