//! `limbeck adapters`

use std::process::ExitCode;

use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::gpu::AdapterSummary;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck adapters
  limbeck adapters --backend vulkan --power low";

/// Prints the adapters that the flags allow, in the order in which they would be taken. Fails where there is none.
pub fn run(flags: &AdapterFlags) -> Result<ExitCode> {
    let all = pollster::block_on(flags.request().list())?;
    for adapter in &all {
        say!("{} ({}, {})", adapter.name, adapter.backend, adapter.device_type)?;
        say!("    driver: {}", adapter.driver)?;
        for (name, value) in &adapter.limits {
            say!("    {name}: {value}")?;
        }
        let offered = |there: bool| {
            let names: Vec<&str> = adapter.features.iter().filter(|f| f.1 == there).map(|f| f.0).collect();
            if names.is_empty() { "none".to_string() } else { names.join(", ") }
        };
        say!("    features: {}; not offered: {}", offered(true), offered(false))?;
        say!("    cooperative matrices: {}", matrices(adapter))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which of them `--cooperative-matrix` uses, and which there are.
fn matrices(adapter: &AdapterSummary) -> String {
    let all = adapter.matrix_configurations.join(", ");
    match (&adapter.matrices, all.is_empty()) {
        (Some(used), _) => format!("--cooperative-matrix uses {used}; all: {all}"),
        (None, false) => format!("none that limbeck can use; all: {all}"),
        (None, true) => "none".into(),
    }
}
