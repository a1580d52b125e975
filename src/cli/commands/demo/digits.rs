//! Handwritten digits, to be told apart: each family of methods beside the student alone.

use std::time::Instant;

use super::{DemoFlags, announce, save};
use crate::Result;
use crate::cli::out::say;
use crate::data::{self, LoadOptions};
use crate::distill::MethodConfig;
use crate::gpu::Gpu;
use crate::train::{Comparison, StudentVariant, TrainConfig};

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
        "{} training and {} held-out images of the UCI digits; {} epochs per student, {} seeds",
        demo.training().len(),
        demo.validation().len(),
        epochs,
        seeds
    );
    let config = TrainConfig { epochs, ..Default::default() };
    let teacher = demo.teacher(TEACHER, &TrainConfig { epochs: epochs * 2, ..config.clone() })?;
    announce(demo.report.rows.last(), "% of the held-out digits are right")?;
    let seeds: Vec<u64> = (1..=seeds).collect();
    let families = ["kd", "activation", "weights", "feature"].map(StudentVariant::method);
    for variant in std::iter::once(StudentVariant::alone()).chain(families) {
        let student = demo.student(STUDENT, &variant, &teacher, &config, &MethodConfig::default(), &seeds)?;
        announce(demo.report.rows.last(), "% of the held-out digits are right")?;
        save(&student, &flags.out, &variant.label)?;
    }
    demo.report.notes.push(format!("The whole demo took {:.0} s.", start.elapsed().as_secs_f64()));
    say!("\n{}", demo.report.text())?;
    let page = flags.out.join("report.html");
    demo.report.write_html(&page)?;
    say!("wrote {} in {:.0} s", page.display(), start.elapsed().as_secs_f64())?;
    Ok(())
}
