//! Weight-based distillation: the student starts from the teacher's strongest channels instead of random numbers, and
//! may be pulled toward them while it trains (L2-SP, Li et al. 1802.01483).
//!
//! The teacher learned from 1,437 digits; the student has half of its channels and 96 of its digits. Those channels
//! alone guess (about 10 %), as random weights do, but they are a better start. Expect, as means of three students:
//! about 76 % trained alone, 85 % with soft targets, and 90 % with soft targets from the teacher's weights. The pull
//! changes little here. Another adapter's rounding may move a number a little.

use std::sync::Arc;

use limbeck::data::{Dataset, Loader, LoaderConfig, digits};
use limbeck::distill::{self, MethodConfig, Transfer};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::{Network, build};
use limbeck::nn::DeviceParams;
use limbeck::tasks::{Classify, ClassifyConfig, Task};
use limbeck::train::stats::mean;
use limbeck::train::{Evaluator, Teacher, TrainConfig, Trainer};

const SEEDS: [u64; 3] = [1, 2, 3];

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let (training, held_out) = digits::load(0.2, 0)?;
    let (few, training, held_out) =
        (Arc::new(training.range(0..96)?), Arc::new(training), Arc::new(held_out));
    let task = Classify::new(&training, ClassifyConfig::default())?;
    let model = task.model_config();

    let mut teacher = build("cnn:16,32", &model)?;
    let config = TrainConfig { epochs: 5, ..Default::default() };
    let run = Trainer::new(&gpu, task.clone(), &config, &training, &held_out).fit(&mut teacher)?;
    println!("teacher                     {:.1} % of the held-out digits", 100.0 * run.value());
    let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params)?;

    let mut student = build("cnn:8,16", &model)?;
    println!("untrained, random weights   {:.1} %", accuracy(&gpu, &student, &held_out)?);
    Transfer::default().apply(&mut student.params, &teacher.params)?;
    println!("untrained, the teacher's    {:.1} %", accuracy(&gpu, &student, &held_out)?);

    let settings =
        |transfer: f32, pull: f32| MethodConfig::default().with("transfer", transfer).with("pull", pull);
    let variants = [
        ("trained alone", None),
        ("soft targets", Some(settings(0.0, 0.0))),
        ("and the teacher's weights", Some(settings(1.0, 0.0))),
        ("and a pull toward them", Some(settings(1.0, 0.01))),
    ];
    for (label, settings) in variants {
        let mut accuracies = Vec::new();
        for seed in SEEDS {
            student.params.initialise(seed);
            let config = TrainConfig { epochs: 20, batch_size: 32, seed, ..Default::default() };
            let teaching = match &settings {
                None => None,
                Some(settings) => {
                    let objective = distill::parse("weights", settings)?;
                    Some(Teacher::new(&teacher, &frozen, objective))
                }
            };
            let run = Trainer::new(&gpu, task.clone(), &config, &few, &held_out)
                .teacher(teaching)
                .fit(&mut student)?;
            accuracies.push(100.0 * run.value());
        }
        println!("{label:<27} {:.1} %, mean of {:.1?}", mean(&accuracies).unwrap_or(0.0), accuracies);
    }
    println!("expected: about 76, 85, 90 and 90 %");
    Ok(())
}

/// Percent of the held-out digits that are right.
fn accuracy(gpu: &Gpu, network: &Network, held_out: &Arc<Dataset>) -> limbeck::Result<f64> {
    let params = DeviceParams::frozen(gpu, "student", &network.params)?;
    let loader = Loader::new(held_out.clone(), LoaderConfig { shuffle: false, ..Default::default() })?;
    let task = Classify::new(held_out, ClassifyConfig::default())?;
    let mut evaluator =
        Evaluator::new(gpu, &task, network, &params, loader.config().batch_size, held_out.as_ref())?;
    Ok(100.0 * evaluator.measure(loader.epoch(0))?.value())
}
