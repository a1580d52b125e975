//! Every op over shapes that hurt, on the adapter that LIMBECK_BACKEND and LIMBECK_ADAPTER choose: forward against the
//! f64 reference, gradients against finite differences of it. Reused buffers are poisoned with NaN.
//!
//! LIMBECK_OPS=conv2d,pool runs only those op files.

mod common;

use limbeck::ops::{OPS, conformance};

#[test]
fn every_op_matches_its_reference() {
    let only = std::env::var("LIMBECK_OPS").ok();
    let mut failures = Vec::new();
    let mut kernels = std::collections::BTreeSet::new();
    let mut ran = 0;
    for gpu in common::adapters() {
        for spec in OPS {
            if only.as_deref().is_some_and(|names| !names.split(',').any(|n| n == spec.name)) {
                continue;
            }
            for case in (spec.cases)() {
                ran += 1;
                match conformance::run(&gpu, &case, 1) {
                    Ok(report) if report.failures.is_empty() => {}
                    Ok(report) => failures.push(format!(
                        "{gpu:?} {}\n    {}",
                        report.label,
                        report.failures.join("\n    ")
                    )),
                    Err(error) => failures.push(format!("{gpu:?} {}\n    {error}", case.label())),
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
