//! `limbeck tune`: measure the variants of kernels ahead, so that later runs take the fastest.

use std::process::ExitCode;

use clap::Args;

use super::workload::WorkloadFlags;
use crate::bench::{Suite, Target, cases};
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::table::Table;
use crate::gpu::{Choice, GpuOptions, Tuning};
use crate::report::stats::mean;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck tune --model resnet20 --dataset-shape 3x32x32   # all products and convolutions of its training step
  limbeck tune --kernels --filter gemm                    # shapes of the bench suite
  limbeck train --model cnn:8,16,32 --tune                # measures what is missing, then trains";

/// Flags of `limbeck tune`.
#[derive(Debug, Args)]
pub struct TuneFlags {
    /// The model whose training step is tuned
    #[arg(long, required_unless_present = "kernels")]
    model: Option<String>,
    #[command(flatten)]
    workload: WorkloadFlags,
    /// Tune the products and layers of the bench suite instead
    #[arg(long, conflicts_with = "model")]
    kernels: bool,
    /// With --kernels: only cases with this in their name, such as gemm or resnet20; may be repeated
    #[arg(long, value_name = "PART", requires = "kernels")]
    filter: Vec<String>,
}

/// Measures what has no choice yet, keeps the choices, and prints those of this adapter.
pub fn run(adapter: &AdapterFlags, flags: &TuneFlags) -> Result<ExitCode> {
    let options = GpuOptions { tuning: Tuning::Measure, ..adapter.options() };
    let target = Target::open(adapter.request(), options)?;
    match &flags.model {
        Some(model) => flags.workload.of(model).step(&target.gpu).map(|_| ())?,
        None => kernels(&target, &flags.filter)?,
    }
    print(&target)?;
    Ok(ExitCode::SUCCESS)
}

/// Compiles the cases of the bench suite, which measures their variants.
fn kernels(target: &Target, filter: &[String]) -> Result<()> {
    let all = cases(Suite::Kernels, target, false)?;
    let wanted = |path: &str| filter.is_empty() || filter.iter().any(|part| path.contains(part.as_str()));
    for case in all.iter().filter(|case| wanted(&case.path())) {
        match case.prepare(target) {
            Ok(_) => {}
            Err(error @ Error::DeviceLost(_)) => return Err(error),
            Err(error) => log::warn!("{} is left out: {error}", case.path()),
        }
    }
    Ok(())
}

fn print(target: &Target) -> Result<()> {
    let tuned = target.gpu.tuned();
    let mut table = Table::new(&["work", "takes", ">ms", "instead of", ">ms", ">faster by"]);
    let choices = tuned.choices();
    for (work, choice) in &choices {
        let other = choice.variant != choice.default;
        table.row([
            work.clone(),
            choice.variant.clone(),
            format!("{:.3}", choice.ms),
            if other { choice.default.clone() } else { String::new() },
            if other { format!("{:.3}", choice.default_ms) } else { String::new() },
            if other { format!("{:.2}x", choice.default_ms / choice.ms) } else { String::new() },
        ]);
    }
    say!("{table}")?;
    let share = |choice: &Choice| 100.0 * choice.ms / choice.default_ms;
    let shares: Vec<f64> = choices.values().map(share).collect();
    if let Some(mean) = mean(&shares) {
        say!("{} choices; the defaults reach {mean:.0} % of the tuned speed on average", shares.len())?;
    }
    match tuned.path() {
        Some(path) => say!("kept in {}; --no-tune goes without them", path.display()),
        None => say!("not kept: set LIMBECK_CACHE to a folder"),
    }
}
