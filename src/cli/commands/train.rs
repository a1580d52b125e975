//! `limbeck train`: a network learns from labels alone.

use std::process::ExitCode;

use clap::Args;

use crate::cli::AdapterFlags;
use crate::cli::progress::Bar;
use crate::cli::run::cost::print_plan;
use crate::cli::run::job::{Job, JobFlags, Supervision};
use crate::train::report::Role;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck train --model cnn:32,64,128 --data fashion-mnist --out runs/teacher
  limbeck train --model resnet20 --data cifar10 --crop-padding 4 --flip --epochs 100 --learning-rate 0.1
  limbeck train --task mlm --model bert:2,128,2 --data texts --data-dir corpus --tokenizer tokenizer.json
  limbeck train --config runs/teacher/config.toml --out runs/teacher --resume";

/// The run's name in metrics, checkpoint and report.
const LABEL: &str = "train";

/// Flags of `limbeck train`.
#[derive(Debug, Args)]
pub struct TrainFlags {
    #[command(flatten)]
    job: JobFlags,
}

/// Trains and writes the model, the metrics and a report.
pub fn run(adapter: &AdapterFlags, flags: &TrainFlags) -> Result<ExitCode> {
    let mut job = Job::new(adapter, &flags.job)?;
    if job.recipe.teacher.is_some() || job.recipe.method.is_some() || job.recipe.scheme.is_some() {
        let message = "train learns from labels alone; use `limbeck distill` to learn from a teacher";
        return Err(Error::config("teacher", message));
    }
    let config = job.recipe.train_config()?;
    let (gpu, mut bar) = (job.gpu.clone(), Bar::new(LABEL, config.batch_size));
    let mut network = job.network()?;
    let prepared = job.prepare((&gpu, &mut bar), &mut network, &config, Supervision::default(), false)?;
    if flags.job.dry_run {
        print_plan(prepared.cost(), &config, job.steps(&config))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (run, _) = job.train(prepared)?;
    job.row(LABEL, Role::Baseline, &network, Some(&run))?;
    let title = format!("Training {}", network.name);
    job.finish(&network, &title, Vec::new())?;
    Ok(ExitCode::SUCCESS)
}
