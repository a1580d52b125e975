//! `limbeck profile`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::workload::WorkloadFlags;
use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::report::stats::median;
use crate::tape::{NodeTiming, Step};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck profile --model cnn:8,16,32 --teacher cnn:32,64,128
  limbeck profile --model resnet20 --dataset-shape 3x32x32 --trace step.json";

/// Flags of `limbeck profile`.
#[derive(Debug, Args)]
pub struct ProfileFlags {
    /// The model that is trained
    #[arg(long, default_value = "cnn:32,64,128")]
    model: String,
    #[command(flatten)]
    workload: WorkloadFlags,
    /// Runs; the table shows medians
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Write a trace of one step for ui.perfetto.dev or chrome://tracing
    #[arg(long)]
    trace: Option<PathBuf>,
}

/// Times a training step on random images, prints it by op, and writes the trace where one is asked for.
pub fn run(adapter: &AdapterFlags, flags: &ProfileFlags) -> Result<ExitCode> {
    let gpu = adapter.open()?;
    say!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver)?;
    let workload = flags.workload.of(&flags.model);
    let train_step = workload.step(&gpu)?;
    let mut step = Step::new(0, 0);
    train_step.run(&workload.batch()?, &mut step, 1e-3)?;
    let repeats = flags.repeats as usize;
    let plan = train_step.plan();
    let nodes = plan.profile(&step, repeats)?;
    let whole = median(&plan.time_steps(&step, repeats)?).unwrap_or(0.0);
    let encoding = median(&plan.time_encoding(&step, repeats)?).unwrap_or(0.0);
    print_table(&nodes)?;
    let cost = plan.cost();
    let clock = if gpu.caps().timestamps { "timestamp queries" } else { "the wall clock" };
    say!(
        "\na step of {} takes {whole:.2} ms in one pass; its {} dispatches take {:.2} ms by {clock}, a pass each",
        flags.model,
        cost.dispatches,
        nodes.iter().map(|n| n.ms).sum::<f64>()
    )?;
    say!(
        "{:.2} GFLOP ({:.1} GFLOP/s), {:.1} MiB of intermediates, {:.0} us of CPU to encode and submit",
        cost.flops as f64 * 1e-9,
        cost.flops as f64 * 1e-6 / whole,
        cost.planned_bytes as f64 / f64::from(1 << 20),
        encoding
    )?;
    if let Some(path) = &flags.trace {
        write_trace(path, gpu.caps().name.as_str(), &nodes)?;
        say!("wrote {}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_table(nodes: &[NodeTiming]) -> Result<()> {
    let total: f64 = nodes.iter().map(|n| n.ms).sum();
    let mut sorted: Vec<&NodeTiming> = nodes.iter().collect();
    sorted.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    let name = sorted.iter().map(|n| n.name.len()).max().unwrap_or(0);
    say!(
        "\n{:>9} {:>6} {:>9} {:>8} {:>7}  {:<name$}  outputs",
        "ms",
        "share",
        "GFLOP/s",
        "GB/s",
        "passes",
        "op"
    )?;
    for node in sorted {
        say!(
            "{:>9.3} {:>5.1}% {:>9.1} {:>8.1} {:>7}  {:<name$}  {}",
            node.ms,
            100.0 * node.ms / total,
            node.flops as f64 * 1e-6 / node.ms,
            node.bytes as f64 * 1e-6 / node.ms,
            node.dispatches.len(),
            node.name,
            node.outputs
        )?;
    }
    Ok(())
}

/// The dispatches one after another in Chrome's trace format, which Perfetto reads too: each with its op, the op's shapes,
/// and the bytes and FLOPs that are its own.
fn write_trace(path: &Path, adapter: &str, nodes: &[NodeTiming]) -> Result<()> {
    let mut events =
        vec![json!({ "ph": "M", "pid": 1, "name": "process_name", "args": { "name": adapter } })];
    let mut at = 0.0;
    for node in nodes {
        for (index, dispatch) in node.dispatches.iter().enumerate() {
            let us = dispatch.ms * 1e3;
            events.push(json!({
                "ph": "X", "pid": 1, "tid": 1, "ts": at, "dur": us, "name": node.name, "cat": dispatch.kernel,
                "args": {
                    "op": node.name, "inputs": node.inputs, "outputs": node.outputs,
                    "bytes": dispatch.bytes, "flops": dispatch.flops,
                    "kernel": dispatch.kernel, "workgroups": dispatch.workgroups,
                    "dispatch": format!("{} of {}", index + 1, node.dispatches.len()),
                },
            }));
            at += us;
        }
    }
    let text = json!({ "displayTimeUnit": "ms", "traceEvents": events }).to_string();
    crate::files::write_atomic(path, |file| file.write_all(text.as_bytes()))
}
