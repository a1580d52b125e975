//! limbeck inside an application that owns the GPU: it hands over its `wgpu` device and queue, trains a tiny student
//! on them, and runs it on images that lie in the application's own buffer, without ever blocking.
//!
//! Expected: about 95 % of the held-out digits right after five passes, in a few seconds even on a software adapter.

use std::sync::Arc;

use limbeck::data::{LABELS, Loader, LoaderConfig, PIXELS, digits};
use limbeck::gpu::{Buffer, Gpu, GpuOptions, wgpu};
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::ops::augment::ImageBatch;
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::{Group, Optimizer, OptimizerConfig};
use limbeck::tape::{Meta, Plan, Step, Tape, Tensor};
use limbeck::tasks::{Classify, ClassifyConfig};
use limbeck::train::{TrainConfig, Trainer};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // Any executor will do, also a browser's.
    pollster::block_on(application())
}

async fn application() -> Result<(), Failure> {
    // What an application has anyway: here a device with wgpu's default limits and no features.
    let adapter = wgpu::Instance::default().request_adapter(&Default::default()).await?;
    let (device, queue) = adapter.request_device(&Default::default()).await?;

    let gpu = Gpu::from_device(device.clone(), queue.clone(), GpuOptions::default());
    let (training, held_out) = digits::load(0.2, 0)?;
    let (training, held_out) = (Arc::new(training), Arc::new(held_out));
    let student = build("mlp:32", &ModelConfig::classifier([1, 8, 8], 10))?;
    let params = DeviceParams::trainable(&gpu, "student", &student.params)?;
    let images = ImageBatch::plain([1, 8, 8], &training.mean, &training.std);
    train(&gpu, &student, &params, &images, Loader::new(training.clone(), LoaderConfig::default())?).await?;

    // All held-out images at once, in a buffer of the application's: a camera's or a decoder's output, say.
    let n = held_out.len();
    let pixels = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the application's images"),
        size: (n * 64) as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&pixels, 0, &held_out.pixels);
    let tape = Tape::new();
    let slice = Buffer::wrap(pixels, "images")?.whole();
    let pixels = tape.external("images", Meta::i32([n * 16]), slice, false)?;
    let x = Tensor::image_batch(&pixels, &tape.input_i32("ids", [n]), &images)?;
    let digit = student.predict(&Forward::eval(&tape, &params), &x)?.argmax(1)?;
    let plan = Plan::new(&gpu, &tape, &[&digit])?;
    plan.run(&Step::new(0, 0))?;
    let digits = plan.read_i32_async(&digit).await?;
    let right = digits.iter().zip(&held_out.labels).filter(|(d, label)| **d == **label as i32).count();
    println!(
        "{right} of {n} held-out digits right ({:.1} %); expected about 95 %",
        100.0 * right as f64 / n as f64
    );

    // Or limbeck's own loop, with all that it can do: it gives way to the application wherever it waits for the GPU.
    let mut other = build("mlp:32", &ModelConfig::classifier([1, 8, 8], 10))?;
    let config = TrainConfig { epochs: 5, ..Default::default() };
    let task = Classify::new(&training, ClassifyConfig::default())?;
    let run = Trainer::new(&gpu, task, &config, &training, &held_out).fit_async(&mut other).await?;
    println!("{:.1} % by Trainer::fit_async", 100.0 * run.value());
    Ok(())
}

/// The application's own training loop: it decides when a step runs, one a frame for instance.
async fn train(
    gpu: &Gpu,
    student: &Network,
    params: &DeviceParams,
    images: &ImageBatch,
    loader: Loader,
) -> limbeck::Result<()> {
    let n = loader.config().batch_size;
    let tape = Tape::new();
    let (pixels, labels, ids) =
        (tape.input_i32("pixels", [n * 16]), tape.input_i32("labels", [n]), tape.input_i32("ids", [n]));
    let fx = Forward::train(&tape, params);
    let logits = student.predict(&fx, &Tensor::image_batch(&pixels, &ids, images)?)?;
    let loss = logits.cross_entropy(&labels, &CrossEntropy::default())?;
    fx.place_gradients(&loss.backward()?)?;
    let group = Group::of(params, &tape)?;
    let config = OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
    let optimizer = Optimizer::new(gpu, "optimizer", config, &[group.weights.meta().len()])?;
    let update = optimizer.record(&tape, &[group], None)?;
    let plan = Plan::new(gpu, &tape, &[&loss])?;
    let mut number = 0;
    for epoch in 0..5 {
        for batch in loader.epoch(epoch) {
            let batch = batch?;
            plan.write(&pixels, batch.packed_u8(PIXELS)?)?;
            plan.write(&labels, batch.i32(LABELS)?)?;
            let mut step = Step::new(number, 0);
            update.set_step(&mut step, 0.05, number.into());
            plan.run(&step)?;
            number += 1;
        }
        println!("epoch {}: loss {:.3}", epoch + 1, plan.read_f32_async(&loss).await?[0]);
    }
    Ok(())
}
