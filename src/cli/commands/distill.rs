//! `limbeck distill`: a student learns from labels and from a frozen teacher.

use std::process::ExitCode;

use clap::Args;

use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::progress::Bar;
use crate::cli::run::cost::print_plan;
use crate::cli::run::doctor;
use crate::cli::run::job::{Job, JobFlags, Supervision};
use crate::cli::run::scheme_runs::{self, SchemeRequest, SchemeResult};
use crate::cli::run::schemes::{self, SchemeKind};
use crate::cli::run::teachers::Teachers;
use crate::distill::Objective;
use crate::train::TrainConfig;
use crate::train::report::Role;

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
    let (methods, objective) = (schemes::methods(&job.recipe)?, schemes::objective(&job.recipe)?);
    let config = job.recipe.train_config()?;
    let kind = SchemeKind::of(&job.recipe)?;
    let teacherless = schemes::is_teacherless(&job.recipe, kind, &objective)?;
    if (kind != SchemeKind::Offline || teacherless) && flags.job.dry_run {
        let (gpu, mut bar) = (job.gpu.clone(), Bar::new(&methods, config.batch_size));
        let mut student = job.network()?;
        let prepared = job.prepare((&gpu, &mut bar), &mut student, &config, Supervision::default(), false)?;
        print_plan(prepared.cost(), &config, job.steps(&config))?;
        say!("this is the student alone: what it learns from besides labels is not counted")?;
        return Ok(ExitCode::SUCCESS);
    }
    if kind == SchemeKind::Offline && !teacherless {
        offline(&mut job, flags.job.dry_run, (&methods, &objective), &config)?;
    } else {
        let label = match kind {
            SchemeKind::Mutual => "dml",
            SchemeKind::MeanTeacher => "ema",
            _ => &methods,
        };
        let request = SchemeRequest { label, objective: &objective, config: &config, examine: &|_| true };
        let result = scheme_runs::train(&mut job, kind, request)?;
        report(&mut job, result)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A row for every network that took part, and the report.
fn report(job: &mut Job, result: SchemeResult) -> Result<()> {
    for model in result.models() {
        job.row(&model.label, model.role, &model.network, model.run.as_ref())?;
    }
    result.save(job)?;
    job.finish(&result.student.network, &result.title, result.notes)
}

/// Frozen teachers, or what one wrote to disk.
fn offline(
    job: &mut Job,
    dry_run: bool,
    (methods, objective): (&str, &Objective),
    config: &TrainConfig,
) -> Result<()> {
    let source = Teachers::open(job, Some(objective))?;
    let mut notes = doctor::before(job, methods, source.live());
    let frozen = source.upload(job)?;
    let mut student = job.network()?;
    let (gpu, mut bar) = (job.gpu.clone(), Bar::new(methods, config.batch_size));
    let supervision = source.supervision(job, objective, &frozen)?;
    let prepared = job.prepare((&gpu, &mut bar), &mut student, config, supervision, !dry_run)?;
    if dry_run {
        print_plan(prepared.cost(), config, job.steps(config))?;
        if let Teachers::Stored(outputs, _) = &source {
            say!("teacher               outputs in {}, no weights", outputs.path().display())?;
        }
        return Ok(());
    }
    job.reserve_outputs()?;
    for (index, (teacher, _)) in source.live().iter().enumerate() {
        let label = if index == 0 { "teacher".to_string() } else { format!("teacher {}", index + 1) };
        let metric = job.row(&label, Role::Teacher, &teacher.network, None)?;
        notes.extend(doctor::teacher(job, methods, &teacher.network.name, metric));
    }
    if job.recipe.baseline == Some(true) {
        let mut student = job.network()?;
        let config = TrainConfig { ce_weight: 1.0, ..config.clone() };
        let (run, _) = job.fit("alone", &mut student, &config, Supervision::default(), false)?;
        job.row("alone", Role::Baseline, &student, Some(&run))?;
    }
    let (run, of_batches) = job.train(prepared)?;
    notes.extend(of_batches);
    job.row(methods, Role::Distilled, &student, Some(&run))?;
    let title = format!("Distilling {} into {}", source.name(), student.name);
    job.finish(&student, &title, notes)
}
