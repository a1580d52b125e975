//! The tile engine for cooperative matrices on any adapter: its kernels reach the back ends that have such
//! matrices, and, with the built-in calls emulated, what it computes is held against the f64 reference. Where
//! the adapter has the matrices themselves, tests/conformance.rs runs the engine on them.

mod common;

use std::collections::BTreeSet;

use limbeck::Result;
use limbeck::gpu::Gpu;
use limbeck::ops::conformance::{self, ConformanceReport};
use limbeck::ops::{Case, OPS};

/// The op files whose ops go through the tile engines.
const TILED: [&str; 4] = ["gemm", "gemm_fused", "conv2d", "conv2d_fused"];

/// How a case is run.
type Run = fn(&Gpu, &Case, u64) -> Result<ConformanceReport>;

/// Variants of each case that run: matrices come first.
const PLACES: usize = 4;

/// Some of an op's cases, evenly: a driver needs minutes to compile an emulated kernel for each of them all.
fn some_cases(op: &str) -> Vec<Case> {
    let cases = OPS.iter().filter(|spec| spec.name == op).flat_map(|spec| (spec.cases)());
    cases.step_by(if op == "gemm" { 3 } else { 9 }).collect()
}

/// Cases of the ops that take the engines, by the first variants: what failed, and the variants of matrices
/// that ran.
fn conform(gpu: &Gpu, run: Run) -> (Vec<String>, BTreeSet<String>) {
    let all: Vec<Case> = TILED.into_iter().flat_map(some_cases).collect();
    let (mut failures, mut ran) = (Vec::new(), BTreeSet::new());
    let (mut left, mut device): (Vec<&Case>, Gpu) = (all.iter().collect(), gpu.clone());
    for place in 1..=PLACES {
        left.retain(|case| match run(&device, case, 1) {
            Ok(report) => {
                failures.extend(
                    report.failures.iter().map(|f| format!("{} ({:?}): {f}", report.label, report.taken)),
                );
                ran.extend(report.taken.into_iter().filter(|name| name.starts_with("matrix")));
                report.variants > place
            }
            Err(error) => {
                failures.push(format!("{}: {error}", case.label()));
                false
            }
        });
        device = common::again(gpu, place);
    }
    (failures, ran)
}

#[test]
fn the_emulated_engine_matches_the_references() {
    let gpu = common::emulated_matrices();
    let mut runs: Vec<(Run, &str)> = vec![(conformance::run, "of f32 8x8")];
    if gpu.caps().f16 {
        runs.push((conformance::run_half, "of f16 16x16"));
    }
    for (run, kind) in runs {
        let (failures, ran) = conform(&gpu, run);
        assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
        let tiles: BTreeSet<&str> = ran.iter().filter_map(|name| name.split(" in ").next()).collect();
        let of_kind = tiles.iter().filter(|name| name.ends_with(kind)).count();
        assert!(of_kind >= 4, "only these tiles ran: {tiles:?}");
        assert!(ran.iter().any(|name| !name.ends_with(" in 1")), "no reduction was split: {ran:?}");
    }
}
