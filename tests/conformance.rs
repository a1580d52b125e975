//! Every op over shapes that hurt, on the adapter that LIMBECK_BACKEND and LIMBECK_ADAPTER choose: forward against the
//! f64 reference, gradients against finite differences of it; where the adapter has f16, once more with every operand and
//! result stored as f16. Reused buffers are poisoned with NaN.
//!
//! LIMBECK_OPS=conv2d,pool runs only those op files.

mod common;

use limbeck::Result;
use limbeck::gpu::Gpu;
use limbeck::ops::conformance::{self, Report};
use limbeck::ops::{Case, OPS};

/// How a case is run.
type Run = fn(&Gpu, &Case, u64) -> Result<Report>;

/// Each adapter with f32 stored as f32, and as f16 where it has them.
fn runs() -> Vec<(Gpu, &'static str, Run)> {
    let all = common::adapters();
    let mut runs: Vec<(Gpu, &'static str, Run)> = Vec::new();
    runs.extend(all.iter().map(|gpu| (gpu.clone(), "f32", conformance::run as Run)));
    let halves = all.into_iter().filter(|gpu| gpu.caps().f16);
    runs.extend(halves.map(|gpu| (gpu, "f16", conformance::run_half as Run)));
    runs
}

#[test]
fn every_op_matches_its_reference() {
    let only = std::env::var("LIMBECK_OPS").ok();
    let mut failures = Vec::new();
    let mut kernels = std::collections::BTreeSet::new();
    let mut ran = 0;
    for (gpu, storage, run) in runs() {
        for spec in OPS {
            if only.as_deref().is_some_and(|names| !names.split(',').any(|n| n == spec.name)) {
                continue;
            }
            for case in (spec.cases)() {
                ran += 1;
                match run(&gpu, &case, 1) {
                    Ok(report) if report.failures.is_empty() => {}
                    Ok(report) => failures.push(format!(
                        "{gpu:?} {storage} {}\n    {}",
                        report.label,
                        report.failures.join("\n    ")
                    )),
                    Err(error) => failures.push(format!("{gpu:?} {storage} {}\n    {error}", case.label())),
                }
            }
        }
        kernels.extend(gpu.kernel_sources());
    }
    // All the kernels that the cases needed, as they reach the back ends.
    for (entry, source) in &kernels {
        if let Err(message) = common::translate::translate(source, entry) {
            failures.push(format!("kernel {entry} does not translate to {message}"));
        }
    }
    assert!(kernels.len() > 100 || only.is_some(), "only {} kernels were made", kernels.len());
    assert!(ran > 0, "no case ran: LIMBECK_OPS names no op file");
    assert!(failures.is_empty(), "{} of {ran} cases failed:\n{}", failures.len(), failures.join("\n"));
}
