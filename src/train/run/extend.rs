//! Students whose architecture a method changes: what is trained, measured and saved is then another network,
//! with the student's weights in it.
//!
//! The name of that network alone rebuilds it from a file (`models/reuse.rs`, `models/low_rank.rs`).

use crate::data::Source;
use crate::distill::{MethodContext, TeacherPass, Term, UnrunPass};
use crate::gpu::Gpu;
use crate::models::{Network, base_of, build_from};
use crate::nn::{DeviceParams, Forward, Params};
use crate::tasks::Task;
use crate::train::step::record::{BatchRecording, Pass};
use crate::train::teacher::TeacherSource;
use crate::train::teacher::distillation::{compared, task_rows};
use crate::train::teacher::source::Shared;
use crate::{Error, Result};

/// What is to be trained in place of `student`; `None` where that is the student itself. Layers that are new
/// start under `seed`.
///
/// # Errors Those of the method that asks for it; [`Error::Config`] for two that do, and for a student that
/// was changed for another teacher before.
pub(in crate::train) fn extended(
    gpu: &Gpu,
    (task, source): (&dyn Task, &dyn Source),
    student: &Network,
    teaching: &TeacherSource<'_>,
    seed: u64,
) -> Result<Option<Network>> {
    if !teaching.terms().iter().any(|term| term.method.changes_student()) {
        return Ok(None);
    }
    let names = names(gpu, (task, source), student, teaching)?;
    let Some(name) = names.first() else { return Ok(None) };
    if names.len() > 1 {
        let message = format!("two methods want a student of their own: {}", names.join(" and "));
        return Err(Error::config("method", message));
    }
    if *name == student.name {
        return Ok(None);
    }
    if base_of(&student.name) != student.name {
        let message = format!("{} was made for another teacher; {name} is wanted here", student.name);
        return Err(Error::config("model", message));
    }
    let mut network = build_from(student, name)?;
    network.params.initialise(seed);
    network.params.load(&student.params.named())?;
    Ok(Some(network))
}

/// The names of the networks that methods want, from a pass of both on one image that is never run.
fn names(
    gpu: &Gpu,
    (task, source): (&dyn Task, &dyn Source),
    student: &Network,
    teaching: &TeacherSource<'_>,
) -> Result<Vec<String>> {
    let device = DeviceParams::frozen(gpu, "student", &student.params)?;
    let recording = BatchRecording::new(task, source, 1, Pass::eval(student, &device))?;
    let BatchRecording { inputs, leaves, outputs, forward, .. } = &recording;
    let tape = forward.tape();
    let shared = Shared { tape, inputs, leaves, output: student.head().output() };
    let (mut teacher, theirs) = teaching.pass(&shared)?;
    let (ours, target) = (task.rows(outputs, leaves)?, task.rows(&theirs, leaves)?);
    let absent = match &teacher {
        TeacherPass::Stored { .. } => teaching.network(),
        TeacherPass::Live { .. } => None,
    };
    let frozen = absent.map(|network| DeviceParams::frozen(gpu, "teacher", &network.params)).transpose()?;
    let passed = match absent.zip(frozen.as_ref()) {
        Some((network, params)) => {
            let forward = Forward::eval(tape, params);
            network.forward(&forward, inputs)?;
            Some((forward, &network.params))
        }
        None => None,
    };
    if let (TeacherPass::Stored { unrun, .. }, Some((forward, params))) = (&mut teacher, &passed) {
        *unrun = Some(UnrunPass { forward, params });
    }
    let rows = compared(ours.as_ref(), target.as_ref().map(|rows| &rows.values));
    let mut names = Vec::new();
    for term in teaching.terms().iter().filter(|term| term.method.changes_student()) {
        let taps = teaching.taps_for(term.taps, &teacher, (student, forward));
        let seen = MethodContext {
            student: forward,
            teacher: &teacher,
            rows: task_rows(task, rows.as_ref()),
            student_outputs: outputs,
            teacher_outputs: &theirs,
            leaves,
            samples: 1,
            taps: &taps,
        };
        names.extend(term.method.student(&student.name, &seen)?);
    }
    Ok(names)
}

/// Lets a method change the student's first weights.
pub(in crate::train) fn start(term: &Term, student: &mut Params, teacher: &TeacherSource<'_>) -> Result<()> {
    if let Some(weights) = teacher.params() {
        return term.method.start(student, weights);
    }
    // A method that looks for a tensor of the teacher finds none here.
    term.method.start(student, &Params::default()).map_err(|_| {
        let message = "needs the teacher's weights, which outputs on disk do not hold; give the teacher itself, or \
                       its file beside them (`teacher` and `teacher_outputs`)";
        Error::config(format!("method {}", term.name), message)
    })
}
