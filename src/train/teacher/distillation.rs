//! What a teacher adds to a step: its side of the batch, and a term for each method.

use super::source::{RecordedTeacher, Shared, TeacherSource};
use crate::distill::{LogitRows, MethodContext, Need, TaskRows, TeacherPass};
use crate::gpu::Gpu;
use crate::models::{NUMBERS, Network, Outputs, Values};
use crate::nn::{DeviceParams, Forward, Mode, ParamBuilder, ParamId, Params, Tap};
use crate::tape::{Gradients, Scalar, Tensor};
use crate::tasks::{Leaves, Rows, Task};
use crate::train::scaled::scaled;
use crate::train::schemes::{Scheme, mean_logits, mean_values};
use crate::{Error, Result};

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
    pub regressors: Option<MethodParams>,
    /// Rows (R, C) of each teacher, where the task has rows.
    pub teachers: Vec<Tensor>,
    /// Teacher rows (R, C) that each term sees, where the task has rows.
    pub targets: Vec<Option<Tensor>>,
    /// The first teacher's vectors (N, D), where the task compares no rows and it gives numbers.
    pub vectors: Option<Tensor>,
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
pub(in crate::train) struct MethodParams {
    pub host: Params,
    pub device: DeviceParams,
    leaves: Vec<(ParamId, Tensor)>,
}

impl MethodParams {
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
        let RecordedTeacher { pass, outputs } =
            teacher.record(&student.shared(), Mode::Eval, student.forward.precision())?;
        let batch_stats = batch_stats(student, teacher)?;
        let ours = task.rows(student.outputs, student.leaves)?;
        let everyone = everyone(task, (student, ours.as_ref()), &outputs, scheme)?;
        let terms = teacher.terms();
        let both = (student.network, student.forward);
        let taps: Vec<_> = terms.iter().map(|t| teacher.taps_for(t.taps, &pass, both)).collect();
        let targets = terms.iter().map(|t| target(task, &everyone, t.values.temperature()));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let rows: Vec<_> = targets.iter().map(|target| compared(ours.as_ref(), target.as_ref())).collect();
        let seen = terms.iter().zip(taps.iter().zip(&rows)).map(|(term, (taps, rows))| MethodContext {
            student: student.forward,
            teacher: batch_stats.as_ref().filter(|_| term.method.teacher_batch_stats()).unwrap_or(&pass),
            rows: task_rows(task, rows.as_ref()),
            student_outputs: student.outputs,
            teacher_outputs: &outputs,
            leaves: student.leaves,
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
        if let Some(param) = host.too_large() {
            let message = format!("its parameter {param} is too large for any host; choose smaller settings");
            return Err(Error::config("method", message));
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
        let regressors = (!host.is_empty()).then_some(MethodParams { host, device, leaves });
        let tapped = tapped(&pass, student.forward, &taps);
        let teachers = everyone.into_iter().map(|(logits, _)| logits).collect();
        let vectors = ours.is_none().then(|| outputs.get(NUMBERS).ok().cloned()).flatten();
        Ok(Self { loss, terms: recorded, weights, regressors, teachers, targets, vectors, tapped })
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
        let theirs = task.some_rows(outputs, student.leaves)?.values;
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

fn same_width(student: &Tensor, teacher: &Tensor) -> Result<()> {
    if student.dims() == teacher.dims() {
        return Ok(());
    }
    let expected = format!("a teacher of as many classes as the student ({})", student.dims()[1]);
    Err(Error::shape("distillation", expected, format!("a teacher of {}", teacher.dims()[1])))
}
