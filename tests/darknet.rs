//! Networks of darknet against OpenCV's importer, and what a written file gives back.

mod common;

use std::path::PathBuf;

use limbeck::models::darknet::Cfg;
use limbeck::models::{Network, Values};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::tape::{Plan, Step, Tape};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/darknet").join(name)
}

/// x[c][y][x] = ((37 c + 17 y + 11 x) mod 256) / 255, as the reference files have it.
fn image([c, h, w]: [usize; 3]) -> Vec<f32> {
    let pixel = |i: usize| (37 * (i / (h * w)) + 17 * (i / w % h) + 11 * (i % w)) % 256;
    (0..c * h * w).map(|i| pixel(i) as f32 / 255.0).collect()
}

/// What each head gives for that image, by its layer.
fn heads(network: &Network, input: [usize; 3]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let (gpu, tape) = (common::gpu(), Tape::new());
    let params = DeviceParams::frozen(&gpu, "network", &network.params).unwrap();
    let [c, h, w] = input;
    let x = tape.input("x", [1, c, h, w]);
    let outputs = network.forward(&Forward::eval(&tape, &params), &Values::images(&x)).unwrap();
    let kept: Vec<_> = outputs.iter().map(|(_, tensor)| tensor).collect();
    let plan = Plan::new(&gpu, &tape, &kept).unwrap();
    plan.write(&x, &image(input)).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    let read = |(name, tensor): (&str, &limbeck::tape::Tensor)| {
        (name.to_string(), tensor.dims().to_vec(), plan.read_f32(tensor).unwrap())
    };
    outputs.iter().map(read).collect()
}

#[test]
fn the_small_network_computes_what_opencv_does() {
    let cfg = Cfg::open(fixture("small.cfg"), None).unwrap();
    let mut network = cfg.network().unwrap();
    let bytes = std::fs::read(fixture("small.weights")).unwrap();
    let loaded = cfg.load_weights("small.weights", &bytes, &mut network).unwrap();
    assert_eq!((loaded.convolutions, loaded.header.seen), (7, 12_800));
    let wanted: Value = serde_json::from_slice(&std::fs::read(fixture("small.json")).unwrap()).unwrap();
    let got = heads(&network, cfg.input());
    assert_eq!(got.len(), 2);
    for (name, shape, values) in got {
        let wanted = &wanted["heads"][&name];
        assert_eq!(serde_json::json!(shape), wanted["shape"], "{name}");
        let wanted: Vec<f64> = serde_json::from_value(wanted["values"].clone()).unwrap();
        let apart = values.iter().zip(&wanted).map(|(got, wanted)| (f64::from(*got) - wanted).abs());
        let worst = apart.fold(0.0, f64::max);
        assert!(worst < 1e-4, "{name}: {worst} apart");
    }
    // All but the count of images, which a network does not keep.
    assert!(cfg.weights(&network).unwrap()[20..] == bytes[20..]);
}
