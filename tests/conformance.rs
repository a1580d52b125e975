//! Every op over shapes that hurt, on the adapter that LIMBECK_BACKEND and LIMBECK_ADAPTER choose: forward against the
//! f64 reference, gradients against finite differences of it; where the adapter has f16, once more with every operand and
//! result stored as f16. Reused buffers are poisoned with NaN.
//!
//! What has variants runs by each of them. LIMBECK_OPS=conv2d,pool runs only those op files.

mod common;

use limbeck::Result;
use limbeck::gpu::Gpu;
use limbeck::ops::conformance::{self, ConformanceReport};
use limbeck::ops::{Case, OPS};

/// How a case is run.
type Run = fn(&Gpu, &Case, u64) -> Result<ConformanceReport>;

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
    let chosen = |name: &str| only.as_deref().is_none_or(|names| names.split(',').any(|n| n == name));
    let cases: Vec<Case> =
        OPS.iter().filter(|spec| chosen(spec.name)).flat_map(|spec| (spec.cases)()).collect();
    assert!(!cases.is_empty(), "no case ran: LIMBECK_OPS names no op file");
    let mut failures = Vec::new();
    let mut kernels = std::collections::BTreeSet::new();
    let mut ran = 0;
    for (gpu, storage, run) in runs() {
        // First the default of everything; then, of what has variants, the second, the third, and so on.
        let mut left: Vec<&Case> = cases.iter().collect();
        let mut gpu = gpu;
        for place in 1.. {
            ran += left.len();
            left.retain(|case| check(run, &gpu, storage, case, &mut failures) > place);
            kernels.extend(gpu.kernel_sources().expect("kernels that were compiled"));
            // OpenGL runs the kernels that Vulkan ran just before: the defaults are enough.
            if left.is_empty() || gpu.caps().backend == "gl" {
                break;
            }
            gpu = common::again(&gpu, place);
        }
    }
    // All the kernels that the cases needed, as they reach the back ends.
    for (entry, source) in &kernels {
        if let Err(message) = common::translate::translate(source, entry) {
            failures.push(format!("kernel {entry} does not translate to {message}"));
        }
    }
    assert!(kernels.len() > 100 || only.is_some(), "only {} kernels were made", kernels.len());
    assert!(failures.is_empty(), "{} of {ran} cases failed:\n{}", failures.len(), failures.join("\n"));
}

/// Runs a case; gives the number of its variants.
fn check(run: Run, gpu: &Gpu, storage: &str, case: &Case, failures: &mut Vec<String>) -> usize {
    let place = gpu.options().variant.unwrap_or(0);
    match run(gpu, case, 1) {
        Ok(report) => {
            if !report.failures.is_empty() {
                let all = report.failures.join("\n    ");
                failures.push(format!("{gpu:?} {storage} variant {place} {}\n    {all}", report.label));
            }
            report.variants
        }
        Err(error) => {
            failures.push(format!("{gpu:?} {storage} variant {place} {}\n    {error}", case.label()));
            0
        }
    }
}
