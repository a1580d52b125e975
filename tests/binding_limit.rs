//! What one binding does not hold: flat parameters are updated in ranges, other tensors are refused by name.

mod common;

use limbeck::Error;
use limbeck::gpu::{Gpu, GpuOptions, wgpu};
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::{Ema, EmaConfig, Group, Optimizer, OptimizerConfig};
use limbeck::tape::{Plan, Step, Tape, Tensor};

/// The test adapter with storage bindings of at most this many bytes.
fn limited(bytes: u64) -> Gpu {
    let instance = wgpu::Instance::default();
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let limits = wgpu::Limits { max_storage_buffer_binding_size: bytes, ..adapter.limits() };
    let descriptor = wgpu::DeviceDescriptor {
        required_features: adapter.features() & wgpu::Features::SUBGROUP,
        required_limits: limits,
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let gpu = Gpu::from_device(device, queue, GpuOptions::default());
    assert_eq!(gpu.caps().max_binding_bytes, bytes);
    gpu
}

/// Weights, averages and gradient norm after three steps.
fn train(
    gpu: &Gpu,
    network: &Network,
    config: OptimizerConfig,
    clip: Option<f32>,
) -> (Vec<f32>, Vec<f32>, f32) {
    let device = DeviceParams::trainable(gpu, "student", &network.params).unwrap();
    let tape = Tape::new();
    let fx = Forward::train(&tape, &device);
    let [c, h, w] = network.input().image().unwrap();
    let (x, labels) = (tape.input("x", [4, c, h, w]), tape.input_i32("labels", [4]));
    let logits = network.predict(&fx, &x).unwrap();
    let loss = logits.cross_entropy(&labels, &CrossEntropy::default()).unwrap();
    fx.place_gradients(&loss.backward().unwrap()).unwrap();
    let group = Group::of(&device, &tape).unwrap();
    let elements = [group.weights.meta().len()];
    let optimizer = Optimizer::new(gpu, "optimizer", config, &elements).unwrap();
    let ema = Ema::new(gpu, "ema", EmaConfig { decay: 0.5, warmup: false }, &elements).unwrap();
    ema.reset(gpu, &[device.weights()]).unwrap();
    let update = optimizer.record(&tape, std::slice::from_ref(&group), clip).unwrap();
    let average = ema.record(&tape, std::slice::from_ref(&group)).unwrap();
    let plan = Plan::new(gpu, &tape, &[&loss, &update.grad_norm]).unwrap();
    plan.write(&x, &(0..4 * c * h * w).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.02).collect::<Vec<_>>())
        .unwrap();
    plan.write(&labels, &[0, 1, 2, 3]).unwrap();
    for number in 0..3 {
        let mut step = Step::new(number, 0);
        update.set_step(&mut step, 0.05, u64::from(number));
        average.set_step(&mut step, u64::from(number));
        plan.run(&step).unwrap();
    }
    let mut after = network.params.clone();
    device.download(&mut after).unwrap();
    let averages = gpu.read(&ema.slices()[0]).unwrap().wait().unwrap();
    let weights = after.iter().flat_map(|p| p.values.clone()).collect();
    (weights, bytemuck::pod_collect_to_vec(&averages), plan.read_f32(&update.grad_norm).unwrap()[0])
}

#[test]
fn flat_parameters_are_updated_in_ranges() {
    // Every layer fits 64 KiB, all of them do not.
    let mut network = build("mlp:80,90,70,60,50", &ModelConfig::classifier([3, 8, 8], 10)).unwrap();
    network.params.initialise(1);
    let bytes: usize = network.params.trainable_elements() * 4;
    assert!(bytes > 2 * 65_536, "{bytes}");
    let (whole, ranges) = (common::gpu_with(GpuOptions::default()), limited(65_536));
    let sgd = OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 };
    for config in [sgd, OptimizerConfig::adam()] {
        let (a, b) = (train(&whole, &network, config, None), train(&ranges, &network, config, None));
        assert!(a.0.iter().zip(network.params.iter().flat_map(|p| &p.values)).any(|(a, b)| a != b));
        assert!(a.0 == b.0 && a.1 == b.1, "{config:?}: other bits");
        // The norm is a sum of other parts.
        assert!((a.2 - b.2).abs() <= 1e-6 * a.2, "{} and {}", a.2, b.2);
    }
    let (a, b) = (train(&whole, &network, sgd, Some(0.5)), train(&ranges, &network, sgd, Some(0.5)));
    let worst = a.0.iter().zip(&b.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-6, "{worst}");
}

/// 20 x 1000 values are 80,000 bytes.
#[test]
fn element_wise_ops_run_in_ranges() {
    let gpu = limited(65_536);
    let tape = Tape::new();
    let x = tape.input("x", [20, 1000]);
    let y = x.scale(2.0).unwrap().abs().unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    assert_eq!(plan.cost().dispatches, 4);
    let values: Vec<f32> = (0..20_000).map(|i| i as f32 - 9_999.5).collect();
    plan.write(&x, &values).unwrap();
    plan.run(&Step::new(0, 1)).unwrap();
    let want: Vec<f32> = values.iter().map(|v| (2.0 * v).abs()).collect();
    assert_eq!(plan.read_f32(&y).unwrap(), want);
}

#[test]
fn what_is_bound_as_a_whole_is_refused_by_name() {
    let gpu = limited(65_536);
    let tape = Tape::new();
    let (x, w) = (tape.input("images", [300, 100]), tape.input("w", [100, 10]));
    let refused = |tensor: &Tensor| match Plan::new(&gpu, &tape, &[tensor]) {
        Err(error @ Error::Limit { needed: 120_000, limit: 65_536, .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    };
    let message = refused(&tape.scope("head", || x.matmul(&w)).unwrap());
    for part in ["images", "[300, 100]", "head/gemm", "[300, 10]", "120000", "65536", "smaller batch"] {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    let message = refused(
        &tape.scope("head", || w.transpose(0, 1)?.gemm(&tape.input("v", [10, 3000]), true, false)).unwrap(),
    );
    assert!(message.contains("[10, 3000]") && message.contains("head/gemm"), "{message}");
    // A parameter that no kernel could read is refused as it is uploaded.
    let network = build("mlp:300", &ModelConfig::classifier([3, 8, 8], 10)).unwrap();
    let message = DeviceParams::frozen(&gpu, "teacher", &network.params).unwrap_err().to_string();
    assert!(message.contains("weight of teacher") && message.contains("limbeck adapters"), "{message}");
}
