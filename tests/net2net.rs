//! Net2Wider and Net2Deeper preserve the function: before the first step the student's logits are the teacher's, to the
//! rounding of f32.

mod common;

use limbeck::distill::{Layers, Select, Transfer};
use limbeck::gpu::Gpu;
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward, Mode};
use limbeck::rng::Stream;
use limbeck::tape::{Plan, Step, Tape};

const IMAGES: usize = 4;

/// A network as if it had been trained: no running statistic and no BatchNorm parameter has its first value.
fn network(name: &str, input: [usize; 3], seed: u64) -> Network {
    let mut network = build(name, &ModelConfig::classifier(input, 10)).unwrap();
    network.params.initialise(seed);
    let mut random = Stream::new(seed, "statistics");
    for param in network.params.iter_mut().filter(|p| p.shape.rank() == 1) {
        let positive = param.name.ends_with("running_var") || param.name.ends_with("weight");
        let low = if positive { 0.5 } else { -0.5 };
        param.values.iter_mut().for_each(|v| *v = random.uniform(low, 1.5) as f32);
    }
    network
}

fn logits(gpu: &Gpu, network: &Network, mode: Mode) -> Vec<f32> {
    let params = DeviceParams::frozen(gpu, "network", &network.params).unwrap();
    let tape = Tape::new();
    let [c, h, w] = network.input().image().unwrap();
    let images = tape.input("images", [IMAGES, c, h, w]);
    let fx = Forward::new(&tape, &params, mode, false);
    let logits = network.predict(&fx, &images).unwrap();
    let plan = Plan::new(gpu, &tape, &[&logits]).unwrap();
    let mut random = Stream::new(1, "images");
    let pixels: Vec<f32> = (0..IMAGES * c * h * w).map(|_| random.normal() as f32).collect();
    plan.write(&images, &pixels).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    plan.read_f32(&logits).unwrap()
}

/// The largest difference of logits relative to the largest logit.
fn difference(gpu: &Gpu, teacher: &Network, student: &Network, mode: Mode) -> f32 {
    let (theirs, ours) = (logits(gpu, teacher, mode), logits(gpu, student, mode));
    let largest = theirs.iter().fold(0f32, |most, v| most.max(v.abs()));
    assert!(largest > 0.01 && largest.is_finite(), "logits that say nothing: {largest}");
    theirs.iter().zip(&ours).map(|(t, s)| (t - s).abs()).fold(0.0, f32::max) / largest
}

fn grown(teacher: &Network, student: &str, select: Select, layers: Layers) -> Network {
    let mut student = network(student, teacher.input().image().unwrap(), 5);
    Transfer { share: 1.0, select, layers }.apply(&mut student.params, &teacher.params).unwrap();
    student
}

#[test]
fn a_wider_student_computes_what_its_teacher_does() {
    let gpu = common::gpu();
    for (narrow, wide, input) in [
        ("mlp:12,8", "mlp:30,13", [1, 6, 6]),
        ("cnn:3,5", "cnn:8,7", [1, 8, 8]),
        ("resnet:8,4,8,16", "resnet:8,8,16,32", [3, 16, 16]),
        ("resnet_b:8,4,4,8,16", "resnet_b:8,7,7,12,20", [3, 16, 16]),
        ("mobilenetv2:6,20", "mobilenetv2:6,30", [3, 32, 32]),
    ] {
        let teacher = network(narrow, input, 3);
        let student = grown(&teacher, wide, Select::Wider, Layers::Same);
        for mode in [Mode::Eval, Mode::Train] {
            let difference = difference(&gpu, &teacher, &student, mode);
            assert!(difference < 2e-5, "{wide} from {narrow}, {mode:?}: {difference}");
        }
    }
}

#[test]
fn a_deeper_student_computes_what_its_teacher_does() {
    let gpu = common::gpu();
    for (shallow, deep, input) in [
        ("mlp:12,8", "mlp:12,12,12,8,8", [1, 6, 6]),
        ("resnet:8,4,8,16", "resnet:20,4,8,16", [3, 16, 16]),
        ("resnet_b:8,4,4,8,16", "resnet_b:14,4,4,8,16", [3, 16, 16]),
        ("wrn:10,1", "wrn:16,1", [3, 16, 16]),
        ("vgg:8,4,4,6,6,8", "vgg:13,4,4,6,6,8", [3, 16, 16]),
    ] {
        let teacher = network(shallow, input, 3);
        let student = grown(&teacher, deep, Select::L1, Layers::Deeper);
        // An inserted layer without a shortcut is an identity in inference only: batch statistics would normalise again.
        let plain = deep.starts_with("vgg");
        for mode in [Mode::Eval, Mode::Train].into_iter().take(if plain { 1 } else { 2 }) {
            let difference = difference(&gpu, &teacher, &student, mode);
            assert!(difference < 2e-5, "{deep} from {shallow}, {mode:?}: {difference}");
        }
    }
}

#[test]
fn wider_and_deeper_at_once() {
    let gpu = common::gpu();
    let teacher = network("resnet_b:8,4,4,8,16", [3, 16, 16], 3);
    let student = grown(&teacher, "resnet_b:14,6,6,12,24", Select::Wider, Layers::Deeper);
    let difference = difference(&gpu, &teacher, &student, Mode::Eval);
    assert!(difference < 2e-5, "{difference}");
}

/// Copies of a channel get unequal shares: equal ones would get equal gradients for ever.
#[test]
fn copies_of_a_channel_differ_in_what_reads_them() {
    let teacher = network("mlp:4", [1, 2, 2], 3);
    let student = grown(&teacher, "mlp:8", Select::Wider, Layers::Same);
    let (fc, theirs) = (student.params.find("fc.weight").unwrap(), teacher.params.find("fc.weight").unwrap());
    for (pair, weight) in fc.values.chunks(2).zip(&theirs.values) {
        assert!(pair[0] != pair[1], "{pair:?}");
        assert!((pair[0] + pair[1] - weight).abs() < 1e-6, "{pair:?} of {weight}");
    }
}

#[test]
fn what_cannot_be_grown_is_refused_by_name() {
    let teacher = network("cnn:4", [1, 8, 8], 3);
    let mut student = network("cnn:4,4", [1, 8, 8], 5);
    let rule = Transfer { layers: Layers::Deeper, ..Default::default() };
    let message = rule.apply(&mut student.params, &teacher.params).unwrap_err().to_string();
    for part in ["layers=deeper", "conv2.weight [4, 4, 3, 3]", "pooling"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let mut narrow = network("cnn:2", [1, 8, 8], 5);
    let rule = Transfer { select: Select::Wider, ..Default::default() };
    let message = rule.apply(&mut narrow.params, &teacher.params).unwrap_err().to_string();
    for part in ["select=wider", "conv1.weight [2, 1, 3, 3]", "conv1.weight [4, 1, 3, 3]"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}
