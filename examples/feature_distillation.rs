//! Feature-based distillation: beside its own cross-entropy the student matches the teacher's features at a named layer,
//! through a learned regressor because it is narrower (FitNets, Romero et al. 1412.6550).
//!
//! The teacher learned from 1,437 digits; the student has 96 of them. Expect, as means of three students: about 73 %
//! alone, 75 % with a weight of 1, and 79 % with 5. The weight matters: with 10 it falls to about 55 %. Another adapter's
//! rounding may move a number a little.

use std::sync::Arc;

use limbeck::data::digits;
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::build;
use limbeck::nn::{DeviceParams, Forward};
use limbeck::tape::Tape;
use limbeck::tasks::{Classify, ClassifyConfig, Task};
use limbeck::train::stats::mean;
use limbeck::train::{Teacher, TrainConfig, Trainer};

const SEEDS: [u64; 3] = [1, 2, 3];

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let (training, held_out) = digits::load(0.2, 0)?;
    let (few, training, held_out) =
        (Arc::new(training.range(0..96)?), Arc::new(training), Arc::new(held_out));
    let task = Classify::new(&training, ClassifyConfig::default())?;
    let model = task.model_config();

    let mut teacher = build("mlp:128,64", &model)?;
    let config = TrainConfig { epochs: 8, batch_size: 32, ..Default::default() };
    let run = Trainer::new(&gpu, task.clone(), &config, &training, &held_out).fit(&mut teacher)?;
    println!("teacher: {:.1} % of the held-out digits", 100.0 * run.value());
    let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params)?;

    // Every layer is a tap; recording a pass, without running it, lists them.
    let tape = Tape::new();
    let fx = Forward::eval(&tape, &frozen);
    teacher.predict(&fx, &tape.input("images", [1, 1, 8, 8]))?;
    let taps: Vec<String> = fx.taps().iter().map(|t| format!("{} {}", t.name, t.tensor.shape())).collect();
    println!("the teacher's taps: {}", taps.join(", "));

    for weight in [0.0, 1.0, 5.0] {
        let mut accuracies = Vec::new();
        for seed in SEEDS {
            let mut student = build("mlp:64,32", &model)?;
            student.params.initialise(seed);
            let objective = distill::parse(&format!("feature:{weight}"), &MethodConfig::default())?;
            // The teacher's layer, then the student's that is to resemble it.
            let taps = vec![("relu2".to_string(), "relu2".to_string())];
            let config = TrainConfig { epochs: 20, batch_size: 32, seed, ..Default::default() };
            let teaching = Teacher::new(&teacher, &frozen, objective).with_taps(taps);
            let run = Trainer::new(&gpu, task.clone(), &config, &few, &held_out)
                .teacher(teaching)
                .fit(&mut student)?;
            accuracies.push(100.0 * run.value());
        }
        println!(
            "feature weight {weight}: {:.1} %, mean of {accuracies:.1?}",
            mean(&accuracies).unwrap_or(0.0)
        );
    }
    println!("expected: about 73, 75 and 79 %");
    Ok(())
}
