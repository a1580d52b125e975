//! `limbeck distill --scheme`: who teaches whom.

use super::distill::{open_teacher, teach};
use super::doctor;
use super::job::{Job, Lesson};
use crate::distill::{self, Objective};
use crate::models::Network;
use crate::models::saved;
use crate::nn::DeviceParams;
use crate::optim::EmaConfig;
use crate::train::report::Role;
use crate::train::schemes::{Link, Scheme, chain};
use crate::train::{Run, TrainConfig};
use crate::{Error, Result};

/// What `--scheme` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// One or several frozen teachers.
    Offline,
    /// Two peers.
    Mutual,
    /// Generations of one architecture.
    BornAgain,
    /// Assistants between teacher and student.
    Assistants,
    /// The student as its own teacher.
    TeacherFree,
    /// Exits of the student, taught by its deepest classifier.
    Exits,
    /// The average of the student's weights.
    MeanTeacher,
}

const NAMES: [(&str, Who); 7] = [
    ("offline", Who::Offline),
    ("dml", Who::Mutual),
    ("ban", Who::BornAgain),
    ("takd", Who::Assistants),
    ("byot", Who::Exits),
    ("tf-kd", Who::TeacherFree),
    ("ema", Who::MeanTeacher),
];

impl Who {
    /// The scheme that the user named, with settings that go with it.
    pub fn of(job: &Job) -> Result<Self> {
        let recipe = &job.recipe;
        let name = recipe.scheme.as_deref().unwrap_or("offline");
        let Some((_, who)) = NAMES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            let message = format!("expected one of {}, got \"{name}\"", known.join(", "));
            return Err(Error::config("scheme", message));
        };
        let given = [
            ("teacher", recipe.teacher.is_some(), &[Who::Offline, Who::BornAgain, Who::Assistants][..]),
            ("teacher_weights", recipe.teacher_weights.is_some(), &[Who::Offline]),
            ("generations", recipe.generations.is_some(), &[Who::BornAgain]),
            ("assistant", recipe.assistant.is_some(), &[Who::Assistants]),
            ("peer", recipe.peer.is_some(), &[Who::Mutual]),
            ("baseline", recipe.baseline == Some(true), &[Who::Offline]),
            ("teacher_outputs", recipe.teacher_outputs.is_some(), &[Who::Offline]),
            ("teacher_decay", recipe.teacher_decay.is_some(), &[Who::MeanTeacher]),
            ("method", recipe.method.is_some() && *who == Who::Mutual, &[]),
        ];
        match given.iter().find(|(_, given, of)| *given && !of.contains(who)) {
            None => Ok(*who),
            Some((setting, ..)) => {
                Err(Error::config(*setting, format!("is of no use for --scheme {name}; leave it out")))
            }
        }
    }
}

/// How much two peers heed each other, as in the paper.
const PEER_WEIGHT: f32 = 1.0;

/// What is learned by where the user names no method.
pub fn default_methods(job: &Job) -> &'static str {
    if job.recipe.scheme.as_deref() == Some("byot") { "byot" } else { "kd" }
}

/// Two peers learn from labels and from each other; the first is what is kept, the other goes to peer.safetensors.
pub fn mutual(job: &mut Job, config: &TrainConfig) -> Result<()> {
    let mut student = job.network()?;
    let name = job.recipe.peer.clone().unwrap_or_else(|| student.name.clone());
    let mut peer = job.fresh(&name, 1)?;
    job.claim()?;
    let notes = doctor::peers(job, "dml", (&student, &peer), PEER_WEIGHT, config);
    let lesson = Lesson { peer: Some((&mut peer, PEER_WEIGHT)), ..Default::default() };
    let run = job.fit("dml", &mut student, config, lesson)?;
    job.row("dml", Role::Distilled, &student, Some(&run))?;
    job.row("peer", Role::Distilled, &peer, None)?;
    saved::save(job.out.join("peer.safetensors"), &peer, &job.facts())?;
    let title = format!("Mutual learning of {} and {}", student.name, peer.name);
    job.finish(&student, &title, notes)
}

/// The student learns from the average of its own weights.
pub fn mean_teacher(job: &mut Job, methods: &str, config: &TrainConfig) -> Result<()> {
    let (mut student, teacher) = (job.network()?, job.network()?);
    let average = EmaConfig { decay: job.recipe.teacher_decay.unwrap_or(0.999), warmup: true };
    let params = DeviceParams::frozen(&job.gpu, "teacher", &teacher.params)?;
    let lesson = |job: &Job| {
        Ok::<_, Error>(Lesson {
            teaching: Some(teach(job, methods, &teacher, &params)?.into()),
            scheme: Scheme { average: Some(average), ..Default::default() },
            peer: None,
        })
    };
    let (examined, taught) = (lesson(job)?, lesson(job)?);
    job.claim()?;
    let notes = doctor::first_batches(job, "ema", &student, config, examined);
    let run = job.fit("ema", &mut student, config, taught)?;
    job.row("ema", Role::Distilled, &student, Some(&run))?;
    let title = format!("{} taught by the average of its weights", student.name);
    job.finish(&student, &title, notes)
}

/// The student learns by methods that need no teacher.
pub fn without_teacher(job: &mut Job, methods: &str, config: &TrainConfig) -> Result<()> {
    let (mut student, stand_in) = (job.network()?, job.network()?);
    // Methods see a teacher of the student's own architecture. None of them reads it, so the plan leaves it out.
    let params = DeviceParams::frozen(&job.gpu, "teacher", &stand_in.params)?;
    let examined = teach(job, methods, &stand_in, &params)?;
    let teacher = teach(job, methods, &stand_in, &params)?;
    job.claim()?;
    let notes = doctor::first_batches(job, methods, &student, config, examined.into());
    let run = job.fit(methods, &mut student, config, teacher.into())?;
    job.row(methods, Role::Distilled, &student, Some(&run))?;
    let title = format!("{} learning by {methods}", student.name);
    job.finish(&student, &title, notes)
}

/// Trainings one after the other; each network but the last goes to a file named after its label.
pub fn in_turn(job: &mut Job, who: Who, methods: &str, alone: &TrainConfig) -> Result<()> {
    let objective = distill::parse(methods, &job.recipe.method_config())?;
    let taught = taught(job, &objective, alone);
    let teacher = match job.recipe.teacher {
        Some(_) => Some(open_teacher(&job.recipe, &job.training)?),
        None if who == Who::Assistants => {
            job.recipe.need(&job.recipe.teacher, "teacher", "runs/teacher/model.safetensors")?;
            None
        }
        None => None,
    };
    if let Some(teacher) = &teacher {
        job.normalise_as(&teacher.facts.mean, &teacher.facts.std);
    }
    let links = links(job, who)?;
    job.claim()?;
    if let Some(teacher) = &teacher {
        job.row("teacher", Role::Teacher, &teacher.network, None)?;
    }
    let gpu = job.gpu.clone();
    let labels: Vec<String> = links.iter().map(|link| link.label.clone()).collect();
    let (mut learned, mut notes) = (Vec::new(), Vec::new());
    let first = teacher.as_ref().map(|t| &t.network);
    let done = chain(&gpu, first, links, |label, network, before| {
        let lesson = || before.map(|(net, params)| teach(job, methods, net, params)).transpose();
        let examined = lesson()?;
        learned.push(examined.is_some());
        let config = if examined.is_some() { &taught } else { alone };
        if let Some(teacher) = examined {
            let found = doctor::first_batches(job, label, network, config, teacher.into());
            notes.extend(found.into_iter().map(|note| format!("{label}: {note}")));
        }
        let teaching = lesson()?.map(Into::into);
        job.fit(label, network, config, Lesson { teaching, ..Default::default() })
    })?;
    report(job, &labels, &learned, &done, notes)
}

fn report(
    job: &mut Job,
    labels: &[String],
    learned: &[bool],
    done: &[(Network, Run)],
    notes: Vec<String>,
) -> Result<()> {
    for ((label, learned), (network, run)) in labels.iter().zip(learned).zip(done) {
        let role = if *learned { Role::Distilled } else { Role::Baseline };
        job.row(label, role, network, Some(run))?;
        saved::save(job.out.join(format!("{label}.safetensors")), network, &job.facts())?;
    }
    let Some((student, _)) = done.last() else { return Ok(()) };
    let title = format!("{}: {}", labels.join(", "), student.name);
    job.finish(student, &title, notes)
}

/// The settings of a training with a teacher.
pub fn taught(job: &Job, objective: &Objective, alone: &TrainConfig) -> TrainConfig {
    let mut config = alone.clone().with_ce(objective);
    config.ce_weight = job.recipe.ce_weight.unwrap_or(config.ce_weight);
    config
}

fn links(job: &Job, who: Who) -> Result<Vec<Link>> {
    let link = |label: String, network| Link { label, network };
    let model = job.network()?.name;
    match who {
        Who::Assistants => {
            let assistants = job.recipe.need(&job.recipe.assistant, "assistant", "resnet32")?;
            let mut all = Vec::new();
            for (i, name) in assistants.iter().enumerate() {
                all.push(link(format!("assistant-{}", i + 1), job.fresh(name, i as u64 + 1)?));
            }
            all.push(link("student".into(), job.network()?));
            Ok(all)
        }
        Who::TeacherFree => {
            Ok(vec![link("alone".into(), job.network()?), link("self-taught".into(), job.fresh(&model, 1)?)])
        }
        _ => {
            let generations = job.recipe.generations.unwrap_or(3).max(1);
            // Without a teacher the first one has labels alone, and counts as generation 0.
            let first = u64::from(job.recipe.teacher.is_some());
            (first..=generations)
                .map(|g| Ok(link(format!("generation-{g}"), job.fresh(&model, g)?)))
                .collect()
        }
    }
}
