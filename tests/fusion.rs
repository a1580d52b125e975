//! Fused forms of frozen networks against the same networks op by op.

mod common;

use limbeck::gpu::{Gpu, GpuOptions};
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward, ParamKind};
use limbeck::ops::conv2d::Conv2d;
use limbeck::rng::Stream;
use limbeck::tape::{DType, Meta, Plan, Step, Tape, Tensor};

/// A network with weights and running statistics that no initialisation gives.
fn network(name: &str, classes: usize, size: usize) -> Network {
    let mut network = build(name, &ModelConfig::classifier([3, size, size], classes)).unwrap();
    network.params.initialise(7);
    for param in network.params.iter_mut() {
        let mut random = Stream::new(11, &param.name);
        for value in &mut param.values {
            *value = match (&param.kind, param.shape.dims().len()) {
                (ParamKind::State, _) if param.name.ends_with("running_var") => {
                    random.uniform(0.3, 2.0) as f32
                }
                (ParamKind::State, _) => random.uniform(-0.3, 0.3) as f32,
                (_, 1) if param.name.ends_with("weight") => random.uniform(0.6, 1.4) as f32,
                (_, 1) => random.uniform(-0.2, 0.2) as f32,
                _ => *value,
            };
        }
    }
    network
}

/// A pass in eval mode: the plan, its input, and what is kept of it.
struct Pass {
    plan: Plan,
    images: Tensor,
    kept: Vec<Tensor>,
}

impl Pass {
    fn new(gpu: &Gpu, network: &Network, batch: usize, taps: &[&str]) -> Self {
        let params = DeviceParams::frozen(gpu, "teacher", &network.params).unwrap();
        let tape = Tape::new();
        let [c, h, w] = network.input().image().unwrap();
        let images = tape.input("images", [batch, c, h, w]);
        let fx = Forward::eval(&tape, &params);
        let mut kept = vec![network.predict(&fx, &images).unwrap()];
        kept.extend(taps.iter().map(|name| fx.tap(name).unwrap()));
        let plan = Plan::new(gpu, &tape, &kept.iter().collect::<Vec<_>>()).unwrap();
        Self { plan, images, kept }
    }

    fn run(&self) -> Vec<Vec<f32>> {
        let mut random = Stream::new(3, "images");
        let values: Vec<f32> = (0..self.images.meta().len()).map(|_| random.normal() as f32).collect();
        self.plan.write(&self.images, &values).unwrap();
        self.plan.run(&Step::new(0, 1)).unwrap();
        self.kept.iter().map(|tensor| self.plan.read_f32(tensor).unwrap()).collect()
    }

    fn nodes(&self) -> usize {
        self.plan.cost().nodes.len()
    }

    /// Names of the nodes that convolve.
    fn convolutions(&self) -> Vec<&str> {
        let names = self.plan.cost().nodes.iter().map(|node| node.name.as_str());
        names.filter(|name| name.contains("conv2d")).collect()
    }
}

/// Largest difference as a share of the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let worst =
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |most, d| if d > most { d } else { most });
    if a.iter().chain(b).all(|v| v.is_finite()) { worst / largest.max(1e-30) } else { f32::INFINITY }
}

fn unfused(gpu: &Gpu) -> Gpu {
    let options = GpuOptions { unfused: true, ..common::options(Some(gpu.caps().tile)) };
    common::gpu_with(options)
}

const FAMILIES: [&str; 8] =
    ["cnn:8,12", "mlp:20,9", "mobilenetv2", "resnet20", "resnet8x4", "vgg8", "wrn:16,1", "resnet:14,5,6,11"];

#[test]
fn every_family_computes_the_same_fused() {
    for gpu in common::adapters().into_iter().filter(|gpu| gpu.caps().backend != "gl") {
        let plain = unfused(&gpu);
        for name in FAMILIES {
            let network = network(name, 10, 16);
            let (fused, plain) = (Pass::new(&gpu, &network, 3, &[]), Pass::new(&plain, &network, 3, &[]));
            assert!(fused.nodes() < plain.nodes(), "{name}: nothing is fused");
            let worst = difference(&plain.run()[0], &fused.run()[0]);
            println!("{name} on {gpu:?}: {worst:.1e}");
            assert!(worst <= 1e-4, "{name} on {gpu:?}: {worst}");
        }
    }
}

#[test]
fn a_deep_teacher_runs_a_convolution_a_layer() {
    let network = network("resnet56", 10, 32);
    // Without the tests' own dispatches.
    let clean = |unfused| common::gpu_with(GpuOptions { unfused, ..Default::default() });
    let fused = Pass::new(&clean(false), &network, 64, &[]);
    let plain = Pass::new(&clean(true), &network, 64, &[]);
    let (few, many) = (fused.plan.cost(), plain.plan.cost());
    println!("dispatches {} of {}", few.dispatches, many.dispatches);
    println!(
        "bytes {} of {}, without sharing {} of {}",
        few.planned_bytes, many.planned_bytes, few.unshared_bytes, many.unshared_bytes
    );
    assert_eq!((fused.convolutions().len(), plain.convolutions().len()), (55, 55));
    // 55 norms, 27 sums and 55 relus are gone.
    assert!(few.dispatches <= many.dispatches - 137);
    // Three tensors of the first stage, whichever way, and a folded bias.
    assert!(few.planned_bytes <= many.planned_bytes + 256);
    assert!(few.unshared_bytes * 5 < many.unshared_bytes * 2);
}

/// Whatever is tapped has the values that it has op by op, and what is not tapped the same bits whatever is. A convolution
/// runs twice only where its own output is tapped, before the norm that is folded into it.
#[test]
fn taps_keep_their_values() {
    let (gpu, network) = (common::gpu(), network("resnet:14,5,6,11", 10, 12));
    let plain = unfused(&gpu);
    let untapped = Pass::new(&gpu, &network, 2, &[]).run().remove(0);
    let all: [&[&str]; 6] = [
        &["layer1", "layer2", "layer3"],
        &["layer1.1.preact", "layer2.0.preact"],
        &["layer1.0.bn2", "layer3.1.bn1"],
        &["layer1.0.conv1", "layer2.0.relu", "layer1.0.conv2"],
        &["conv1", "bn1", "relu", "layer1.0.preact", "layer1.0", "layer1.0.conv2", "layer1.0.bn2"],
        &["avgpool", "layer2.1.bn2", "layer2.1.preact", "layer2.1"],
    ];
    for taps in all {
        let (fused, plain) = (Pass::new(&gpu, &network, 2, taps), Pass::new(&plain, &network, 2, taps));
        let raw = taps.iter().filter(|name| name.contains("conv")).count();
        assert_eq!(fused.convolutions().len(), plain.convolutions().len() + raw, "{taps:?}");
        assert!(fused.nodes() < plain.nodes(), "{taps:?}");
        let names = ["logits"].iter().chain(taps);
        let got = fused.run();
        assert!(got[0] == untapped, "{taps:?}: other bits of the logits");
        for (name, (want, got)) in names.zip(plain.run().iter().zip(&got)) {
            let worst = difference(want, got);
            assert!(worst <= 1e-4, "{name} of {taps:?}: {worst}");
        }
    }
}

/// Nothing is fused that a gradient flows through: by weights, or by the input alone.
#[test]
fn gradients_stop_fusion() {
    let (gpu, network) = (common::gpu(), network("resnet8", 10, 8));
    let params = DeviceParams::trainable(&gpu, "student", &network.params).unwrap();
    let frozen = DeviceParams::frozen(&gpu, "teacher", &network.params).unwrap();
    let fused = |tape: &Tape, logits: &Tensor, gradient: &Tensor| {
        let plan = Plan::new(&gpu, tape, &[logits, gradient]).unwrap();
        plan.cost().nodes.iter().filter(|node| node.name.contains('+')).count()
    };
    let tape = Tape::new();
    let x = tape.input("x", [2, 3, 8, 8]);
    let fx = Forward::new(&tape, &params, limbeck::nn::Mode::Eval, true);
    let logits = network.predict(&fx, &x).unwrap();
    let gradients = logits.square().unwrap().sum(&[0, 1], false).unwrap().backward().unwrap();
    let (_, leaf) = fx.leaves().into_iter().find(|(_, leaf)| leaf.requires_grad()).unwrap();
    assert_eq!(fused(&tape, &logits, gradients.get(&leaf).unwrap()), 0);

    let tape = Tape::new();
    let x = tape.variable("x", [2, 3, 8, 8]);
    let logits = network.predict(&Forward::eval(&tape, &frozen), &x).unwrap();
    let gradients = logits.square().unwrap().sum(&[0, 1], false).unwrap().backward().unwrap();
    assert_eq!(fused(&tape, &logits, gradients.get(&x).unwrap()), 0);
}

/// A relu that is recorded after the weights have changed is one of the convolution by the old weights.
#[test]
fn what_is_overwritten_in_between_stops_fusion() {
    let gpu = common::gpu();
    let meta = Meta { shape: [1, 1, 1, 1].into(), dtype: DType::F32 };
    let weights = gpu.buffer("weights", 16).unwrap();
    for overwritten in [false, true] {
        let tape = Tape::new();
        let w = tape.external("w", meta.clone(), weights.whole(), false).unwrap();
        gpu.write(&weights.whole(), &[3.0f32]).unwrap();
        let x = tape.input("x", [1, 1, 2, 2]);
        let y = x.conv2d(&w, None, Conv2d::default()).unwrap();
        let target = tape.constant([1, 1, 1, 1], &[100.0]).unwrap();
        let share = tape.scalar("share").unwrap();
        if overwritten {
            w.lerp_in_place(&target, share).unwrap();
        }
        let y = y.relu().unwrap();
        let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
        let fused = plan.cost().nodes.iter().any(|node| node.name == "conv2d+activation");
        assert_eq!(fused, !overwritten);
        plan.write(&x, &[1.0f32, -1.0, 2.0, 0.5]).unwrap();
        let mut step = Step::new(0, 1);
        step.set(share, 1.0);
        plan.run(&step).unwrap();
        assert_eq!(plan.read_f32(&y).unwrap(), [3.0, 0.0, 6.0, 1.5]);
    }
}

/// What two ops read is made once.
#[test]
fn a_tensor_with_two_readers_stays() {
    let gpu = common::gpu();
    let tape = Tape::new();
    let (x, w) = (tape.input("x", [1, 2, 3, 3]), tape.input("w", [2, 2, 1, 1]));
    let y = x.conv2d(&w, None, Conv2d::default()).unwrap();
    let (a, b) = (y.relu().unwrap(), y.add(&x).unwrap());
    let names = |outputs: &[&Tensor]| {
        let plan = Plan::new(&gpu, &tape, outputs).unwrap();
        plan.cost().nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[&a, &b]), ["conv2d", "relu", "add"]);
    assert_eq!(names(&[&a]), ["conv2d+activation"]);
    assert_eq!(names(&[&b]), ["conv2d+add"]);
    assert_eq!(names(&[&y, &b]), ["conv2d", "add"]);
    // A sum of a convolution with itself has no other tensor to add.
    let twice = y.add(&y).unwrap();
    assert_eq!(names(&[&twice]), ["conv2d", "add"]);
}
