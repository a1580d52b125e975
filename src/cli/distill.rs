//! `limbeck distill`: a student learns from labels and from a frozen teacher.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::AdapterFlags;
use super::job::{Job, JobFlags};
use super::model_file::{class_difference, facts_of};
use super::out::say;
use super::plan::print_plan;
use super::recipe::Recipe;
use crate::data::Dataset;
use crate::distill;
use crate::models::NameMap;
use crate::models::saved::{self, Overrides, Saved};
use crate::nn::DeviceParams;
use crate::train::report::{Role, printable};
use crate::train::{Outputs, StoredTeacher, Teacher, Teaching, TrainConfig, weights_hash};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck distill --teacher runs/teacher/model.safetensors --model cnn:8,16,32 --data fashion-mnist --baseline
  limbeck distill --teacher resnet56.safetensors --teacher-model resnet56 --model resnet20 --data cifar10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225 --method kd+feature:50 --taps layer3:layer3
  limbeck distill --teacher resnet56.onnx --model resnet20 --data cifar10 --method kd+feature:50
  limbeck distill --teacher-outputs outputs.safetensors --model resnet20 --data cifar10
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
    let methods = job.recipe.method.clone().unwrap_or_else(|| "kd".into());
    let objective = distill::parse(&methods, &job.recipe.method_config())?;
    let alone = job.recipe.train_config()?;
    let mut config = alone.clone().with_ce(&objective);
    config.ce_weight = job.recipe.ce_weight.unwrap_or(config.ce_weight);
    let source = Source::open(&mut job)?;
    let frozen = match &source {
        Source::Live(teacher) => Some(DeviceParams::frozen(&job.gpu, "teacher", &teacher.network.params)?),
        Source::Stored(_) => None,
    };
    let mut student = job.network()?;
    let cost = job.plan(&config, Some(source.teach(&job, &methods, frozen.as_ref())?))?;
    if flags.job.dry_run {
        print_plan(&cost, &config, config.steps(job.training.len() / config.batch_size))?;
        if let Source::Stored(outputs) = &source {
            say!("teacher               outputs in {}, no weights", outputs.path().display())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    job.claim()?;
    if let Source::Live(teacher) = &source {
        job.row("teacher", Role::Teacher, &teacher.network, None)?;
    }
    if job.recipe.baseline == Some(true) {
        let mut student = job.network()?;
        let run = job.fit("alone", &mut student, &TrainConfig { ce_weight: 1.0, ..alone }, None)?;
        job.row("alone", Role::Baseline, &student, Some(&run))?;
    }
    let teaching = source.teach(&job, &methods, frozen.as_ref())?;
    let run = job.fit(&methods, &mut student, &config, Some(teaching))?;
    job.row(&methods, Role::Distilled, &student, Some(&run))?;
    let title = format!("Distilling {} into {}", source.name(), student.name);
    job.finish(&student, &title, Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

/// Who teaches.
enum Source {
    Live(Box<Saved>),
    Stored(Arc<Outputs>),
}

impl Source {
    /// The teacher, or its outputs where there are some; the images are normalised as it needs them.
    fn open(job: &mut Job) -> Result<Self> {
        let Some(path) = &job.recipe.teacher_outputs else {
            if job.recipe.teacher_hash.is_some() {
                let message = "tells of which teacher --teacher-outputs must be; give them, or leave it out";
                return Err(Error::config("--teacher-hash", message));
            }
            let teacher = open_teacher(&job.recipe, &job.training)?;
            job.normalise_as(&teacher.facts.mean, &teacher.facts.std);
            return Ok(Self::Live(Box::new(teacher)));
        };
        let outputs = Outputs::open(path)?;
        if let Some(hash) = &job.recipe.teacher_hash {
            outputs.fits_teacher(hash)?;
        }
        if job.recipe.teacher.is_some() {
            // It is read to be told from others, and not kept.
            let teacher = open_teacher(&job.recipe, &job.training)?;
            outputs.fits_teacher(&weights_hash(&teacher.network.params))?;
        }
        if outputs.info().mean.len() == job.training.channels {
            let info = outputs.info().clone();
            job.normalise_as(&info.mean, &info.std);
        }
        outputs.fits(&job.training)?;
        Ok(Self::Stored(Arc::new(outputs)))
    }

    fn name(&self) -> String {
        match self {
            Self::Live(teacher) => teacher.network.name.clone(),
            Self::Stored(outputs) if outputs.info().teacher.is_empty() => "teacher outputs".into(),
            Self::Stored(outputs) => printable(&outputs.info().teacher).into_owned(),
        }
    }

    /// `frozen` are a live teacher's weights on the device.
    fn teach<'a>(
        &'a self,
        job: &Job,
        methods: &str,
        frozen: Option<&'a DeviceParams>,
    ) -> Result<Teaching<'a>> {
        let terms = distill::parse(methods, &job.recipe.method_config())?.terms;
        let taps = job.recipe.tap_pairs()?.unwrap_or_default();
        match (self, frozen) {
            (Self::Live(teacher), Some(params)) => {
                Ok(Teacher { network: &teacher.network, params, terms, taps }.into())
            }
            (Self::Live(_), None) => Err(Error::config("teacher", "its weights are not on the device")),
            (Self::Stored(outputs), _) => Ok(StoredTeacher { outputs: outputs.clone(), terms, taps }.into()),
        }
    }
}

/// The teacher with what its file does not say taken from the flags and the data.
pub fn open_teacher(recipe: &Recipe, data: &Dataset) -> Result<Saved> {
    let path = recipe.need(&recipe.teacher, "teacher", "runs/teacher/model.safetensors")?;
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
