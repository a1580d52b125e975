//! A device that the application owns: wgpu's default limits, buffers of the application's as tensors, and trainings that
//! share its thread.

mod common;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::bits::bits;
use common::network::seeded;
use limbeck::Result;
use limbeck::data::{Dataset, LoadOptions, Loader, LoaderConfig, load};
use limbeck::gpu::{Buffer, Gpu, GpuOptions, wgpu};
use limbeck::nn::DeviceParams;
use limbeck::optim::EmaConfig;
use limbeck::tape::{Meta, Plan, Step, Tape};
use limbeck::tasks::{Classify, ClassifyConfig, Measured};
use limbeck::train::{Checkpoints, Evaluator, Run, TrainConfig, Trainer};

fn device() -> (wgpu::Device, wgpu::Queue) {
    pollster::block_on(async {
        let instance = wgpu::Instance::default();
        let adapter = instance.request_adapter(&Default::default()).await.expect("an adapter");
        adapter.request_device(&Default::default()).await.expect("a device")
    })
}

fn buffer(device: &wgpu::Device, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}

#[test]
fn tensors_lie_in_the_applications_buffers() {
    let (device, queue) = device();
    let gpu = Gpu::from_device(device.clone(), queue.clone(), GpuOptions::default());
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let (from, to) = (buffer(&device, 16, usage), buffer(&device, 16, usage));
    queue.write_buffer(&from, 0, bytemuck::cast_slice(&[1.0f32, -2.0, 3.0, -4.0]));

    let tape = Tape::new();
    let x = tape.external("x", Meta::f32([4]), Buffer::wrap(from, "x").unwrap().whole(), false).unwrap();
    let y = x.relu().unwrap();
    let home = Buffer::wrap(to.clone(), "y").unwrap().whole();
    assert!(y.place(home.clone()));
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    assert_eq!(plan.read_f32(&y).unwrap(), [1.0, 0.0, 3.0, 0.0]);
    assert_eq!(pollster::block_on(plan.read_f32_async(&y)).unwrap(), [1.0, 0.0, 3.0, 0.0]);
    assert_eq!(home.buffer.raw(), &to);
}

#[test]
fn unusable_buffers_are_refused() {
    let (device, _) = device();
    for (size, usage) in [(16, wgpu::BufferUsages::UNIFORM), (20, wgpu::BufferUsages::STORAGE)] {
        let message = Buffer::wrap(buffer(&device, size, usage), "frame").unwrap_err().to_string();
        assert!(message.contains("frame") && message.contains("STORAGE"), "{message}");
    }
}

type Turn<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Polls futures in turns on one thread, as an application's event loop does, and counts how often one gave way.
fn in_turns<T>(mut futures: Vec<Turn<'_, T>>) -> (Vec<T>, usize) {
    let mut context = Context::from_waker(Waker::noop());
    let (mut done, mut waits): (Vec<Option<T>>, usize) = (futures.iter().map(|_| None).collect(), 0);
    while done.iter().any(Option::is_none) {
        for (future, result) in futures.iter_mut().zip(&mut done).filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => *result = Some(value),
                Poll::Pending => waits += 1,
            }
        }
    }
    (done.into_iter().flatten().collect(), waits)
}

fn classify(data: &Dataset) -> Classify {
    Classify::new(data, ClassifyConfig::default()).unwrap()
}

/// Everything of a run but its times.
fn measured(run: &Run) -> Vec<[u64; 3]> {
    run.epochs.iter().map(|e| [e.step, e.loss.to_bits(), e.validation.value().to_bits()]).collect()
}

/// Two trainings and an evaluation share a thread and a device; none blocks the others, and each ends in the bits that
/// it has alone.
#[test]
fn trainings_give_way_and_end_in_the_same_bits() {
    let (device, queue) = device();
    let gpu = Gpu::from_device(device, queue, GpuOptions::default());
    let (training, held_out) = load("digits", None, &LoadOptions::default()).unwrap();
    let sample = |data: Dataset, n| Arc::new(data.sample(n, 0).unwrap());
    let (training, held_out) = (sample(training, 320), sample(held_out, 100));
    let configs = [1, 2].map(|seed| TrainConfig {
        epochs: 3,
        batch_size: 32,
        ema: Some(EmaConfig { decay: 0.9, warmup: true }),
        patience: Some(3),
        seed,
        ..Default::default()
    });
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared_device.safetensors");
    let _ = std::fs::remove_file(&path);
    let trainer = |config| Trainer::new(&gpu, classify(&training), config, &training, &held_out);
    let alone = configs.each_ref().map(|config| {
        let mut network = seeded("cnn:3,4", config.seed);
        let run = trainer(config).fit(&mut network).unwrap();
        (network, run)
    });

    let mut students = configs.each_ref().map(|config| seeded("cnn:3,4", config.seed));
    let [first, second] = &mut students;
    let checkpoints = Checkpoints { every_steps: Some(7), ..Checkpoints::at(&path).unwrap() };
    let futures: Vec<Turn<'_, Result<Run>>> = vec![
        Box::pin(trainer(&configs[0]).checkpoints(checkpoints).fit_async(first)),
        Box::pin(trainer(&configs[1]).fit_async(second)),
    ];
    let (runs, waits) = in_turns(futures);
    assert!(waits > 0, "they never gave way");
    for ((student, run), (network_alone, run_alone)) in students.iter().zip(runs).zip(&alone) {
        assert_eq!(bits(student), bits(network_alone));
        assert_eq!(measured(&run.unwrap()), measured(run_alone));
    }
    assert!(path.exists(), "no checkpoint");

    let params = DeviceParams::frozen(&gpu, "student", &students[0].params).unwrap();
    let task = classify(&held_out);
    let mut evaluator = Evaluator::new(&gpu, &task, &students[0], &params, 25, held_out.as_ref()).unwrap();
    let config = LoaderConfig { batch_size: 25, shuffle: false, ..Default::default() };
    let loader = Loader::new(held_out.clone(), config).unwrap();
    let once: Turn<'_, Result<Measured>> = Box::pin(evaluator.measure_async(loader.epoch(0)));
    let (accuracies, waits) = in_turns(vec![once]);
    assert_eq!(accuracies[0].as_ref().unwrap().value(), alone[0].1.value());
    assert!(waits > 0);
}
