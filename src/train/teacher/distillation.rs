//! The frozen teacher, and what is learned from it.

use super::stored::{StoredTeacher, stored_leaves};
use crate::distill::{Pair, TapNeed, TeacherPass, Term};
use crate::gpu::Gpu;
use crate::models::{Network, Outputs, Values};
use crate::nn::{DeviceParams, Forward, Mode, ParamBuilder, ParamId, Params, Precision, Tap};
use crate::tape::{Gradients, Scalar, Tape, Tensor};
use crate::tasks::{Leaves, Rows, Task};
use crate::train::run::record::scaled;
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

    /// The teacher's side of a batch, and its outputs.
    pub(in crate::train) fn pass(&self, batch: &Shared<'_>) -> Result<(TeacherPass<'a>, Outputs)> {
        let recorded = self.record(batch, Mode::Eval, Precision::F32)?;
        Ok((recorded.pass, recorded.outputs))
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
    fn record(&self, batch: &Shared<'_>, mode: Mode, precision: Precision) -> Result<Recorded<'a>> {
        match self {
            Self::Live(teacher) => {
                let fx = Forward::new(batch.tape, teacher.params, mode, false).storing(precision);
                let outputs = teacher.network.forward(&fx, batch.inputs)?;
                let pass = TeacherPass::Live { forward: fx, params: &teacher.network.params };
                Ok(Recorded { pass, outputs })
            }
            Self::Stored(teacher) => {
                let (logits, taps) = stored_leaves(&teacher.outputs, batch.leaves)?;
                Ok(Recorded {
                    pass: TeacherPass::Stored { taps, shown: None },
                    outputs: Outputs::one(batch.output, logits),
                })
            }
        }
    }
}

/// What teacher and student read alike.
pub(in crate::train) struct Shared<'a> {
    pub tape: &'a Tape,
    pub inputs: &'a Values,
    pub leaves: &'a Leaves,
    /// The name of the student's output.
    pub output: &'a str,
}

struct Recorded<'a> {
    pass: TeacherPass<'a>,
    outputs: Outputs,
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
    pub outputs: &'a Outputs,
    /// What both networks read.
    pub inputs: &'a Values,
    pub leaves: &'a Leaves,
    /// Samples of the training set.
    pub samples: usize,
}

impl Seen<'_> {
    /// What the teacher reads, too.
    fn shared(&self) -> Shared<'_> {
        let output = self.network.head().output();
        Shared { tape: self.forward.tape(), inputs: self.inputs, leaves: self.leaves, output }
    }
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
}

/// A tap that a term uses.
#[derive(Clone)]
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
    /// Records the teacher's pass on the student's inputs, and the terms.
    pub fn record(
        gpu: &Gpu,
        task: &dyn Task,
        student: &Seen<'_>,
        teacher: &mut Teaching<'_>,
        scheme: &Scheme<'_>,
        seed: u64,
    ) -> Result<Self> {
        let tape = student.forward.tape();
        let Recorded { pass, outputs } =
            teacher.record(&student.shared(), Mode::Eval, student.forward.precision())?;
        let by_batch = by_batch(student, teacher)?;
        let ours = rows(task, student.outputs, student.leaves)?;
        let theirs = rows(task, &outputs, student.leaves)?;
        same_width(&ours.values, &theirs.values)?;
        let everyone = all_logits(task, (student, &ours), theirs.values, scheme)?;
        let taps: Vec<_> =
            teacher.terms().iter().map(|t| teacher.taps_for(t.taps, student.network)).collect();
        let terms = teacher.terms_mut();
        let targets = terms.iter().map(|t| mean_logits(&everyone, t.values.temperature()));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let pair = |by_batch: Option<_>, taps, teacher_logits| Pair {
            student: student.forward,
            teacher: by_batch.unwrap_or(&pass),
            student_logits: &ours.values,
            teacher_logits,
            labels: ours.labels.as_ref(),
            sample_ids: student.leaves.ids(),
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
        Ok(Self { loss, terms: recorded, weights, regressors, teachers, targets, tapped })
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
    let recorded = teacher.record(&student.shared(), Mode::Train, forward.precision());
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

/// Every teacher's rows (R, C) with its weight.
fn all_logits(
    task: &dyn Task,
    (student, ours): (&Seen<'_>, &Rows),
    first: Tensor,
    scheme: &Scheme<'_>,
) -> Result<Vec<(Tensor, f32)>> {
    let mut all = vec![(first, scheme.first_weight)];
    for member in &scheme.others {
        let forward = student.forward;
        let fx = Forward::eval(forward.tape(), member.params).storing(forward.precision());
        let outputs = member.network.forward(&fx, student.inputs)?;
        let theirs = rows(task, &outputs, student.leaves)?;
        same_width(&ours.values, &theirs.values)?;
        all.push((theirs.values, member.weight));
    }
    Ok(all)
}

/// What methods on logits see of a network's outputs.
pub(in crate::train) fn rows(task: &dyn Task, outputs: &Outputs, leaves: &Leaves) -> Result<Rows> {
    task.rows(outputs, leaves)?.ok_or_else(|| {
        let message = format!("the task {} has no rows of logits to learn from", task.spec().name);
        Error::config("method", message)
    })
}

fn same_width(student: &Tensor, teacher: &Tensor) -> Result<()> {
    if student.dims() == teacher.dims() {
        return Ok(());
    }
    let expected = format!("a teacher of as many classes as the student ({})", student.dims()[1]);
    Err(Error::shape("distillation", expected, format!("a teacher of {}", teacher.dims()[1])))
}
