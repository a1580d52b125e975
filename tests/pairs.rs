//! Vectors that a CPU adapter loads and stores as 64-bit words: the same bits as without, and kernels that also run without.

mod common;

use limbeck::bench::CnnStep;
use limbeck::gpu::{Gpu, GpuOptions};
use limbeck::ops::{OPS, conformance};
use limbeck::tape::Step;

fn unpaired() -> Gpu {
    common::gpu_with(GpuOptions { unpaired: true, ..common::options(None) })
}

/// Losses of a training step that has convolutions, pools, products, softmax and an optimizer.
fn losses(gpu: &Gpu) -> Vec<u32> {
    let cnn = CnnStep::new(gpu, |_| Ok(())).unwrap();
    for tensor in [&cnn.images, &cnn.teacher] {
        let values: Vec<f32> =
            (0..tensor.meta().len()).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.02).collect();
        cnn.plan.write(tensor, &values).unwrap();
    }
    cnn.plan.write(&cnn.labels, &(0..64).map(|i| i % 10).collect::<Vec<i32>>()).unwrap();
    let mut step = Step::new(0, 0);
    let mut losses = Vec::new();
    for number in 0..6 {
        cnn.update.set_step(&mut step, 0.05, number);
        cnn.plan.run(&step).unwrap();
        losses.push(cnn.plan.read_f32(&cnn.loss).unwrap()[0].to_bits());
        step.number += 1;
    }
    losses
}

#[test]
fn training_has_the_same_bits() {
    let (paired, plain) = (common::gpu(), unpaired());
    assert!(!plain.caps().pairs);
    if paired.caps().is_cpu && paired.caps().backend == "vulkan" {
        assert!(paired.caps().pairs, "a software Vulkan adapter has 64-bit integers");
    }
    let [paired, plain] = [losses(&paired), losses(&plain)];
    assert_eq!(paired, plain);
    assert!(paired.windows(2).all(|pair| pair[0] != pair[1]), "it learns: {paired:?}");
}

/// As on a GPU with subgroups of 8: the kernels that work in vectors most.
#[test]
fn kernels_match_their_references_without() {
    let gpu = unpaired();
    let mut failures = Vec::new();
    for spec in OPS.iter().filter(|spec| ["conv2d", "gemm"].contains(&spec.name)) {
        for case in (spec.cases)() {
            let report = conformance::run(&gpu, &case, 1).unwrap();
            failures
                .extend(report.failures.into_iter().map(|failure| format!("{}: {failure}", report.label)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
