//! `limbeck check`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::gpu::{AdapterRequest, AdapterSummary, Gpu};
use crate::nn::Precision;
use crate::ops::conformance::{self, Summary};
use crate::ops::{OPS, OpSpec};
use crate::report::timestamp;
use crate::{Error, Result, files};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck check
  limbeck check --ops conv2d,pool --backend gl
  limbeck check --precision mixed
  limbeck check --report check.json      # attach the file to a bug report";

/// Flags of `limbeck check`.
#[derive(Debug, Args)]
pub struct CheckFlags {
    /// Only these op files, such as conv2d,pool
    #[arg(long, value_delimiter = ',')]
    ops: Vec<String>,
    /// f32, or mixed: the same cases with every operand and result stored as f16, where the adapter has f16
    #[arg(long, value_name = "KIND", default_value = "f32")]
    precision: Precision,
    /// Write adapter, driver, limits, worst errors and failures as JSON, to attach to a bug report
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// What `--report` writes: all that a maintainer asks for first.
#[derive(Serialize)]
struct CheckReport {
    limbeck_check: u32,
    version: &'static str,
    date: String,
    command: String,
    system: String,
    adapter: String,
    backend: String,
    driver: String,
    tile_engine: String,
    precision: Precision,
    limits: serde_json::Map<String, serde_json::Value>,
    features: serde_json::Map<String, serde_json::Value>,
    conforms: bool,
    ops: Vec<Summary>,
    /// Once more what has variants, with cooperative matrices, where the adapter offers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooperative_matrix: Option<WithMatrices>,
}

/// A second run, on the same adapter with cooperative matrices.
#[derive(Serialize)]
struct WithMatrices {
    /// Those that are used.
    configuration: String,
    ops: Vec<Summary>,
}

/// Runs the cases of one op file.
type Check = fn(&Gpu, &OpSpec, u64) -> Result<Summary>;

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
    let check: Check = match flags.precision {
        Precision::F32 => conformance::check,
        Precision::Mixed => {
            gpu.need_f16()?;
            conformance::check_half
        }
    };
    say!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver)?;
    say!("errors as a share of what is allowed: up to 1 passes\n")?;
    say!("{:<16} {:>6} {:>10} {:>10}", "op file", "cases", "forward", "gradient")?;
    let wanted = |spec: &&&OpSpec| flags.ops.is_empty() || flags.ops.iter().any(|n| n == spec.name);
    let ops = check_all(&gpu, check, OPS.iter().filter(wanted).copied())?;
    let with_matrices = check_matrices(adapter, &gpu, (flags.precision, check), &ops)?;
    let more = with_matrices.iter().flat_map(|with| &with.ops).flat_map(|one| &one.failures);
    let more = more.map(|failure| format!("with cooperative matrices: {failure}"));
    let failures: Vec<String> = ops.iter().flat_map(|one| one.failures.clone()).chain(more).collect();
    for failure in &failures {
        say!("FAILED {failure}")?;
    }
    let conforms = failures.is_empty();
    let count = failures.len();
    say!("\n{}", if conforms { "every op conforms".into() } else { format!("{count} failures") })?;
    if let Some(path) = &flags.report {
        let report = report(adapter, &gpu, flags.precision, (ops, with_matrices))?;
        let text = serde_json::to_string_pretty(&report).map_err(|e| Error::file(path, e))?;
        files::write_atomic(path, |file| file.write_all(text.as_bytes()))?;
        say!("wrote {}", path.display())?;
    }
    Ok(if conforms { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_all<'a>(gpu: &Gpu, check: Check, specs: impl Iterator<Item = &'a OpSpec>) -> Result<Vec<Summary>> {
    let mut all = Vec::new();
    for spec in specs {
        let one = check(gpu, spec, 1)?;
        let gradient = one.gradient.map_or("-".into(), |g| format!("{g:.3}"));
        say!("{:<16} {:>6} {:>10.3} {gradient:>10}", one.name, one.cases, one.forward)?;
        all.push(one);
    }
    Ok(all)
}

/// The op files with variants once more, with cooperative matrices, where the adapter offers them and they were
/// not asked for in the first place.
fn check_matrices(
    adapter: &AdapterFlags,
    gpu: &Gpu,
    (precision, check): (Precision, Check),
    ops: &[Summary],
) -> Result<Option<WithMatrices>> {
    let several = |spec: &&&OpSpec| ops.iter().any(|one| one.name == spec.name && one.variants > 1);
    let specs: Vec<&OpSpec> = OPS.iter().filter(several).copied().collect();
    let offered = summary(adapter, gpu)?.and_then(|summary| summary.matrices);
    // Matrices of f16 alone are used where operands are stored as f16.
    let offered = offered.filter(|matrices| matrices.full.is_some() || precision == Precision::Mixed);
    let Some(matrices) = offered.filter(|_| gpu.caps().matrices.is_none() && !specs.is_empty()) else {
        return Ok(None);
    };
    let configuration = matrices.to_string();
    say!("\nwith cooperative matrices, {configuration}")?;
    let request = AdapterRequest { cooperative_matrix: true, ..adapter.request() };
    let ops = check_all(&Gpu::open_blocking(&request, adapter.options())?, check, specs.into_iter())?;
    Ok(Some(WithMatrices { configuration, ops }))
}

/// What `limbeck adapters` says of the adapter.
fn summary(adapter: &AdapterFlags, gpu: &Gpu) -> Result<Option<AdapterSummary>> {
    let caps = gpu.caps();
    let all = pollster::block_on(adapter.request().list())?;
    Ok(all.into_iter().find(|a| a.name == caps.name && a.backend == caps.backend))
}

/// What both runs found, as it goes to a file.
fn report(
    adapter: &AdapterFlags,
    gpu: &Gpu,
    precision: Precision,
    (ops, cooperative_matrix): (Vec<Summary>, Option<WithMatrices>),
) -> Result<CheckReport> {
    let caps = gpu.caps();
    let with_matrices = cooperative_matrix.iter().flat_map(|with| &with.ops);
    let summary = summary(adapter, gpu)?;
    let summary = summary.as_ref();
    Ok(CheckReport {
        limbeck_check: 1,
        version: env!("CARGO_PKG_VERSION"),
        date: timestamp(SystemTime::now()),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        adapter: caps.name.clone(),
        backend: caps.backend.clone(),
        driver: caps.driver.clone(),
        tile_engine: match caps.matrices {
            Some(matrices) => format!("Matrix of {matrices}, else {:?}", caps.tile),
            None => format!("{:?}", caps.tile),
        },
        precision,
        limits: summary.map(|a| a.limits.iter().map(named).collect()).unwrap_or_default(),
        features: summary.map(|a| a.features.iter().map(named).collect()).unwrap_or_default(),
        conforms: ops.iter().chain(with_matrices).all(|one| one.failures.is_empty()),
        ops,
        cooperative_matrix,
    })
}

fn named<T: Copy + Into<serde_json::Value>>(
    (name, value): &(&'static str, T),
) -> (String, serde_json::Value) {
    (name.to_string(), (*value).into())
}
