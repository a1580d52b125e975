//! Whole networks against PyTorch.

mod common;

use common::fixture::{Fixture, mismatch, path};
use limbeck::gpu::Gpu;
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward, ParamKind};
use limbeck::ops::cross_entropy::CrossEntropy;
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
    fn new(gpu: &Gpu, network: &Network, batch: [usize; 4], taps: &[String]) -> Self {
        let params = DeviceParams::frozen(gpu, &network.name, &network.params).unwrap();
        let tape = Tape::new();
        let images = tape.input("images", batch);
        let fx = Forward::eval(&tape, &params);
        let logits = network.predict(&fx, &images).unwrap();
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
    let mut network = build("resnet20", &ModelConfig::classifier([3, 32, 32], 10)).unwrap();
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

/// n numbers in [0, 1): the `formula` of tests/fixtures/models.py.
fn formula(name: &str, n: usize) -> Vec<f64> {
    let mut crc = flate2::Crc::new();
    crc.update(name.as_bytes());
    let number = |i: usize| {
        let mut x = crc.sum().wrapping_add((i as u32).wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        f64::from((x ^ (x >> 16)) >> 8) / f64::from(1 << 24)
    };
    (0..n).map(number).collect()
}

/// The values of a parameter: `weight_values` there.
fn weight_values(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |u: f64| match shape.len() {
        1 if name.ends_with("weight") => u + 0.5,
        1 => u - 0.5,
        rank => (2.0 * u - 1.0) * ((if rank == 4 { 6.0 } else { 3.0 }) / fan_in as f64).sqrt(),
    };
    formula(name, shape.iter().product()).into_iter().map(|u| value(u) as f32).collect()
}

/// Every n-th element, as the fixture has them.
fn sample(x: &[f32], few: usize) -> Vec<f32> {
    x.iter().copied().step_by((x.len() / few) | 1).collect()
}

/// One entry of the fixture, ready to run.
struct Entry<'a> {
    fixture: &'a Fixture,
    json: &'a Value,
    network: Network,
    batch: [usize; 4],
    images: Vec<f32>,
    failures: Vec<String>,
}

impl<'a> Entry<'a> {
    fn new(fixture: &'a Fixture, json: &'a Value) -> Self {
        let size = |value: &Value| value.as_u64().unwrap() as usize;
        let input = [0, 1, 2].map(|i| size(&json["input"][i]));
        let config = ModelConfig::classifier(input, size(&json["classes"]));
        let mut network = build(json["model"].as_str().unwrap(), &config).unwrap();
        for param in network.params.iter_mut() {
            param.values = match param.kind {
                ParamKind::State => fixture.f32s(&format!("{}/state/{}", network.name, param.name)),
                ParamKind::Weight { .. } => weight_values(&param.name, param.shape.dims()),
            };
        }
        let [c, h, w] = input;
        let batch = [size(&fixture.json["batch"]), c, h, w];
        let images = formula(json["images"].as_str().unwrap(), batch.iter().product());
        let images = images.into_iter().map(|u| (u * 4.0 - 2.0) as f32).collect();
        Self { fixture, json, network, batch, images, failures: Vec::new() }
    }

    fn check(&mut self, key: &str, got: &[f32], few: &str, tol: f64) {
        let few = self.fixture.json[few].as_u64().map_or(usize::MAX, |few| few as usize);
        let key = format!("{}/{key}", self.network.name);
        let words = mismatch(&sample(got, few), &self.fixture.f32s(&key), tol);
        self.failures.extend(words.map(|words| format!("{key}{words}")));
    }

    fn eval(&mut self, gpu: &Gpu) {
        let tol = self.json["tol"].as_f64().unwrap();
        let taps = self.json["taps"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_string());
        let taps: Vec<String> = taps.collect();
        for stage in &self.network.stages {
            assert!(taps.contains(stage), "the fixture has no tap {stage} of {}", self.network.name);
        }
        let eval = Eval::new(gpu, &self.network, self.batch, &taps);
        eval.run(&self.images);
        self.check("logits", &eval.plan.read_f32(&eval.logits).unwrap(), "", tol);
        for (name, tap) in taps.iter().zip(&eval.taps) {
            self.check(&format!("tap/{name}"), &eval.plan.read_f32(tap).unwrap(), "tap_samples", tol);
        }
    }

    fn train(&mut self, gpu: &Gpu) {
        let Some(tol) = self.json["train_tol"].as_f64() else { return };
        let params = DeviceParams::trainable(gpu, "network", &self.network.params).unwrap();
        let tape = Tape::new();
        let images = tape.input("images", self.batch);
        let labels = tape.input_i32("labels", [self.batch[0]]);
        let fx = Forward::train(&tape, &params);
        let logits = self.network.predict(&fx, &images).unwrap();
        let loss = logits.cross_entropy(&labels, &CrossEntropy::default()).unwrap();
        let all = loss.backward().unwrap();
        let leaves: Vec<_> = fx.leaves().into_iter().filter(|(_, leaf)| leaf.requires_grad()).collect();
        let gradients: Vec<&Tensor> = leaves.iter().map(|(_, leaf)| all.get(leaf).unwrap()).collect();
        let mut outputs = vec![&loss];
        outputs.extend(&gradients);
        let plan = Plan::new(gpu, &tape, &outputs).unwrap();
        plan.write(&images, &self.images).unwrap();
        let classes = logits.dims()[1];
        let targets: Vec<i32> = (0..self.batch[0]).map(|row| (row * 7 % classes) as i32).collect();
        plan.write(&labels, &targets).unwrap();
        plan.run(&Step::new(0, 1)).unwrap();
        self.check("loss", &plan.read_f32(&loss).unwrap(), "", tol);
        let weights = self.network.params.iter().filter(|p| p.kind != ParamKind::State).count();
        assert_eq!(leaves.len(), weights, "a parameter of {} is not used", self.network.name);
        for ((id, _), gradient) in leaves.iter().zip(gradients) {
            let key = format!("grad/{}", self.network.params.get(*id).unwrap().name);
            self.check(&key, &plan.read_f32(gradient).unwrap(), "grad_samples", tol);
        }
    }
}

#[test]
fn every_family_computes_what_pytorch_computes() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("models"));
    let mut failures = Vec::new();
    let networks = fixture.json["networks"].as_array().unwrap();
    for json in networks {
        let mut entry = Entry::new(&fixture, json);
        entry.eval(&gpu);
        entry.train(&gpu);
        failures.append(&mut entry.failures);
    }
    assert!(failures.is_empty(), "{} tensors differ:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(networks.len(), 9);
}
