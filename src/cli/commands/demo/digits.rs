//! Handwritten digits, to be told apart: each family of methods beside the student alone.

use std::time::Instant;

use super::{DemoFlags, Plan, compare};
use crate::Result;
use crate::cli::out::say;
use crate::data::{self, LoadOptions};
use crate::gpu::Gpu;
use crate::train::{Comparison, TrainConfig};

const TEACHER: &str = "cnn:32,64,128";
const STUDENT: &str = "cnn:4,8,16";
/// Passes of a student over the training data.
const EPOCHS: u64 = 8;
/// Seeds of a student.
const SEEDS: u64 = 3;

/// Trains a teacher, then students alone and distilled by each family, and writes the report.
pub fn run(gpu: &Gpu, flags: &DemoFlags) -> Result<()> {
    let start = Instant::now();
    let (epochs, seeds) = (flags.epochs.unwrap_or(EPOCHS), flags.seeds.unwrap_or(SEEDS));
    let sets = data::load("digits", None, &LoadOptions::default())?;
    say!("{} training and {} held-out digits of 8x8 pixels", sets.0.len(), sets.1.len())?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let mut demo = Comparison::new(gpu, sets, "Distilling handwritten digits", command)?;
    demo.report.subtitle = format!(
        "{} training and {} held-out images of the UCI digits; {} epochs per student, {}",
        demo.training().len(),
        demo.validation().len(),
        epochs,
        crate::report::seeds(seeds as usize)
    );
    let plan = Plan {
        teacher: TEACHER,
        student: STUDENT,
        methods: &["kd", "activation", "weights", "feature"],
        config: TrainConfig { epochs, ..Default::default() },
        seeds,
        value: "% of the held-out digits are right",
        sections: &|_| Ok(Vec::new()),
    };
    compare(&mut demo, &plan, &flags.out, start)
}
