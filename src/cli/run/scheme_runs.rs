//! The trainings of a scheme, for `distill` and `sweep`.

use super::job::{Job, Supervision};
use super::schemes::{self, Generation, SchemeKind, generations};
use super::teachers::{open_teacher, teach};
use crate::distill::Objective;
use crate::models::{Network, saved};
use crate::nn::DeviceParams;
use crate::optim::EmaConfig;
use crate::train::report::Role;
use crate::train::schemes::Scheme;
use crate::train::{ChainStep, Run, TrainConfig, chain};
use crate::{Error, Result};

/// What is to be trained.
#[derive(Clone, Copy)]
pub struct SchemeRequest<'a> {
    /// Of the run, where the scheme takes one training only.
    pub label: &'a str,
    /// What it learns.
    pub objective: &'a Objective,
    /// How it is trained.
    pub config: &'a TrainConfig,
    /// Whether the doctor is to look at the training of this label.
    pub examine: &'a dyn Fn(&str) -> bool,
}

/// A network that took part.
pub struct TrainedModel {
    pub label: String,
    pub role: Role,
    pub network: Network,
    /// None for a teacher, which came trained, and for a peer, whose steps are the student's.
    pub run: Option<Run>,
    /// Whether it goes to a file named after its label.
    kept: bool,
}

/// What a scheme made.
pub struct SchemeResult {
    /// In the order of tables: those that came before the student.
    pub before: Vec<TrainedModel>,
    pub student: TrainedModel,
    /// The student's peer.
    pub beside: Option<TrainedModel>,
    /// What the doctor found.
    pub notes: Vec<String>,
    /// Of the report.
    pub title: String,
}

impl SchemeResult {
    /// All networks, in the order of tables.
    pub fn models(&self) -> impl Iterator<Item = &TrainedModel> {
        self.before.iter().chain([&self.student]).chain(&self.beside)
    }

    /// The student, and every training that led to it, its own last.
    pub fn into_student(self) -> (Network, Vec<Run>) {
        let student = self.student;
        let runs = self.before.into_iter().filter_map(|model| model.run).chain(student.run);
        (student.network, runs.collect())
    }

    /// Writes the networks that the scheme keeps besides the student's model.safetensors.
    pub fn save(&self, job: &Job) -> Result<()> {
        self.models().filter(|model| model.kept).try_for_each(|model| {
            let file = job.out.join(format!("{}.safetensors", model.label));
            saved::save(file, &model.network, &job.metadata())
        })
    }
}

/// Trains by a scheme; methods of [`SchemeKind::Offline`] must need no teacher. Reserves the outputs once nothing
/// is left that could be wrong with the settings.
pub fn train(job: &mut Job, kind: SchemeKind, request: SchemeRequest<'_>) -> Result<SchemeResult> {
    match kind {
        SchemeKind::Offline | SchemeKind::Exits => without_teacher(job, request),
        SchemeKind::Mutual => mutual(job, request),
        SchemeKind::MeanTeacher => mean_teacher(job, request),
        SchemeKind::BornAgain | SchemeKind::Assistants | SchemeKind::TeacherFree => {
            in_turn(job, kind, request)
        }
    }
}

fn distilled(label: &str, network: Network, run: Option<Run>, kept: bool) -> TrainedModel {
    TrainedModel { label: label.into(), role: Role::Distilled, network, run, kept }
}

fn single(label: &str, student: Network, run: Run, notes: Vec<String>, title: String) -> SchemeResult {
    let student = distilled(label, student, Some(run), false);
    SchemeResult { before: Vec::new(), student, beside: None, notes, title }
}

/// Weight of what two peers learn from each other, as in the paper.
const PEER_WEIGHT: f32 = 1.0;

/// Two peers learn from labels and from each other; the first is what counts.
fn mutual(job: &mut Job, request: SchemeRequest<'_>) -> Result<SchemeResult> {
    let mut student = job.network()?;
    let name = job.recipe.peer.clone().unwrap_or_else(|| student.name.clone());
    let mut peer = job.fresh(&name, 1)?;
    let supervision = Supervision { peer: Some((&mut peer, PEER_WEIGHT)), ..Default::default() };
    let examine = (request.examine)(request.label);
    let (run, notes) = job.fit(request.label, &mut student, request.config, supervision, examine)?;
    let title = format!("Mutual learning of {} and {}", student.name, peer.name);
    let beside = Some(distilled("peer", peer, None, true));
    Ok(SchemeResult { beside, ..single(request.label, student, run, notes, title) })
}

/// Decay of an averaged teacher where none is said.
const TEACHER_DECAY: f64 = 0.999;

/// The student learns from the average of its own weights.
fn mean_teacher(job: &mut Job, request: SchemeRequest<'_>) -> Result<SchemeResult> {
    let (mut student, teacher) = (job.network()?, job.network()?);
    let average = EmaConfig::warmed_up(job.recipe.teacher_decay.unwrap_or(TEACHER_DECAY));
    let params = DeviceParams::frozen(&job.gpu, "teacher", &teacher.params)?;
    let taught = Supervision {
        teaching: Some(teach(job, request.objective, &teacher, &params)?.into()),
        scheme: Scheme { average: Some(average), ..Default::default() },
        peer: None,
    };
    let examine = (request.examine)(request.label);
    let (run, notes) = job.fit(request.label, &mut student, request.config, taught, examine)?;
    let title = format!("{} taught by the average of its weights", student.name);
    Ok(single(request.label, student, run, notes, title))
}

/// The student learns by methods that need no teacher.
fn without_teacher(job: &mut Job, request: SchemeRequest<'_>) -> Result<SchemeResult> {
    let (mut student, stand_in) = (job.network()?, job.network()?);
    // Methods see a teacher of the student's own architecture. None of them reads it, so the plan leaves it
    // out.
    let params = DeviceParams::frozen(&job.gpu, "teacher", &stand_in.params)?;
    let teacher = teach(job, request.objective, &stand_in, &params)?;
    let examine = (request.examine)(request.label);
    let (run, notes) = job.fit(request.label, &mut student, request.config, teacher.into(), examine)?;
    let title = format!("{} learning by {}", student.name, schemes::methods(&job.recipe)?);
    Ok(single(request.label, student, run, notes, title))
}

/// Trainings one after the other, each network taught by the one before it.
fn in_turn(job: &mut Job, kind: SchemeKind, request: SchemeRequest<'_>) -> Result<SchemeResult> {
    let teacher = match (&job.recipe.teacher, kind) {
        (None, SchemeKind::BornAgain | SchemeKind::TeacherFree) => None,
        _ => Some(open_teacher(&job.recipe, job.subject.as_ref())?),
    };
    if let Some(teacher) = &teacher {
        job.normalise_as(&teacher.metadata.mean, &teacher.metadata.std)?;
    }
    let chain_steps = chain_steps(job, kind)?;
    job.reserve_outputs()?;
    let gpu = job.gpu.clone();
    let labels: Vec<String> = chain_steps.iter().map(|step| step.label.clone()).collect();
    let (mut roles, mut notes) = (Vec::new(), Vec::new());
    let first = teacher.as_ref().map(|t| &t.network);
    let done = chain(&gpu, first, chain_steps, |label, network, before| {
        let teaching = before.map(|(net, params)| teach(job, request.objective, net, params)).transpose()?;
        roles.push(if teaching.is_some() { Role::Distilled } else { Role::Baseline });
        let examine = teaching.is_some() && (request.examine)(label);
        let supervision = Supervision { teaching: teaching.map(Into::into), ..Default::default() };
        let (run, found) = job.fit(label, network, request.config, supervision, examine)?;
        notes.extend(found.into_iter().map(|note| format!("{label}: {note}")));
        Ok(run)
    })?;
    let came = teacher.map(|teacher| TrainedModel {
        role: Role::Teacher,
        ..distilled("teacher", teacher.network, None, false)
    });
    let trained = labels.iter().zip(roles).zip(done);
    let trained = trained.map(|((label, role), (network, run))| TrainedModel {
        role,
        ..distilled(label, network, Some(run), true)
    });
    let mut models: Vec<TrainedModel> = came.into_iter().chain(trained).collect();
    let student = models.pop().ok_or_else(|| Error::config("scheme", "has no training"))?;
    let title = format!("{}: {}", labels.join(", "), student.network.name);
    Ok(SchemeResult { before: models, student, beside: None, notes, title })
}

fn chain_steps(job: &Job, kind: SchemeKind) -> Result<Vec<ChainStep>> {
    let student = job.network()?.name;
    let step = |generation: Generation| {
        let network = match generation.number {
            0 => job.network()?,
            number => job.fresh(generation.model.as_deref().unwrap_or(&student), number)?,
        };
        Ok(ChainStep { label: generation.label, network })
    };
    generations(&job.recipe, kind)?.into_iter().map(step).collect()
}
