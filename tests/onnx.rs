//! ONNX classifiers against onnxruntime. tests/fixtures/onnxfiles.py makes the files.

mod common;

use common::fixture::{Fixture, mismatch, path};
use limbeck::gpu::Gpu;
use limbeck::models::Network;
use limbeck::models::onnx;
use limbeck::nn::{DeviceParams, Forward};
use limbeck::tape::{Plan, Step, Tape};

/// A pass with these images, and the taps it offers.
fn run(
    gpu: &Gpu,
    network: &Network,
    images: &[f32],
    taps: &[&str],
) -> Result<(Vec<f32>, Vec<Vec<f32>>), limbeck::Error> {
    let params = DeviceParams::frozen(gpu, "teacher", &network.params)?;
    assert!(!params.is_trainable());
    let tape = Tape::new();
    let [c, h, w] = network.input();
    let x = tape.input("images", [images.len() / (c * h * w), c, h, w]);
    let fx = Forward::eval(&tape, &params);
    let logits = network.forward(&fx, &x)?;
    let taps = taps.iter().map(|name| fx.tap(name)).collect::<Result<Vec<_>, _>>()?;
    let mut outputs = vec![&logits];
    outputs.extend(&taps);
    let plan = Plan::new(gpu, &tape, &outputs)?;
    plan.write(&x, images)?;
    plan.run(&Step::new(0, 1))?;
    Ok((plan.read_f32(&logits)?, taps.iter().map(|tap| plan.read_f32(tap)).collect::<Result<_, _>>()?))
}

fn open(name: &str) -> Network {
    onnx::open(path(&format!("onnx/{name}.onnx")), None).unwrap_or_else(|e| panic!("{e}")).0
}

#[test]
fn every_family_computes_what_onnxruntime_computes() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("onnx/outputs"));
    let (images, tol) = (fixture.f32s("images"), fixture.json["tol"].as_f64().unwrap());
    let names: Vec<&str> =
        fixture.json["models"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    assert_eq!(names.len(), 19);
    let mut failures = Vec::new();
    for name in names {
        let network = open(name);
        assert_eq!((network.input(), network.classes()), ([3, 24, 24], 5), "{name}");
        match run(&gpu, &network, &images, &[]) {
            Ok((logits, _)) => {
                failures.extend(
                    mismatch(&logits, &fixture.f32s(name), tol).map(|words| format!("{name}{words}")),
                );
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
