//! Whole networks against PyTorch.

mod common;

use common::fixture::{Fixture, mismatch, path};
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::tape::{Plan, Step, Tape, Tensor};
use serde_json::Value;

/// A network in eval mode, compiled for one batch.
struct Eval {
    plan: Plan,
    images: Tensor,
    logits: Tensor,
    taps: Vec<Tensor>,
}

impl Eval {
    fn new(gpu: &limbeck::gpu::Gpu, network: &Network, batch: [usize; 4], taps: &[String]) -> Self {
        let params = DeviceParams::frozen(gpu, &network.name, &network.params).unwrap();
        let tape = Tape::new();
        let images = tape.input("images", batch);
        let fx = Forward::eval(&tape, &params);
        let logits = network.forward(&fx, &images).unwrap();
        let taps: Vec<Tensor> = taps.iter().map(|name| fx.tap(name).unwrap()).collect();
        let mut outputs = vec![&logits];
        outputs.extend(&taps);
        let plan = Plan::new(gpu, &tape, &outputs).unwrap();
        Self { plan, images, logits, taps }
    }

    fn run(&self, images: &[f32]) {
        self.plan.write(&self.images, images).unwrap();
        self.plan.run(&Step::new(0, 1)).unwrap();
    }
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn resnet20_computes_what_pytorch_computes() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("resnet20"));
    let tol = fixture.json["tol"].as_f64().unwrap();
    let mut network = build("resnet20", &ModelConfig { input: [3, 32, 32], classes: 10 }).unwrap();
    let (weights, _) =
        limbeck::files::read_safetensors(path(fixture.json["weights"].as_str().unwrap())).unwrap();
    network.params.load(&weights).unwrap().strict("resnet20").unwrap();

    let (mean, std) = (floats(&fixture.json["mean"]), floats(&fixture.json["std"]));
    let pixels = fixture.bytes("images").iter().enumerate();
    let images: Vec<f32> = pixels
        .map(|(i, &x)| {
            let c = i / (32 * 32) % 3;
            (f32::from(x) / 255.0 - mean[c]) / std[c]
        })
        .collect();
    let stages = network.stages.clone();
    assert_eq!(stages, ["layer1", "layer2", "layer3"]);
    let eval = Eval::new(&gpu, &network, [32, 3, 32, 32], &stages);
    eval.run(&images);

    let mut failures = Vec::new();
    let mut check = |place: &str, got: &[f32], want: &[f32]| {
        failures.extend(mismatch(got, want, tol).map(|m| format!("{place} {m}")));
    };
    check("logits", &eval.plan.read_f32(&eval.logits).unwrap(), &fixture.f32s("logits"));
    for (name, tap) in stages.iter().zip(&eval.taps) {
        let want = fixture.f32s(fixture.json["features"][name].as_str().unwrap());
        // The fixture has the features of the first images only.
        check(name, &eval.plan.read_f32(tap).unwrap()[..want.len()], &want);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
