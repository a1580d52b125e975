//! `limbeck distill`: a student learns from labels and from a frozen teacher.

use std::process::ExitCode;

use clap::Args;

use super::AdapterFlags;
use super::job::{Job, JobFlags};
use super::model_file::{class_difference, facts_of};
use super::plan::print_plan;
use crate::distill;
use crate::models::saved::{self, Overrides, Saved};
use crate::models::{NameMap, Network};
use crate::nn::DeviceParams;
use crate::train::report::Role;
use crate::train::{Teacher, TrainConfig};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck distill --teacher runs/teacher/model.safetensors --model cnn:8,16,32 --data fashion-mnist --baseline
  limbeck distill --teacher resnet56.safetensors --teacher-model resnet56 --model resnet20 --data cifar10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225 --method kd+feature:50 --taps layer3:layer3
  limbeck distill --teacher resnet56.onnx --model resnet20 --data cifar10 --method kd+feature:50
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
    let teacher = open_teacher(&job)?;
    job.normalise_as(&teacher.facts);
    let frozen = DeviceParams::frozen(&job.gpu, "teacher", &teacher.network.params)?;
    let mut student = job.network()?;
    let teaching = teach(&job, &methods, &teacher.network, &frozen)?;
    let cost = job.plan(&config, Some(teaching))?;
    if flags.job.dry_run {
        print_plan(&cost, &config, config.steps(job.training.len() / config.batch_size))?;
        return Ok(ExitCode::SUCCESS);
    }
    job.claim()?;
    job.row("teacher", Role::Teacher, &teacher.network, None)?;
    if job.recipe.baseline == Some(true) {
        let mut student = job.network()?;
        let run = job.fit("alone", &mut student, &TrainConfig { ce_weight: 1.0, ..alone }, None)?;
        job.row("alone", Role::Baseline, &student, Some(&run))?;
    }
    let teaching = teach(&job, &methods, &teacher.network, &frozen)?;
    let run = job.fit(&methods, &mut student, &config, Some(teaching))?;
    job.row(&methods, Role::Distilled, &student, Some(&run))?;
    let title = format!("Distilling {} into {}", teacher.network.name, student.name);
    job.finish(&student, &title, Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

/// The teacher with what its file does not say taken from the flags and the data.
fn open_teacher(job: &Job) -> Result<Saved> {
    let path = job.recipe.need(&job.recipe.teacher, "teacher", "runs/teacher/model.safetensors")?;
    let data = &job.training;
    let overrides = Overrides {
        model: job.recipe.teacher_model.clone(),
        mean: job.recipe.data_mean.clone(),
        std: job.recipe.data_std.clone(),
        map: job.recipe.teacher_map.as_ref().map(NameMap::read).transpose()?,
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

fn teach<'a>(
    job: &Job,
    methods: &str,
    network: &'a Network,
    params: &'a DeviceParams,
) -> Result<Teacher<'a>> {
    let terms = distill::parse(methods, &job.recipe.method_config())?.terms;
    let taps = job.recipe.tap_pairs()?.unwrap_or_default();
    Ok(Teacher { network, params, terms, taps })
}
