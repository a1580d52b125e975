//! The frozen teacher, and what is learned from it.

use super::stored::{StoredTeacher, stored_leaves};
use crate::distill::{LogitRows, MethodContext, Need, Objective, TapNeed, TaskRows, TeacherPass, Term};
use crate::gpu::Gpu;
use crate::models::{Network, Outputs, Values};
use crate::nn::{DeviceParams, Forward, Mode, ParamBuilder, ParamId, Params, Precision, Tap};
use crate::tape::{Gradients, Scalar, Tape, Tensor};
use crate::tasks::{Leaves, Rows, Task};
use crate::train::run::record::scaled;
use crate::train::schemes::{Scheme, mean_logits, mean_values};
use crate::{Error, Result};

/// A frozen teacher, and what is learned from it.
pub struct Teacher<'a> {
    /// The architecture, with its weights on the host.
    pub network: &'a Network,
    /// Its weights on the device.
    pub params: &'a DeviceParams,
    /// The methods, and the weight of the task's own loss beside them, which counts in place of the config's.
    pub objective: Objective,
    /// (hint, guided) taps: the teacher's layer, the student's layer. Empty for those that each method uses by default.
    pub taps: Vec<(String, String)>,
}

impl<'a> Teacher<'a> {
    /// A teacher whose `params` are `network`'s weights on the device, with the taps that each method uses by default.
    pub fn new(network: &'a Network, params: &'a DeviceParams, objective: Objective) -> Self {
        Self { network, params, objective, taps: Vec::new() }
    }

    /// The teacher with these tap pairs for every method.
    pub fn with_taps(self, taps: Vec<(String, String)>) -> Self {
        Self { taps, ..self }
    }
}

/// Who teaches: a network in the step, or what one wrote to disk before.
pub enum TeacherSource<'a> {
    /// A frozen network.
    Live(Teacher<'a>),
    /// Its outputs.
    Stored(StoredTeacher<'a>),
}

impl<'a> From<Teacher<'a>> for TeacherSource<'a> {
    fn from(teacher: Teacher<'a>) -> Self {
        Self::Live(teacher)
    }
}

impl<'a> From<StoredTeacher<'a>> for TeacherSource<'a> {
    fn from(teacher: StoredTeacher<'a>) -> Self {
        Self::Stored(teacher)
    }
}

impl<'a> TeacherSource<'a> {
    /// What is learned.
    pub fn objective(&self) -> &Objective {
        match self {
            Self::Live(teacher) => &teacher.objective,
            Self::Stored(teacher) => &teacher.objective,
        }
    }

    /// The methods.
    pub fn terms(&self) -> &[Term] {
        &self.objective().terms
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
                    pass: TeacherPass::Stored { taps, unrun: None },
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
pub(in crate::train) struct StudentPass<'a> {
    pub network: &'a Network,
    pub forward: &'a Forward<'a>,
    pub outputs: &'a Outputs,
    /// What both networks read.
    pub inputs: &'a Values,
    pub leaves: &'a Leaves,
    /// Samples of the training set.
    pub samples: usize,
}

impl StudentPass<'_> {
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
    /// Rows (R, C) of each teacher, where the task has rows.
    pub teachers: Vec<Tensor>,
    /// Teacher rows (R, C) that each term sees, where the task has rows.
    pub targets: Vec<Option<Tensor>>,
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
        student: &StudentPass<'_>,
        teacher: &TeacherSource<'_>,
        scheme: &Scheme<'_>,
        seed: u64,
    ) -> Result<Self> {
        teacher.objective().validate()?;
        let tape = student.forward.tape();
        let Recorded { pass, outputs } =
            teacher.record(&student.shared(), Mode::Eval, student.forward.precision())?;
        let batch_stats = batch_stats(student, teacher)?;
        let ours = task.rows(student.outputs, student.leaves)?;
        let everyone = everyone(task, (student, ours.as_ref()), &outputs, scheme)?;
        let terms = teacher.terms();
        let taps: Vec<_> = terms.iter().map(|t| teacher.taps_for(t.taps, student.network)).collect();
        let targets = terms.iter().map(|t| target(task, &everyone, t.values.temperature()));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let rows: Vec<_> = targets.iter().map(|target| compared(ours.as_ref(), target.as_ref())).collect();
        let seen = terms.iter().zip(taps.iter().zip(&rows)).map(|(term, (taps, rows))| MethodContext {
            student: student.forward,
            teacher: batch_stats.as_ref().filter(|_| term.method.teacher_batch_stats()).unwrap_or(&pass),
            rows: task_rows(task, rows.as_ref()),
            student_outputs: student.outputs,
            teacher_outputs: &outputs,
            sample_ids: student.leaves.ids(),
            samples: student.samples,
            taps,
        });
        let contexts: Vec<_> = seen.collect();
        let mut host = Params::default();
        let mut losses = Vec::new();
        for (term, seen) in terms.iter().zip(&contexts) {
            let prepared = term.method.prepare(seen, ParamBuilder::new(&mut host).sub(term.name));
            losses.push(prepared.map_err(|error| with_taps(error, seen))?);
        }
        host.initialise(seed);
        let device = DeviceParams::trainable(gpu, "regressors", &host)?;
        let own = Forward::train(tape, &device);
        let mut recorded = Vec::new();
        let mut weights = Vec::new();
        let mut sum: Option<Tensor> = None;
        for ((term, seen), loss) in terms.iter().zip(&contexts).zip(&losses) {
            let loss = tape.scope(term.name, || loss.record(seen, &own));
            let loss = loss.map_err(|error| with_taps(error, seen))?;
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
fn with_taps(error: Error, seen: &MethodContext<'_>) -> Error {
    match error {
        Error::Shape { op, expected, got } if !seen.taps.is_empty() => {
            let [teacher, student] = [seen.teacher.taps(), seen.student.taps()].map(|taps| Tap::list(&taps));
            let got = format!("{got}; the teacher's taps are {teacher}; the student's are {student}");
            Error::Shape { op, expected, got }
        }
        other => other,
    }
}

/// A second pass of the teacher, by the batch's statistics, where a method wants one.
fn batch_stats<'a>(
    student: &StudentPass<'_>,
    teacher: &TeacherSource<'a>,
) -> Result<Option<TeacherPass<'a>>> {
    if !teacher.terms().iter().any(|term| term.method.teacher_batch_stats()) {
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

/// Every teacher's rows (R, C) with its weight; none where the task has no rows.
fn everyone(
    task: &dyn Task,
    (student, ours): (&StudentPass<'_>, Option<&Rows>),
    first: &Outputs,
    scheme: &Scheme<'_>,
) -> Result<Vec<(Tensor, f32)>> {
    if ours.is_none() && scheme.others.is_empty() {
        return Ok(Vec::new());
    }
    let theirs = |outputs: &Outputs| {
        let theirs = rows(task, outputs, student.leaves)?.values;
        ours.map_or(Ok(()), |ours| same_width(&ours.values, &theirs))?;
        Ok::<_, Error>(theirs)
    };
    let mut all = vec![(theirs(first)?, scheme.first_weight)];
    for member in &scheme.others {
        let forward = student.forward;
        let fx = Forward::eval(forward.tape(), member.params).storing(forward.precision());
        all.push((theirs(&member.network.forward(&fx, student.inputs)?)?, member.weight));
    }
    Ok(all)
}

/// What all teachers together say at this temperature.
fn target(task: &dyn Task, everyone: &[(Tensor, f32)], temperature: f32) -> Result<Option<Tensor>> {
    match everyone {
        [] => Ok(None),
        all if has_classes(task) => mean_logits(all, temperature).map(Some),
        all => mean_values(all).map(Some),
    }
}

fn has_classes(task: &dyn Task) -> bool {
    task.spec().offers.contains(&Need::Logits)
}

/// The rows that methods compare, where the teacher says `target` (R, C).
pub(in crate::train) fn compared(student: Option<&Rows>, target: Option<&Tensor>) -> Option<LogitRows> {
    let (Rows { values, labels, weights }, teacher) = student.cloned().zip(target.cloned())?;
    Some(LogitRows { student: values, teacher, labels, weights })
}

/// What a task's rows are of.
pub(in crate::train) fn task_rows<'a>(task: &dyn Task, rows: Option<&'a LogitRows>) -> TaskRows<'a> {
    match rows {
        None => TaskRows::None,
        Some(rows) if has_classes(task) => TaskRows::Logits(rows),
        Some(rows) => TaskRows::Values(rows),
    }
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
