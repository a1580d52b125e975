//! `limbeck distill`: a student learns from labels and from a frozen teacher.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::AdapterFlags;
use super::doctor;
use super::job::{Job, JobFlags, Lesson};
use super::model_file::{class_difference, facts_of};
use super::out::say;
use super::plan::print_plan;
use super::recipe::Recipe;
use super::scheme_runs::{self, Ask, Made};
use super::schemes::{self, Who};
use crate::data::Dataset;
use crate::distill;
use crate::models::saved::{self, Overrides, Saved};
use crate::models::{NameMap, Network};
use crate::nn::DeviceParams;
use crate::train::report::{Role, printable};
use crate::train::schemes::{Member, Scheme};
use crate::train::{Outputs, StoredTeacher, Teacher, TrainConfig, weights_hash};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck distill --teacher runs/teacher/model.safetensors --model cnn:8,16,32 --data fashion-mnist --baseline
  limbeck distill --teacher resnet56.safetensors --teacher-model resnet56 --model resnet20 --data cifar10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225 --method kd+feature:50 --taps layer3:layer3
  limbeck distill --teacher resnet56.onnx --model resnet20 --data cifar10 --method kd+feature:50
  limbeck distill --teacher-outputs outputs.safetensors --model resnet20 --data cifar10
  limbeck distill --teacher a.safetensors,b.onnx --teacher-weights 0.7,0.3 --model resnet20 --data cifar10
  limbeck distill --scheme takd --teacher resnet56.onnx --assistant resnet32 --model resnet8 --data cifar10
  limbeck distill --scheme dml --model resnet20 --peer resnet32 --data cifar10
  limbeck distill --config distill.toml --dry-run";

/// Flags of `limbeck distill`.
#[derive(Debug, Args)]
pub struct DistillFlags {
    #[command(flatten)]
    job: JobFlags,
}

/// Distils and writes the student, the metrics and a report.
pub fn run(adapter: &AdapterFlags, flags: &DistillFlags) -> Result<ExitCode> {
    let mut job = Job::new(adapter, &flags.job)?;
    let methods = schemes::methods(&job.recipe);
    let alone = job.recipe.train_config()?;
    let who = Who::of(&job.recipe)?;
    let teacherless = is_teacherless(&job.recipe, who, &methods)?;
    if (who != Who::Offline || teacherless) && flags.job.dry_run {
        let cost = job.plan(&alone, Lesson::default())?;
        print_plan(&cost, &alone, alone.steps(job.training.len() / alone.batch_size))?;
        say!("this is the student alone: what it learns from besides labels is not counted")?;
        return Ok(ExitCode::SUCCESS);
    }
    if who == Who::Offline && !teacherless {
        offline(&mut job, flags.job.dry_run, &methods, &alone)?;
    } else {
        let label = match who {
            Who::Mutual => "dml",
            Who::MeanTeacher => "ema",
            _ => &methods,
        };
        let ask = Ask { label, methods: &methods, alone: &alone, examine: &|_| true };
        let made = scheme_runs::train(&mut job, who, ask)?;
        report(&mut job, made)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether nobody but the student itself teaches: neither a network nor outputs are given, and no method
/// needs them.
pub(super) fn is_teacherless(recipe: &Recipe, who: Who, methods: &str) -> Result<bool> {
    let terms = distill::parse(methods, &recipe.method_config())?.terms;
    let given = recipe.teacher.is_some() || recipe.teacher_outputs.is_some();
    let teacherless = !given && terms.iter().all(|t| !t.method.needs_teacher());
    if who == Who::Exits && !teacherless {
        return Err(Error::config("method", "--scheme byot takes methods that need no teacher: byot, tf-kd"));
    }
    Ok(teacherless)
}

/// A row for every network that took part, and the report.
fn report(job: &mut Job, made: Made) -> Result<()> {
    for part in made.parts() {
        job.row(&part.label, part.role, &part.network, part.run.as_ref())?;
    }
    made.save(job)?;
    job.finish(&made.student.network, &made.title, made.notes)
}

/// Frozen teachers, or what one wrote to disk.
fn offline(job: &mut Job, dry_run: bool, methods: &str, alone: &TrainConfig) -> Result<()> {
    let config = &scheme_runs::taught(job, &distill::parse(methods, &job.recipe.method_config())?, alone);
    let source = Source::open(job, Some(methods))?;
    doctor::classes(job, methods, source.live());
    let frozen = source.upload(job)?;
    let mut student = job.network()?;
    let cost = job.plan(config, source.lesson(job, methods, &frozen)?)?;
    if dry_run {
        print_plan(&cost, config, config.steps(job.training.len() / config.batch_size))?;
        if let Source::Stored(outputs, _) = &source {
            say!("teacher               outputs in {}, no weights", outputs.path().display())?;
        }
        return Ok(());
    }
    job.claim()?;
    let notes = doctor::first_batches(job, methods, &student, config, source.lesson(job, methods, &frozen)?);
    for (index, (teacher, _)) in source.live().iter().enumerate() {
        let label = if index == 0 { "teacher".to_string() } else { format!("teacher {}", index + 1) };
        job.row(&label, Role::Teacher, &teacher.network, None)?;
    }
    if job.recipe.baseline == Some(true) {
        let mut student = job.network()?;
        let config = TrainConfig { ce_weight: 1.0, ..alone.clone() };
        let run = job.fit("alone", &mut student, &config, Lesson::default())?;
        job.row("alone", Role::Baseline, &student, Some(&run))?;
    }
    let run = job.fit(methods, &mut student, config, source.lesson(job, methods, &frozen)?)?;
    job.row(methods, Role::Distilled, &student, Some(&run))?;
    let title = format!("Distilling {} into {}", source.name(), student.name);
    job.finish(&student, &title, notes)
}

/// Who teaches.
pub(super) enum Source {
    /// At least one teacher, each with its share.
    Live(Vec<(Saved, f32)>),
    /// What one wrote to disk, and itself where a method reads its layers.
    Stored(Arc<Outputs>, Option<Box<Saved>>),
}

impl Source {
    /// The teachers, or the outputs where there are some, with the teacher where `methods` read it; the images are
    /// normalised as they need them.
    pub fn open(job: &mut Job, methods: Option<&str>) -> Result<Self> {
        let recipe = job.recipe.clone();
        Self::of(&recipe, job, methods)
    }

    /// [`Source::open`] by the teacher settings of another recipe than the job's.
    pub fn of(recipe: &Recipe, job: &mut Job, methods: Option<&str>) -> Result<Self> {
        let Some(path) = &recipe.teacher_outputs else {
            if recipe.teacher_hash.is_some() {
                let message = "tells of which teacher --teacher-outputs must be; give them, or leave it out";
                return Err(Error::config("--teacher-hash", message));
            }
            let teachers = open_teachers(recipe, &job.training)?;
            let facts = &teachers[0].0.facts;
            job.normalise_as(&facts.mean, &facts.std);
            return Ok(Self::Live(teachers));
        };
        let outputs = Outputs::open(path)?;
        if let Some(hash) = &recipe.teacher_hash {
            outputs.fits_teacher(hash)?;
        }
        let mut kept = None;
        if recipe.teacher.is_some() {
            // It is read to be told from others, and most often not kept.
            let teacher = open_teacher(recipe, &job.training)?;
            outputs.fits_teacher(&weights_hash(&teacher.network.params))?;
            if let Some(methods) = methods {
                let terms = distill::parse(methods, &job.recipe.method_config())?.terms;
                kept = terms.iter().any(|term| term.method.reads_teacher()).then(|| Box::new(teacher));
            }
        }
        if outputs.info().mean.len() == job.training.channels {
            let info = outputs.info().clone();
            job.normalise_as(&info.mean, &info.std);
        }
        outputs.fits(&job.training)?;
        Ok(Self::Stored(Arc::new(outputs), kept))
    }

    pub fn live(&self) -> &[(Saved, f32)] {
        match self {
            Self::Live(teachers) => teachers,
            Self::Stored(..) => &[],
        }
    }

    pub fn stored(&self) -> Option<&Outputs> {
        match self {
            Self::Live(_) => None,
            Self::Stored(outputs, _) => Some(outputs),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Live(teachers) => {
                let names: Vec<&str> = teachers.iter().map(|(t, _)| t.network.name.as_str()).collect();
                names.join(" and ")
            }
            Self::Stored(outputs, _) if outputs.info().teacher.is_empty() => "teacher outputs".into(),
            Self::Stored(outputs, _) => printable(&outputs.info().teacher).into_owned(),
        }
    }

    /// The live teachers' weights on the device.
    pub fn upload(&self, job: &Job) -> Result<Vec<DeviceParams>> {
        let teachers = self.live().iter();
        teachers.map(|(t, _)| DeviceParams::frozen(&job.gpu, "teacher", &t.network.params)).collect()
    }

    /// `frozen` are what [`Source::upload`] made.
    pub fn lesson<'a>(&'a self, job: &Job, methods: &str, frozen: &'a [DeviceParams]) -> Result<Lesson<'a>> {
        if let Self::Stored(outputs, teacher) = self {
            let terms = distill::parse(methods, &job.recipe.method_config())?.terms;
            let taps = job.recipe.tap_pairs()?.unwrap_or_default();
            let network = teacher.as_ref().map(|teacher| &teacher.network);
            let stored = StoredTeacher { outputs: outputs.clone(), network, terms, taps };
            return Ok(Lesson { teaching: Some(stored.into()), ..Default::default() });
        }
        let mut all = self.live().iter().zip(frozen);
        let Some(((first, weight), params)) = all.next() else { return Ok(Lesson::default()) };
        let teacher = teach(job, methods, &first.network, params)?;
        let scheme = Scheme { first_weight: *weight, others: all.map(member).collect(), average: None };
        Ok(Lesson { teaching: Some(teacher.into()), scheme, peer: None })
    }
}

fn member<'a>(((teacher, weight), params): (&'a (Saved, f32), &'a DeviceParams)) -> Member<'a> {
    Member { network: &teacher.network, params, weight: *weight }
}

/// The files of all teachers, at least one, with their shares.
pub(super) fn teachers_of(recipe: &Recipe) -> Result<Vec<(PathBuf, f32)>> {
    let text = recipe.need(&recipe.teacher, "teacher", "runs/teacher/model.safetensors")?;
    let paths: Vec<PathBuf> = match text.to_str() {
        Some(names) if !text.exists() => names.split(',').map(|name| name.trim().into()).collect(),
        _ => vec![text.clone()],
    };
    let weights = recipe.teacher_weights.clone().unwrap_or_else(|| vec![1.0; paths.len()]);
    if weights.len() != paths.len() {
        let message = format!("expected {}, one for each teacher, got {}", paths.len(), weights.len());
        return Err(Error::config("teacher_weights", message));
    }
    Ok(paths.into_iter().zip(weights).collect())
}

/// All teachers, at least one, with their shares.
fn open_teachers(recipe: &Recipe, data: &Dataset) -> Result<Vec<(Saved, f32)>> {
    let paths = teachers_of(recipe)?;
    let teachers = paths.iter().map(|(path, weight)| Ok((open(recipe, data, path)?, *weight)));
    let teachers = teachers.collect::<Result<Vec<_>>>()?;
    let facts = |saved: &Saved| (saved.facts.mean.clone(), saved.facts.std.clone());
    match teachers.iter().find(|(teacher, _)| facts(teacher) != facts(&teachers[0].0)) {
        None => Ok(teachers),
        Some((other, _)) => {
            let message = format!(
                "expected teachers of one normalisation, since all see the same images; {} has {:?}, {} has {:?}",
                teachers[0].0.network.name,
                facts(&teachers[0].0),
                other.network.name,
                facts(other)
            );
            Err(Error::config("teacher", message))
        }
    }
}

/// The only teacher, with what its file does not say taken from the flags and the data.
pub fn open_teacher(recipe: &Recipe, data: &Dataset) -> Result<Saved> {
    open(recipe, data, recipe.need(&recipe.teacher, "teacher", "runs/teacher/model.safetensors")?)
}

fn open(recipe: &Recipe, data: &Dataset, path: &Path) -> Result<Saved> {
    let overrides = Overrides {
        model: recipe.teacher_model.clone(),
        mean: recipe.data_mean.clone(),
        std: recipe.data_std.clone(),
        map: recipe.teacher_map.as_ref().map(NameMap::read).transpose()?,
        ..Default::default()
    };
    let teacher = saved::open_with(path, &overrides, &facts_of(data)).map_err(|e| match e {
        // The flags have other names here.
        Error::File { path, message } => {
            let message = message.replace("--model", "--teacher-model").replace("--map", "--teacher-map");
            Error::file(path, message)
        }
        other => other,
    })?;
    if let Some(difference) = class_difference(&teacher.facts.classes, data) {
        log::warn!("{difference} Its soft targets may be of no use");
    }
    Ok(teacher)
}

pub(super) fn teach<'a>(
    job: &Job,
    methods: &str,
    network: &'a Network,
    params: &'a DeviceParams,
) -> Result<Teacher<'a>> {
    let terms = distill::parse(methods, &job.recipe.method_config())?.terms;
    let taps = job.recipe.tap_pairs()?.unwrap_or_default();
    Ok(Teacher { network, params, terms, taps })
}
