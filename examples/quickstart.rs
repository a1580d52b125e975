//! Distillation in one page: a teacher that knows the handwritten digits well, a student with a third of its parameters
//! and only 96 labelled digits, which learns first alone, then also from the teacher's soft targets.
//!
//!     cargo run --example quickstart
//!
//! Expect a teacher near 99 % of the held-out digits, the student alone near 75 %, and distilled some 8 points above
//! that. The teacher is saved: a second run loads it.

use std::path::Path;
use std::sync::Arc;

use limbeck::data::digits;
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::{build, saved};
use limbeck::nn::DeviceParams;
use limbeck::tasks::{Classify, ClassifyConfig, Task};
use limbeck::train::{Teacher, TrainConfig, Trainer};

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let (training, held_out) = digits::load(0.2, 0)?;
    let (few, training, held_out) =
        (Arc::new(training.range(0..96)?), Arc::new(training), Arc::new(held_out));
    let task = Classify::new(&training, ClassifyConfig::default())?;
    let model = task.model_config();

    let file = Path::new("runs/quickstart/teacher.safetensors");
    let teacher = if file.exists() {
        println!("teacher: loaded from {}", file.display());
        saved::open(file, &Default::default())?.network
    } else {
        let mut teacher = build("cnn:16,32", &model)?;
        let config = TrainConfig { epochs: 5, ..Default::default() };
        let run = Trainer::new(&gpu, task.clone(), &config, &training, &held_out).fit(&mut teacher)?;
        println!("teacher: {:.1} % of the held-out digits", 100.0 * run.value());
        let (classes, mean, std) =
            (training.class_names.clone(), training.mean.clone(), training.std.clone());
        saved::save(file, &teacher, &saved::ModelMetadata { classes, mean, std, ..Default::default() })?;
        teacher
    };

    let config = TrainConfig { epochs: 20, batch_size: 32, ..Default::default() };
    let mut student = build("cnn:8,16", &model)?;
    let alone = Trainer::new(&gpu, task.clone(), &config, &few, &held_out).fit(&mut student)?;
    println!("student alone: {:.1} %", 100.0 * alone.value());

    let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params)?;
    let objective = distill::parse("kd", &MethodConfig::default())?;
    let teaching = Teacher::new(&teacher, &frozen, objective);
    let mut student = build("cnn:8,16", &model)?;
    let run = Trainer::new(&gpu, task, &config, &few, &held_out).teacher(teaching).fit(&mut student)?;
    println!("student distilled: {:.1} % (expected: some 8 points more than alone)", 100.0 * run.value());
    Ok(())
}
