//! Blocks that the backward sweep computes a second time: the same bits, for less memory, in either precision.

mod common;

use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward, Precision};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::{Group, Optimizer, OptimizerConfig};
use limbeck::tape::{Plan, Step, Tape};

const BATCH: usize = 8;

/// Weights and running statistics after three steps, and the bytes of a step's intermediates.
fn train(network: &Network, recompute: bool, precision: Precision) -> (Vec<u32>, u64) {
    let gpu = common::gpu();
    let device = DeviceParams::trainable(&gpu, "student", &network.params).unwrap();
    let tape = Tape::new();
    let fx = Forward::train(&tape, &device).recomputing(recompute).storing(precision);
    let [c, h, w] = network.input().image().unwrap();
    let x = tape.input("x", [BATCH, c, h, w]);
    let labels = tape.input_i32("labels", [BATCH]);
    let logits = network.predict(&fx, &x).unwrap();
    let loss = logits.cross_entropy(&labels, &CrossEntropy::default()).unwrap();
    fx.place_gradients(&loss.backward().unwrap()).unwrap();
    let group = Group::of(&device, &tape).unwrap();
    let sgd = OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    let optimizer = Optimizer::new(&gpu, "sgd", sgd, &[group.weights.meta().len()]).unwrap();
    let update = optimizer.record(&tape, &[group], None).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&loss]).unwrap();
    let pixels: Vec<f32> = (0..BATCH * c * h * w).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.02).collect();
    plan.write(&x, &pixels).unwrap();
    plan.write(&labels, &(0..BATCH as i32).collect::<Vec<_>>()).unwrap();
    for number in 0..3 {
        let mut step = Step::new(number, 0);
        update.set_step(&mut step, 0.05, u64::from(number));
        plan.run(&step).unwrap();
    }
    let mut after = network.params.clone();
    device.download(&mut after).unwrap();
    assert!(
        after.iter().zip(network.params.iter()).any(|(a, b)| a.values != b.values),
        "nothing was trained"
    );
    let bits = after.iter().flat_map(|p| &p.values).map(|v| v.to_bits()).collect();
    (bits, plan.cost().planned_bytes)
}

#[test]
fn the_same_bits_for_less_memory() {
    let config = ModelConfig::classifier([3, 16, 16], 10);
    // The share of the memory that may be left; the deeper a network, the less.
    for (name, most) in
        [("cnn:8,16", 1.0), ("vgg8", 1.0), ("mobilenetv2", 0.7), ("wrn:16,1", 0.8), ("resnet20", 0.6)]
    {
        let mut network = build(name, &config).unwrap();
        network.params.initialise(1);
        let (kept, kept_bytes) = train(&network, false, Precision::F32);
        let (recomputed, bytes) = train(&network, true, Precision::F32);
        assert!(kept == recomputed, "{name}: other bits");
        println!("{name}: {bytes} of {kept_bytes} bytes");
        let share = bytes as f64 / kept_bytes as f64;
        assert!(share <= most, "{name}: {bytes} of {kept_bytes} bytes");
    }
}

#[test]
fn the_same_bits_for_less_memory_in_mixed_precision() {
    let config = ModelConfig::classifier([3, 16, 16], 10);
    // The share of the memory that may be left by recomputing, and by f16 before that: f16 copies of the weights cost some.
    for (name, most, most_half) in [("cnn:8,16", 1.0, 0.6), ("resnet20", 0.6, 0.7)] {
        let mut network = build(name, &config).unwrap();
        network.params.initialise(1);
        let (full, full_bytes) = train(&network, false, Precision::F32);
        let (kept, kept_bytes) = train(&network, false, Precision::Mixed);
        let (recomputed, bytes) = train(&network, true, Precision::Mixed);
        println!("{name}: f32 {full_bytes}, mixed {kept_bytes}, mixed and recomputed {bytes} bytes");
        assert!(kept != full, "{name}: nothing was rounded");
        assert!(kept == recomputed, "{name}: other bits");
        assert!((bytes as f64) <= most * kept_bytes as f64, "{name}: {bytes} of {kept_bytes} bytes");
        assert!(
            (kept_bytes as f64) < most_half * full_bytes as f64,
            "{name}: {kept_bytes} of {full_bytes} bytes"
        );
    }
}
