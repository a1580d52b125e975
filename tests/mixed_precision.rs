//! Mixed precision: which tensors are f16, what becomes of too large numbers, the loss scale against PyTorch's, steps
//! that overflow, and a training that ends where f32 does.

mod common;

use std::sync::Arc;

use common::fixture;
use common::network::network;
use limbeck::data::{Dataset, LoadOptions, Loader, LoaderConfig, load};
use limbeck::gpu::{Buffer, Gpu, GpuOptions, wgpu};
use limbeck::models::Network;
use limbeck::nn::{DeviceParams, ParamKind, Precision};
use limbeck::ops::loss_scale::UpdateLossScale;
use limbeck::optim::{Group, LossScale, LossScaleConfig, Optimizer, OptimizerConfig};
use limbeck::tape::{Meta, Plan, Step, Tape, Tensor};
use limbeck::train::{Run, StepConfig, Teacher, TrainConfig, TrainStep, Trainer};
use pollster::block_on;

fn relus(tape: &Tape, x: &Tensor) -> Tensor {
    tape.half(|| x.relu().unwrap().relu().unwrap().relu().unwrap())
}

/// Intermediates and their gradients take half the bytes; what is kept, and what is small, does not.
#[test]
fn intermediates_and_their_gradients_are_f16() {
    let gpu = common::gpu();
    let bytes = |half: bool, side: usize| {
        let tape = Tape::new();
        let x = tape.variable("x", [side, side]);
        let y =
            tape.half_if(half, || x.relu().unwrap().scale(2.0).unwrap().relu().unwrap().scale(3.0).unwrap());
        let loss = y.sum(&[0, 1], false).unwrap().reshape([1]).unwrap();
        let gradients = loss.backward().unwrap();
        let plan = Plan::new(&gpu, &tape, &[gradients.get(&x).unwrap()]).unwrap();
        plan.cost().clone()
    };
    let (full, half) = (bytes(false, 64), bytes(true, 64));
    let kept = 64 * 64 * 4;
    println!("{} {} of {}", kept, half.unshared_bytes, full.unshared_bytes);
    assert!(half.unshared_bytes - kept < (full.unshared_bytes - kept) * 6 / 10, "{half:?}\n{full:?}");
    assert_eq!(bytes(false, 15).unshared_bytes, bytes(true, 15).unshared_bytes, "below 256 elements");
}

#[test]
fn values_are_rounded_and_too_large_ones_are_infinite() {
    let gpu = common::gpu();
    let tape = Tape::new();
    let x = tape.input("x", [16, 16]);
    let y = relus(&tape, &x).copy().unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    // 1 + 2^-11 and 1 + 3 * 2^-11 lie between two f16: the even one is taken.
    let mut values = vec![0.0f32; 256];
    let given = [1.0, 1.0 + 1.0 / 2048.0, 1.0 + 3.0 / 2048.0, 65504.0, 1e5, 1e30, 6e-8, 1e-9];
    values[..8].copy_from_slice(&given);
    plan.write(&x, &values).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    let want = [1.0, 1.0, 1.0 + 2.0 / 1024.0, 65504.0, f32::INFINITY, f32::INFINITY, 1.0 / 16_777_216.0, 0.0];
    assert_eq!(plan.read_f32(&y).unwrap()[..8], want);
    // The copy between is what is infinite first, and f16.
    let place = block_on(plan.first_non_finite(&Step::new(0, 0))).unwrap().unwrap();
    assert!(place.starts_with("relu"), "{place}");
}

/// An adapter without f16 says so, and what to do.
#[test]
fn a_device_without_f16_is_refused_by_name() {
    let (device, queue) = block_on(async {
        let adapter = wgpu::Instance::default().request_adapter(&Default::default()).await.unwrap();
        // No feature is asked for.
        adapter.request_device(&Default::default()).await.unwrap()
    });
    let gpu = Gpu::from_device(device, queue, GpuOptions::default());
    let tape = Tape::new();
    let y = relus(&tape, &tape.input("x", [16, 16]));
    let kept = y.copy().unwrap();
    let message = Plan::new(&gpu, &tape, &[&kept]).map(drop).unwrap_err().to_string();
    for part in [gpu.caps().name.as_str(), "SHADER_F16", "`precision = f32`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

/// A weight with plain SGD on gradients that the test writes.
struct Scaled {
    gpu: Gpu,
    weights: Buffer,
    gradients: Buffer,
    scale: LossScale,
    plan: Plan,
    step: Step,
}

const WEIGHTS: usize = 64;

impl Scaled {
    fn new(config: LossScaleConfig, learning_rate: f64) -> Self {
        let gpu = common::gpu();
        let tape = Tape::new();
        let buffer = |name: &str| gpu.buffer(name, 4 * WEIGHTS as u64).unwrap();
        let (weights, gradients) = (buffer("weights"), buffer("gradients"));
        gpu.write(&weights.whole(), &[1.0f32; WEIGHTS]).unwrap();
        let flat = |name: &str, buffer: &Buffer| {
            tape.external(name, Meta::f32([WEIGHTS]), buffer.whole(), false).unwrap()
        };
        let group = Group {
            weights: flat("weights", &weights),
            gradients: flat("gradients", &gradients),
            decay_mask: tape.constant([1], &[1.0]).unwrap(),
            extents: tape.input_i32("extents", [1]),
        };
        let extents = group.extents.clone();
        let scale = LossScale::new(&gpu, config).unwrap();
        let on_tape = scale.scale(&tape).unwrap();
        group.gradients.unscale_in_place(&on_tape).unwrap();
        let sgd = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let optimizer = Optimizer::new(&gpu, "sgd", sgd, &[WEIGHTS]).unwrap();
        let update = optimizer.record(&tape, &[group], None).unwrap();
        scale.update(&tape, &on_tape, &[&update.grad_norm]).unwrap();
        let plan = Plan::new(&gpu, &tape, &[&update.grad_norm]).unwrap();
        plan.write(&extents, &[WEIGHTS as i32]).unwrap();
        let mut step = Step::new(0, 0);
        update.set_step(&mut step, learning_rate, 0);
        Self { gpu, weights, gradients, scale, plan, step }
    }

    /// One step on the scaled gradient; the weights after it.
    fn step(&self, gradient: f32) -> Vec<f32> {
        self.gpu.write(&self.gradients.whole(), &[gradient; WEIGHTS]).unwrap();
        self.plan.run(&self.step).unwrap();
        bytemuck::pod_collect_to_vec(&self.gpu.read(&self.weights.whole()).unwrap().wait().unwrap())
    }
}

#[test]
fn the_loss_scale_moves_as_pytorchs() {
    let text = std::fs::read_to_string(fixture::path("grad_scaler.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for case in json["cases"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let rule = UpdateLossScale {
            growth: number("growth_factor") as f32,
            backoff: number("backoff_factor") as f32,
            interval: number("growth_interval") as u32,
        };
        let config = LossScaleConfig { initial: number("init_scale") as f32, rule };
        let scaled = Scaled::new(config, json["learning_rate"].as_f64().unwrap());
        let mut skipped = 0;
        for (t, overflow) in case["overflows"].as_array().unwrap().iter().enumerate() {
            let overflow = overflow == 1;
            skipped += u64::from(overflow);
            let scale = block_on(scaled.scale.read()).unwrap().scale as f32;
            let gradient = if overflow { f32::INFINITY } else { scale * 0.5f32.powi((t % 4) as i32) };
            let weights = scaled.step(gradient);
            let state = block_on(scaled.scale.read()).unwrap();
            let at = |name: &str| case[name][t].as_f64().unwrap();
            assert_eq!(state.scale, at("scale"), "scale after step {t}");
            assert_eq!(state.good_steps as f64, at("good_steps"), "good steps after step {t}");
            assert_eq!(state.skipped_steps, skipped, "skipped steps after step {t}");
            for weight in weights {
                assert!((f64::from(weight) - at("weights")).abs() < 1e-6, "{weight} after step {t}");
            }
        }
    }
}

struct Digits {
    gpu: Gpu,
    training: Arc<Dataset>,
    held_out: Arc<Dataset>,
}

impl Digits {
    fn new() -> Self {
        let (training, held_out) = load("digits", None, &LoadOptions::default()).unwrap();
        Self { gpu: common::gpu(), training: Arc::new(training), held_out: Arc::new(held_out) }
    }

    fn step(&self, network: &Network, params: &DeviceParams, loss_scale: LossScaleConfig) -> TrainStep {
        let train = TrainConfig {
            batch_size: 32,
            optimizer: OptimizerConfig::sgd(0.9),
            precision: Precision::Mixed,
            ..Default::default()
        };
        let task = common::classify(&self.training);
        let config = StepConfig::new(&task, self.training.as_ref(), &train, 10);
        let config = StepConfig { loss_scale, ..config };
        TrainStep::new(&self.gpu, network, params, None::<Teacher<'_>>, &config).unwrap()
    }

    /// What a step trains, to the bit: weights and momentum.
    fn trained(&self, step: &TrainStep, network: &Network, params: &DeviceParams) -> Vec<Vec<u32>> {
        let mut now = network.params.clone();
        params.download(&mut now).unwrap();
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect();
        let weights = now.iter().filter(|p| p.kind != ParamKind::State).map(|p| bits(&p.values));
        let slices = step.state().into_iter().filter(|(name, _)| name.starts_with("optimizer"));
        let states = slices.map(|(_, slice)| {
            bits(&bytemuck::pod_collect_to_vec::<u8, f32>(&self.gpu.read(&slice).unwrap().wait().unwrap()))
        });
        weights.chain(states).collect()
    }

    fn fit(&self, precision: Precision) -> Run {
        let config =
            TrainConfig { epochs: 6, batch_size: 32, learning_rate: 0.05, precision, ..Default::default() };
        let mut student = network("cnn:8,16");
        student.params.initialise(1);
        Trainer::new(&self.gpu, common::classify(&self.training), &config, &self.training, &self.held_out)
            .fit(&mut student)
            .unwrap()
    }
}

#[test]
fn a_step_that_overflows_changes_no_weight_and_is_counted() {
    let digits = Digits::new();
    let mut network = network("cnn:8,16");
    network.params.initialise(3);
    let params = DeviceParams::trainable(&digits.gpu, "student", &network.params).unwrap();
    // Gradients of a millionth and more of the loss are infinite as f16; four times less, and they are not.
    let rule = UpdateLossScale { interval: 2, ..Default::default() };
    let config = LossScaleConfig { initial: 2f32.powi(40), rule };
    let train = digits.step(&network, &params, config);
    let loader = LoaderConfig { batch_size: 32, drop_last: true, ..Default::default() };
    let batches: Vec<_> =
        Loader::new(digits.training.clone(), loader).unwrap().epoch(0).take(1).map(Result::unwrap).collect();
    let mut step = Step::new(0, 0);
    let mut before = digits.trained(&train, &network, &params);
    let (mut scale, mut good, mut grown, mut skipped) = (f64::from(config.initial), 0, 0, 0);
    for number in 0..60 {
        step.number = number;
        train.run(&batches[0], &mut step, 0.01).unwrap();
        let after = digits.trained(&train, &network, &params);
        let state = block_on(train.loss_scale()).unwrap().unwrap();
        assert!(block_on(train.is_finite()).unwrap(), "a skipped step is no failure");
        if state.skipped_steps > skipped {
            skipped += 1;
            assert_eq!(state.scale, scale / 2.0, "step {number}");
            assert!(after == before, "step {number} changed a weight or a momentum");
            good = 0;
        } else {
            good += 1;
            let grows = good % 2 == 0;
            grown += u32::from(grows);
            assert_eq!(state.scale, scale * if grows { 2.0 } else { 1.0 }, "step {number}");
            assert!(after != before, "step {number} changed nothing");
        }
        (before, scale) = (after, state.scale);
    }
    println!("{skipped} of 60 steps skipped, scale {scale}");
    assert!((5..40).contains(&skipped) && grown > 3, "{skipped} skipped, grown {grown} times");
}

#[test]
fn training_ends_where_f32_does() {
    let digits = Digits::new();
    let (full, mixed) = (digits.fit(Precision::F32), digits.fit(Precision::Mixed));
    println!("f32 {:.4}, mixed {:.4}", full.value(), mixed.value());
    println!("{:?}", mixed.loss_scale_note());
    let loss = |run: &Run| run.epochs.last().unwrap().loss;
    assert!(full.value() > 0.9 && (full.value() - mixed.value()).abs() < 0.02);
    assert!((loss(&full) - loss(&mixed)).abs() < 0.1 * loss(&full), "{} and {}", loss(&full), loss(&mixed));
    assert!(loss(&full) != loss(&mixed), "nothing was rounded");
    assert!(full.loss_scale_note().is_none());
    assert!(mixed.loss_scale_note().unwrap().contains("steps skipped"));
    assert!(mixed.epochs.iter().all(|e| e.loss_scale.is_some()));
}
