//! Fashion-MNIST, all 60,000 images: a teacher, and a student with less than a tenth of its parameters that trains
//! alone and with each of the three families, for the same number of steps, over several seeds.
//!
//!     cargo run --release --example fashion_mnist            # a slice of the data: seconds
//!     cargo run --release --example fashion_mnist -- full    # all of it: hours on a CPU, minutes on a GPU
//!
//! Expect of the full form what docs/results.md has measured: a teacher near 93 % and a student some points below. It
//! keeps its teacher, and a second run loads it. The slice only shows that everything runs; it uses the digits inside
//! limbeck where there is no Fashion-MNIST (`limbeck data get fashion-mnist`, or Debian's dataset-fashion-mnist).

use std::path::Path;

use limbeck::data::{self, Dataset, LoadOptions};
use limbeck::distill::MethodConfig;
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::saved;
use limbeck::optim::{Schedule, Warmup};
use limbeck::train::{Comparison, StudentVariant, TrainConfig};

const TEACHER: &str = "cnn:24,48,96";
const STUDENT: &str = "cnn:6,12,24";

fn main() -> limbeck::Result<()> {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,wgpu_hal=off,limbeck=info"),
    )
    .init();
    let quick = std::env::args().nth(1).is_none_or(|a| a != "full");
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let mut sets = match data::load("fashion-mnist", None, &LoadOptions::default()) {
        Err(error) if quick => {
            println!("{error}\n\nusing the built-in digits instead");
            data::load("digits", None, &LoadOptions::default())?
        }
        found => found?,
    };
    if quick {
        sets = (sets.0.sample(512, 0)?, sets.1.sample(256, 0)?);
    }
    let Dataset { class_names, mean, std, .. } = &sets.0;
    let fed = saved::ModelMetadata {
        classes: class_names.clone(),
        mean: mean.clone(),
        std: std.clone(),
        ..Default::default()
    };
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let mut table = Comparison::new(&gpu, sets, "Distilling Fashion-MNIST", command)?;
    let (teacher_epochs, student_epochs, seeds) = if quick { (1, 1, 1..=1) } else { (6, 3, 1..=3) };
    table.report.subtitle = format!(
        "{} training and {} test images; {teacher_epochs} epochs the teacher, {student_epochs} a student",
        table.training().len(),
        table.validation().len()
    );
    let schedule = Schedule::Cosine {
        total: 0,
        floor: 0.0,
        warmup: Warmup { steps: if quick { 0 } else { 100 }, start: 0.0 },
    };
    let config = TrainConfig { batch_size: 128, learning_rate: 0.1, schedule, ..Default::default() };
    let file = Path::new("runs/fashion-mnist/teacher.safetensors");
    let teacher = if !quick && file.exists() {
        let teacher = saved::open(file, &Default::default())?.network;
        table.trained_teacher(&teacher)?;
        teacher
    } else {
        let teacher = table.teacher(TEACHER, &TrainConfig { epochs: teacher_epochs, ..config.clone() })?;
        if !quick {
            saved::save(file, &teacher, &fed)?;
        }
        teacher
    };
    let config = TrainConfig { epochs: student_epochs, ..config };
    let seeds: Vec<u64> = seeds.collect();
    let families = ["kd", "activation", "weights", "feature"].map(StudentVariant::method);
    for variant in std::iter::once(StudentVariant::alone()).chain(families) {
        table.student(STUDENT, &variant, &teacher, &config, &MethodConfig::default(), &seeds)?;
    }
    println!("{}", table.report.text());
    table.report.write_html("runs/fashion-mnist/report.html")?;
    println!("wrote runs/fashion-mnist/report.html");
    Ok(())
}
