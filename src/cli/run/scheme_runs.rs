//! The trainings of a scheme, for `distill` and `sweep`.

use super::doctor;
use super::job::{Job, Lesson};
use super::schemes::{Turn, Who, turns};
use super::teachers::{open_teacher, teach};
use crate::distill::{self, Objective};
use crate::models::{Network, saved};
use crate::nn::DeviceParams;
use crate::optim::EmaConfig;
use crate::train::report::Role;
use crate::train::schemes::{Link, Scheme, chain};
use crate::train::{Run, TrainConfig};
use crate::{Error, Result};

/// What is to be trained.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Of the run, where the scheme takes one training only.
    pub label: &'a str,
    /// What it learns by.
    pub methods: &'a str,
    /// The settings without a teacher.
    pub alone: &'a TrainConfig,
    /// Whether the doctor is to look at the training of this label.
    pub examine: &'a dyn Fn(&str) -> bool,
}

/// A network that took part.
pub struct Part {
    pub label: String,
    pub role: Role,
    pub network: Network,
    /// None for a teacher, which came trained, and for a peer, whose steps are the student's.
    pub run: Option<Run>,
    /// Whether it goes to a file named after its label.
    kept: bool,
}

/// What a scheme made.
pub struct Made {
    /// In the order of tables: those that came before the student.
    pub before: Vec<Part>,
    pub student: Part,
    /// The student's peer.
    pub beside: Option<Part>,
    /// What the doctor found.
    pub notes: Vec<String>,
    /// Of the report.
    pub title: String,
}

impl Made {
    /// All networks, in the order of tables.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.before.iter().chain([&self.student]).chain(&self.beside)
    }

    /// The student, and every training that led to it, its own last.
    pub fn into_student(self) -> (Network, Vec<Run>) {
        let student = self.student;
        let runs = self.before.into_iter().filter_map(|part| part.run).chain(student.run);
        (student.network, runs.collect())
    }

    /// Writes the networks that the scheme keeps besides the student's model.safetensors.
    pub fn save(&self, job: &Job) -> Result<()> {
        self.parts().filter(|part| part.kept).try_for_each(|part| {
            let file = job.out.join(format!("{}.safetensors", part.label));
            saved::save(file, &part.network, &job.facts())
        })
    }
}

/// Trains by a scheme; methods of [`Who::Offline`] must need no teacher. Claims the job's folder once nothing
/// is left that could be wrong with the settings.
pub fn train(job: &mut Job, who: Who, ask: Ask<'_>) -> Result<Made> {
    match who {
        Who::Offline | Who::Exits => without_teacher(job, ask),
        Who::Mutual => mutual(job, ask),
        Who::MeanTeacher => mean_teacher(job, ask),
        Who::BornAgain | Who::Assistants | Who::TeacherFree => in_turn(job, who, ask),
    }
}

/// The settings of a training with a teacher.
pub fn taught(job: &Job, objective: &Objective, alone: &TrainConfig) -> TrainConfig {
    let mut config = alone.clone().with_ce(objective);
    config.ce_weight = job.recipe.ce_weight.unwrap_or(config.ce_weight);
    config
}

fn taught_by(job: &Job, ask: Ask<'_>) -> Result<TrainConfig> {
    Ok(taught(job, &distill::parse(ask.methods, &job.recipe.method_config())?, ask.alone))
}

fn distilled(label: &str, network: Network, run: Option<Run>, kept: bool) -> Part {
    Part { label: label.into(), role: Role::Distilled, network, run, kept }
}

fn single(label: &str, student: Network, run: Run, notes: Vec<String>, title: String) -> Made {
    let student = distilled(label, student, Some(run), false);
    Made { before: Vec::new(), student, beside: None, notes, title }
}

/// How much two peers heed each other, as in the paper.
const PEER_WEIGHT: f32 = 1.0;

/// Two peers learn from labels and from each other; the first is what counts.
fn mutual(job: &mut Job, ask: Ask<'_>) -> Result<Made> {
    let mut student = job.network()?;
    let name = job.recipe.peer.clone().unwrap_or_else(|| student.name.clone());
    let mut peer = job.fresh(&name, 1)?;
    job.claim()?;
    let notes = match (ask.examine)(ask.label) {
        true => doctor::peers(job, ask.label, (&student, &peer), PEER_WEIGHT, ask.alone),
        false => Vec::new(),
    };
    let lesson = Lesson { peer: Some((&mut peer, PEER_WEIGHT)), ..Default::default() };
    let run = job.fit(ask.label, &mut student, ask.alone, lesson)?;
    let title = format!("Mutual learning of {} and {}", student.name, peer.name);
    let beside = Some(distilled("peer", peer, None, true));
    Ok(Made { beside, ..single(ask.label, student, run, notes, title) })
}

/// The student learns from the average of its own weights.
fn mean_teacher(job: &mut Job, ask: Ask<'_>) -> Result<Made> {
    let (mut student, teacher) = (job.network()?, job.network()?);
    let average = EmaConfig { decay: job.recipe.teacher_decay.unwrap_or(0.999), warmup: true };
    let params = DeviceParams::frozen(&job.gpu, "teacher", &teacher.params)?;
    let lesson = |job: &Job| {
        Ok::<_, Error>(Lesson {
            teaching: Some(teach(job, ask.methods, &teacher, &params)?.into()),
            scheme: Scheme { average: Some(average), ..Default::default() },
            peer: None,
        })
    };
    let (config, taught) = (taught_by(job, ask)?, lesson(job)?);
    job.claim()?;
    let notes = match (ask.examine)(ask.label) {
        true => doctor::first_batches(job, ask.label, &student, &config, lesson(job)?),
        false => Vec::new(),
    };
    let run = job.fit(ask.label, &mut student, &config, taught)?;
    let title = format!("{} taught by the average of its weights", student.name);
    Ok(single(ask.label, student, run, notes, title))
}

/// The student learns by methods that need no teacher.
fn without_teacher(job: &mut Job, ask: Ask<'_>) -> Result<Made> {
    let (mut student, stand_in) = (job.network()?, job.network()?);
    // Methods see a teacher of the student's own architecture. None of them reads it, so the plan leaves it
    // out.
    let params = DeviceParams::frozen(&job.gpu, "teacher", &stand_in.params)?;
    let teacher = teach(job, ask.methods, &stand_in, &params)?;
    let config = taught_by(job, ask)?;
    job.claim()?;
    let notes = match (ask.examine)(ask.label) {
        true => {
            let examined = teach(job, ask.methods, &stand_in, &params)?;
            doctor::first_batches(job, ask.label, &student, &config, examined.into())
        }
        false => Vec::new(),
    };
    let run = job.fit(ask.label, &mut student, &config, teacher.into())?;
    let title = format!("{} learning by {}", student.name, ask.methods);
    Ok(single(ask.label, student, run, notes, title))
}

/// Trainings one after the other, each network taught by the one before it.
fn in_turn(job: &mut Job, who: Who, ask: Ask<'_>) -> Result<Made> {
    let taught = taught_by(job, ask)?;
    let teacher = match (&job.recipe.teacher, who) {
        (None, Who::BornAgain | Who::TeacherFree) => None,
        _ => Some(open_teacher(&job.recipe, &job.training)?),
    };
    if let Some(teacher) = &teacher {
        job.normalise_as(&teacher.facts.mean, &teacher.facts.std);
    }
    let links = links(job, who)?;
    job.claim()?;
    let gpu = job.gpu.clone();
    let labels: Vec<String> = links.iter().map(|link| link.label.clone()).collect();
    let (mut roles, mut notes) = (Vec::new(), Vec::new());
    let first = teacher.as_ref().map(|t| &t.network);
    let done = chain(&gpu, first, links, |label, network, before| {
        let lesson = || before.map(|(net, params)| teach(job, ask.methods, net, params)).transpose();
        let examined = lesson()?;
        roles.push(if examined.is_some() { Role::Distilled } else { Role::Baseline });
        let config = if examined.is_some() { &taught } else { ask.alone };
        if let Some(teacher) = examined.filter(|_| (ask.examine)(label)) {
            let found = doctor::first_batches(job, label, network, config, teacher.into());
            notes.extend(found.into_iter().map(|note| format!("{label}: {note}")));
        }
        let teaching = lesson()?.map(Into::into);
        job.fit(label, network, config, Lesson { teaching, ..Default::default() })
    })?;
    let came = teacher
        .map(|teacher| Part { role: Role::Teacher, ..distilled("teacher", teacher.network, None, false) });
    let trained = labels.iter().zip(roles).zip(done);
    let trained = trained
        .map(|((label, role), (network, run))| Part { role, ..distilled(label, network, Some(run), true) });
    let mut parts: Vec<Part> = came.into_iter().chain(trained).collect();
    let student = parts.pop().ok_or_else(|| Error::config("scheme", "has no training"))?;
    let title = format!("{}: {}", labels.join(", "), student.network.name);
    Ok(Made { before: parts, student, beside: None, notes, title })
}

fn links(job: &Job, who: Who) -> Result<Vec<Link>> {
    let student = job.network()?.name;
    let link = |turn: Turn| {
        let network = match turn.number {
            0 => job.network()?,
            number => job.fresh(turn.model.as_deref().unwrap_or(&student), number)?,
        };
        Ok(Link { label: turn.label, network })
    };
    turns(&job.recipe, who)?.into_iter().map(link).collect()
}
