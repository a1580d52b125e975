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
    let [c, h, w] = network.input().image().unwrap();
    let x = tape.input("images", [images.len() / (c * h * w), c, h, w]);
    let fx = Forward::eval(&tape, &params);
    let logits = network.predict(&fx, &x)?;
    let taps = taps.iter().map(|name| fx.tap(name)).collect::<Result<Vec<_>, _>>()?;
    let mut outputs = vec![&logits];
    outputs.extend(&taps);
    let plan = Plan::new(gpu, &tape, &outputs)?;
    plan.write(&x, images)?;
    plan.run(&Step::new(0, 1))?;
    Ok((plan.read_f32(&logits)?, taps.iter().map(|tap| plan.read_f32(tap)).collect::<Result<_, _>>()?))
}

fn open(folder: &str, name: &str) -> Network {
    onnx::open(path(&format!("{folder}/{name}.onnx")), None).unwrap_or_else(|e| panic!("{e}")).0
}

/// Every model of a fixture against its outputs, and how many there are.
fn check(folder: &str) -> usize {
    let (gpu, fixture) = (common::gpu(), Fixture::load(&format!("{folder}/outputs")));
    let (images, tol) = (fixture.f32s("images"), fixture.json["tol"].as_f64().unwrap());
    let models = fixture.json["models"].as_array().unwrap();
    let mut failures = Vec::new();
    for name in models.iter().map(|name| name.as_str().unwrap()) {
        let network = open(folder, name);
        match run(&gpu, &network, &images, &[]) {
            Ok((logits, _)) => {
                let want = fixture.f32s(name);
                failures.extend(mismatch(&logits, &want, tol).map(|words| format!("{name}{words}")));
                println!("{name}: worst difference {:.1e} of the largest logit", worst(&logits, &want));
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    models.len()
}

fn worst(got: &[f32], want: &[f32]) -> f32 {
    let largest = want.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    got.iter().zip(want).fold(0.0f32, |most, (g, w)| most.max((g - w).abs())) / largest
}

#[test]
fn every_family_computes_what_onnxruntime_computes() {
    assert_eq!(check("onnx"), 19);
}

#[test]
/// Needs `make.py torchvision` of tests/fixtures, and minutes on a software adapter.
#[cfg(feature = "torchvision")]
fn torchvision_computes_what_onnxruntime_computes() {
    assert!(check("local/onnx") > 0);
}

#[test]
fn every_node_is_a_tap_by_its_name_and_by_its_value() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("onnx/outputs"));
    let (network, images) = (open("onnx", "vgg-script-17"), fixture.f32s("images"));
    let names = ["/features/features.1/Relu", "/features/features.1/Relu_output_0"];
    let (_, taps) = run(&gpu, &network, &images, &names).unwrap();
    assert_eq!(taps[0].len(), 3 * 6 * 24 * 24);
    assert_eq!(taps[0], taps[1]);
    assert!(taps[0].iter().any(|v| *v > 0.0) && taps[0].iter().all(|v| *v >= 0.0));
    let message = run(&gpu, &network, &images, &["relu7"]).unwrap_err().to_string();
    assert!(
        message.contains("relu7") && message.contains("/features/features.1/Relu [3, 6, 24, 24]"),
        "{message}"
    );
}

#[test]
fn feature_taps_default_to_the_last_node_of_each_size() {
    let stages = open("onnx", "resnet-script-17").stages;
    assert_eq!(stages.len(), 3, "{stages:?}");
    assert_eq!(stages.last().map(String::as_str), Some("/layer2/Relu"), "{stages:?}");
}

#[test]
fn images_of_another_size_are_refused() {
    let message = onnx::open(path("onnx/vgg-script-17.onnx"), Some([3, 32, 32])).err().unwrap().to_string();
    assert!(message.contains("height 24, not 32") && message.contains("vgg-script-17.onnx"), "{message}");
}
