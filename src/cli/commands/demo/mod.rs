//! `limbeck demo`: from nothing to a distilled student, on data inside the binary. A file for each task.

mod digits;
mod shapes;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::distill::MethodConfig;
use crate::files::{NamedTensor, StoredTensor, write_safetensors};
use crate::models::Network;
use crate::report::stats::mean;
use crate::train::report::{Section, SummaryRow};
use crate::train::{Comparison, StudentVariant, TrainConfig};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck demo
  limbeck demo --task detect
  limbeck demo --task text
  limbeck demo --seeds 1 --epochs 4 --out runs/short";

/// Flags of `limbeck demo`.
#[derive(Debug, Args)]
pub struct DemoFlags {
    /// classify: handwritten digits; detect: boxes around shapes that are made up on the spot; text: vectors of 4,000 words
    #[arg(long, value_name = "TASK", default_value = "classify")]
    task: DemoTask,
    /// Where report.html and the students go
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
    /// Seeds of each student [default: 3 for digits, 1 for shapes]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    /// Passes of each student over the training data; the teacher gets twice as many [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000))]
    epochs: Option<u64>,
}

/// What there is a demo of.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DemoTask {
    Classify,
    Detect,
    Text,
}

/// Trains a teacher, then students alone and distilled, and writes the report.
pub fn run(adapter: &AdapterFlags, flags: &DemoFlags) -> Result<ExitCode> {
    let gpu = adapter.open()?;
    say!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver)?;
    match flags.task {
        DemoTask::Classify => digits::run(&gpu, flags)?,
        DemoTask::Detect => shapes::run(&gpu, flags)?,
        DemoTask::Text => words::run(&gpu, flags)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a demo trains.
struct Plan<'a> {
    teacher: &'static str,
    student: &'static str,
    /// By which students learn, besides alone.
    methods: &'static [&'static str],
    /// Of a student; the teacher takes twice as many epochs.
    config: TrainConfig,
    seeds: u64,
    /// What a value is, said behind it.
    value: &'static str,
    /// What the report shows of the last student, besides its figures.
    sections: &'a dyn Fn(&Network) -> Result<Vec<Section>>,
}

/// Trains the teacher, then students alone and by each method; says what they come to and writes the report.
fn compare(demo: &mut Comparison<'_>, plan: &Plan<'_>, out: &Path, start: Instant) -> Result<()> {
    let long = TrainConfig { epochs: plan.config.epochs * 2, ..plan.config.clone() };
    let teacher = demo.teacher(plan.teacher, &long)?;
    announce(demo.report.rows.last(), plan.value)?;
    let seeds: Vec<u64> = (1..=plan.seeds).collect();
    let methods = plan.methods.iter().map(|method| StudentVariant::method(method));
    for variant in std::iter::once(StudentVariant::alone()).chain(methods) {
        let methods = MethodConfig::default();
        let student = demo.student(plan.student, &variant, &teacher, &plan.config, &methods, &seeds)?;
        announce(demo.report.rows.last(), plan.value)?;
        save(&student, out, &variant.label)?;
        demo.report.sections = (plan.sections)(&student)?;
    }
    demo.report.notes.push(format!("The whole demo took {:.0} s.", start.elapsed().as_secs_f64()));
    say!("\n{}", demo.report.text())?;
    let page = out.join("report.html");
    demo.report.write_html(&page)?;
    say!("wrote {} in {:.0} s", page.display(), start.elapsed().as_secs_f64())
}

fn announce(row: Option<&SummaryRow>, what: &str) -> Result<()> {
    if let Some(row) = row {
        let value = 100.0 * mean(&row.values).unwrap_or(0.0);
        say!("{:<14} {value:.1} {what}", row.label)?;
    }
    Ok(())
}

fn save(student: &Network, out: &Path, label: &str) -> Result<()> {
    let name = format!("student-{}.safetensors", label.replace("student ", ""));
    let tensors: Vec<NamedTensor> = student.params.named();
    let stored: Vec<_> = tensors.iter().map(StoredTensor::from).collect();
    write_safetensors(out.join(name), &stored, &Default::default())
}
