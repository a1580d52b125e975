//! `limbeck demo`: from nothing to a distilled student on the handwritten digits inside the binary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::data::{self, LoadOptions};
use crate::distill::MethodConfig;
use crate::files::{NamedTensor, StoredTensor, write_safetensors};
use crate::models::Network;
use crate::report::stats::mean;
use crate::train::report::SummaryRow;
use crate::train::{Comparison, StudentVariant, TrainConfig};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck demo
  limbeck demo --seeds 1 --epochs 4 --out runs/short";

/// Flags of `limbeck demo`.
#[derive(Debug, Args)]
pub struct DemoFlags {
    /// Where report.html and the students go
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
    /// Seeds of each student
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Passes of each student over the training data; the teacher gets twice as many
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1000))]
    epochs: u64,
}

const TEACHER: &str = "cnn:32,64,128";
const STUDENT: &str = "cnn:4,8,16";

/// Trains a teacher, then students alone and distilled by each family, and writes the report.
pub fn run(adapter: &AdapterFlags, flags: &DemoFlags) -> Result<ExitCode> {
    let start = Instant::now();
    let gpu = adapter.open()?;
    say!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver)?;
    let sets = data::load("digits", None, &LoadOptions::default())?;
    say!("{} training and {} held-out digits of 8x8 pixels", sets.0.len(), sets.1.len())?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let mut demo = Comparison::new(&gpu, sets, "Distilling handwritten digits", command)?;
    demo.report.subtitle = format!(
        "{} training and {} held-out images of the UCI digits; {} epochs per student, {} seeds",
        demo.training().len(),
        demo.validation().len(),
        flags.epochs,
        flags.seeds
    );
    let config = TrainConfig { epochs: flags.epochs, ..Default::default() };
    let teacher = demo.teacher(TEACHER, &TrainConfig { epochs: flags.epochs * 2, ..config.clone() })?;
    announce(demo.report.rows.last())?;
    let seeds: Vec<u64> = (1..=flags.seeds).collect();
    let families = ["kd", "activation", "weights", "feature"].map(StudentVariant::method);
    for variant in std::iter::once(StudentVariant::alone()).chain(families) {
        let student = demo.student(STUDENT, &variant, &teacher, &config, &MethodConfig::default(), &seeds)?;
        announce(demo.report.rows.last())?;
        save(&student, &flags.out, &variant.label)?;
    }
    demo.report.notes.push(format!("The whole demo took {:.0} s.", start.elapsed().as_secs_f64()));
    say!("\n{}", demo.report.text())?;
    let page = flags.out.join("report.html");
    demo.report.write_html(&page)?;
    say!("wrote {} in {:.0} s", page.display(), start.elapsed().as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

fn announce(row: Option<&SummaryRow>) -> Result<()> {
    if let Some(row) = row {
        let right = 100.0 * mean(&row.values).unwrap_or(0.0);
        say!("{:<14} {right:.1} % of the held-out digits are right", row.label)?;
    }
    Ok(())
}

fn save(student: &Network, out: &Path, label: &str) -> Result<()> {
    let name = format!("student-{}.safetensors", label.replace("student ", ""));
    let tensors: Vec<NamedTensor> = student.params.named();
    let stored: Vec<_> = tensors.iter().map(StoredTensor::from).collect();
    write_safetensors(out.join(name), &stored, &Default::default())
}
