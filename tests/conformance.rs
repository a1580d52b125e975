//! Every op over shapes that hurt, on the adapter that LIMBECK_BACKEND and LIMBECK_ADAPTER choose: forward against the
//! f64 reference, gradients against finite differences of it; where the adapter has f16, once more with every operand and
//! result stored as f16. Reused buffers are poisoned with NaN.
//!
//! LIMBECK_OPS=conv2d,pool runs only those op files.

mod common;

use limbeck::gpu::Gpu;
use limbeck::ops::OPS;
use limbeck::ops::conformance::{self, Stored};

/// Each adapter with f32 stored as f32, and as f16 where it has them.
fn storages() -> Vec<(Gpu, Stored)> {
    let all = common::adapters();
    let halves: Vec<_> = all.iter().filter(|gpu| gpu.caps().f16).map(|g| (g.clone(), Stored::Half)).collect();
    all.into_iter().map(|gpu| (gpu, Stored::Full)).chain(halves).collect()
}

#[test]
fn every_op_matches_its_reference() {
    let only = std::env::var("LIMBECK_OPS").ok();
    let mut failures = Vec::new();
    let mut kernels = std::collections::BTreeSet::new();
    let mut ran = 0;
    for (gpu, stored) in storages() {
        for spec in OPS {
            if only.as_deref().is_some_and(|names| !names.split(',').any(|n| n == spec.name)) {
                continue;
            }
            for case in (spec.cases)() {
                ran += 1;
                match conformance::run_stored(&gpu, &case, 1, stored) {
                    Ok(report) if report.failures.is_empty() => {}
                    Ok(report) => failures.push(format!(
                        "{gpu:?} {stored:?} {}\n    {}",
                        report.label,
                        report.failures.join("\n    ")
                    )),
                    Err(error) => failures.push(format!("{gpu:?} {stored:?} {}\n    {error}", case.label())),
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
