//! `limbeck check`

use std::process::ExitCode;

use clap::Args;

use super::AdapterFlags;
use super::out::say;
use crate::ops::{OPS, conformance};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck check
  limbeck check --ops conv2d,pool --backend gl";

/// Flags of `limbeck check`.
#[derive(Debug, Args)]
pub struct CheckFlags {
    /// Only these op files, such as conv2d,pool
    #[arg(long, value_delimiter = ',')]
    ops: Vec<String>,
}

/// Runs the conformance of every op, prints the worst errors by op file, and fails where a case fails.
pub fn run(adapter: &AdapterFlags, flags: &CheckFlags) -> Result<ExitCode> {
    if let Some(unknown) = flags.ops.iter().find(|name| OPS.iter().all(|spec| spec.name != **name)) {
        let known: Vec<&str> = OPS.iter().map(|spec| spec.name).collect();
        return Err(Error::config(
            "--ops",
            format!("no op file \"{unknown}\"; there are {}", known.join(", ")),
        ));
    }
    let gpu = adapter.open()?;
    say!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver)?;
    say!("errors as a share of what is allowed: up to 1 passes\n")?;
    say!("{:<16} {:>6} {:>10} {:>10}", "op file", "cases", "forward", "gradient")?;
    let mut failures = Vec::new();
    for spec in OPS.iter().filter(|spec| flags.ops.is_empty() || flags.ops.iter().any(|n| n == spec.name)) {
        let cases = (spec.cases)();
        let (mut forward, mut gradient) = (0.0f64, None);
        for case in &cases {
            match conformance::run(&gpu, case, 1) {
                Ok(report) => {
                    forward = forward.max(report.forward);
                    gradient = report.gradient.map_or(gradient, |g| Some(g.max(gradient.unwrap_or(0.0))));
                    failures.extend(report.failures.iter().map(|f| format!("{}: {f}", report.label)));
                }
                Err(error) => failures.push(format!("{}: {error}", case.label())),
            }
        }
        let gradient = gradient.map_or("-".into(), |g| format!("{g:.3}"));
        say!("{:<16} {:>6} {forward:>10.3} {gradient:>10}", spec.name, cases.len())?;
    }
    for failure in &failures {
        say!("FAILED {failure}")?;
    }
    say!(
        "\n{}",
        if failures.is_empty() { "every op conforms".into() } else { format!("{} failures", failures.len()) }
    )?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
