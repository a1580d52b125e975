//! Three training steps as PyTorch takes them (tests/fixtures/step.json): forward, cross-entropy and distillation,
//! gradients, batch statistics and SGD with momentum and weight decay, in one plan that is run three times.

mod common;

use common::fixture::{Fixture, mismatch};
use limbeck::files::NamedTensor;
use limbeck::gpu::Gpu;
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::ops::kl_div::KlReduction;
use limbeck::optim::{Group, Optimizer, OptimizerConfig, OptimizerUpdate};
use limbeck::tape::{Plan, Step, Tape, Tensor};

/// The fixture's network is limbeck's `cnn` but for the name of its last layer.
fn fixture_name(limbeck: &str) -> String {
    limbeck.replace("fc.", "linear.")
}

fn network(fixture: &Fixture) -> Network {
    let mut network = build("cnn:4", &ModelConfig::classifier([1, 8, 8], 10)).unwrap();
    let start: Vec<NamedTensor> = network
        .params
        .iter()
        .map(|p| {
            let key = format!("start/{}", fixture_name(&p.name));
            NamedTensor {
                name: p.name.clone(),
                shape: fixture.shape(&key).to_vec(),
                data: fixture.f32s(&key),
            }
        })
        .collect();
    network.params.load(&start).unwrap().strict("the fixture's network").unwrap();
    let entries = ["params", "buffers"].map(|list| fixture.json[list].as_array().unwrap().len());
    assert_eq!(network.params.len(), entries[0] + entries[1]);
    network
}

/// A training step with all that the fixture knows of it.
struct Training {
    plan: Plan,
    update: OptimizerUpdate,
    /// By the fixture's names: `ce`, `kd`, `loss`, `logits`.
    results: Vec<(&'static str, Tensor)>,
    /// By parameter.
    gradients: Vec<(String, Tensor)>,
    // What the plan's bindings point into.
    params: DeviceParams,
    _optimizer: Optimizer,
}

impl Training {
    fn new(gpu: &Gpu, fixture: &Fixture, network: &Network) -> Self {
        let config = |key: &str| fixture.json["config"][key].as_f64().unwrap();
        let (tape, params) = (Tape::new(), DeviceParams::trainable(gpu, "student", &network.params).unwrap());
        let images = tape.input("images", [8, 1, 8, 8]);
        let labels = tape.input_i32("labels", [8]);
        let teacher = tape.input("teacher logits", [8, 10]);
        let fx = Forward::train(&tape, &params);
        let logits = network.predict(&fx, &images).unwrap();
        let ce = logits.cross_entropy(&labels, &CrossEntropy::default()).unwrap();
        let kd = logits.kl_div(&teacher, config("temperature") as f32, KlReduction::BatchMean).unwrap();
        let weighted = |loss: &Tensor, weight: &str| loss.scale(config(weight) as f32).unwrap();
        let loss = weighted(&ce, "ce_weight").add(&weighted(&kd, "kd_weight")).unwrap();

        let all = loss.backward().unwrap();
        fx.place_gradients(&all).unwrap();
        let gradients: Vec<(String, Tensor)> = fx
            .leaves()
            .into_iter()
            .filter(|(_, leaf)| leaf.requires_grad())
            .map(|(id, leaf)| (network.params.get(id).unwrap().name.clone(), all.get(&leaf).unwrap().clone()))
            .collect();
        let group = Group::of(&params, &tape).unwrap();
        let (momentum, weight_decay) = (config("momentum"), config("weight_decay"));
        let sgd = OptimizerConfig::Sgd { momentum, nesterov: false, weight_decay };
        let optimizer = Optimizer::new(gpu, "optimizer", sgd, &[group.weights.shape().len()]).unwrap();
        let update = optimizer.record(&tape, &[group], None).unwrap();
        let results = vec![("ce", ce), ("kd", kd), ("loss", loss), ("logits", logits)];
        let outputs: Vec<&Tensor> =
            results.iter().map(|(_, t)| t).chain(gradients.iter().map(|(_, t)| t)).collect();
        let plan = Plan::new(gpu, &tape, &outputs).unwrap();
        plan.write_bytes(&images, fixture.bytes("images")).unwrap();
        plan.write_bytes(&labels, fixture.bytes("labels")).unwrap();
        plan.write_bytes(&teacher, fixture.bytes("teacher_logits")).unwrap();
        Self { plan, update, results, gradients, params, _optimizer: optimizer }
    }
}

#[test]
fn three_steps_are_pytorchs() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("step"));
    let tol = fixture.json["tol"].as_f64().unwrap();
    let mut network = network(&fixture);
    let training = Training::new(&gpu, &fixture, &network);
    assert_eq!(training.gradients.len(), fixture.json["params"].as_array().unwrap().len());
    let rate = fixture.json["config"]["learning_rate"].as_f64().unwrap();
    let steps = fixture.json["config"]["steps"].as_u64().unwrap() as usize;
    assert_eq!(steps, 3);

    let mut failures = Vec::new();
    let mut check = |place: String, got: &[f32], want: &[f32]| {
        failures.extend(mismatch(got, want, tol).map(|words| format!("{place}{words}")));
    };
    for t in 0..steps {
        let mut step = Step::new(t as u32, 1);
        training.update.set_step(&mut step, rate, t as u64);
        training.plan.run(&step).unwrap();
        let number = t + 1;
        for (name, tensor) in &training.results {
            let all = fixture.f32s(name);
            let len = all.len() / steps;
            let got = training.plan.read_f32(tensor).unwrap();
            check(format!("step {number}: {name}"), &got, &all[t * len..(t + 1) * len]);
        }
        for (name, tensor) in &training.gradients {
            let key = format!("grad{number}/{}", fixture_name(name));
            check(key.clone(), &training.plan.read_f32(tensor).unwrap(), &fixture.f32s(&key));
        }
        training.params.download(&mut network.params).unwrap();
        for param in network.params.iter() {
            let key = format!("after{number}/{}", fixture_name(&param.name));
            check(key.clone(), &param.values, &fixture.f32s(&key));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
