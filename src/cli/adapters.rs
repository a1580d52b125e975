//! `limbeck adapters`

use std::process::ExitCode;

use super::out::say;
use crate::Result;
use crate::gpu::{AdapterRequest, Gpu, GpuOptions, adapters};

/// Prints every adapter, best first. Fails where there is none.
pub fn run() -> Result<ExitCode> {
    let all = pollster::block_on(adapters());
    if all.is_empty() {
        // Opening explains what to install.
        Gpu::open_blocking(&AdapterRequest::default(), GpuOptions::default())?;
    }
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
    }
    Ok(ExitCode::SUCCESS)
}
