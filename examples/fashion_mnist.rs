//! Fashion-MNIST, all 60,000 images: a teacher, and a student with less than a tenth of its parameters that trains
//! alone and with each of the three families, for the same number of steps, over several seeds.
//!
//!     cargo run --release --example fashion_mnist            # the full table: hours on a CPU, minutes on a GPU
//!     cargo run --release --example fashion_mnist -- quick   # the same on a slice of the data: a minute or two
//!
//! Expect a teacher of about 92 % and a student within two points of it; README.md has a measured table. Without the
//! data set (`limbeck data get fashion-mnist`, or Debian's dataset-fashion-mnist) the quick form uses the digits that
//! are inside limbeck.

use limbeck::data::{self, LoadOptions};
use limbeck::distill::MethodConfig;
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::train::{Comparison, TrainConfig, Variant};

const TEACHER: &str = "cnn:32,64,128";
const STUDENT: &str = "cnn:8,16,32";

fn main() -> limbeck::Result<()> {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,wgpu_hal=off,limbeck=info"),
    )
    .init();
    let quick = std::env::args().nth(1).is_some_and(|a| a == "quick");
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let mut sets = match data::load("fashion-mnist", None, &LoadOptions::default()) {
        Err(error) if quick => {
            println!("{error}\n\nusing the built-in digits instead");
            data::load("digits", None, &LoadOptions::default())?
        }
        found => found?,
    };
    if quick {
        sets = (sets.0.sample(1024, 0)?, sets.1.sample(512, 0)?);
    }
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let mut table = Comparison::new(&gpu, sets, "Distilling Fashion-MNIST", command);
    let (teacher_epochs, student_epochs, seeds) = if quick { (2, 1, 1..=1) } else { (8, 4, 1..=3) };
    table.report.subtitle = format!(
        "{} training and {} test images; {teacher_epochs} epochs the teacher, {student_epochs} a student",
        table.training().len(),
        table.held_out().len()
    );
    let config = TrainConfig { batch_size: 128, learning_rate: 0.1, ..Default::default() };
    let teacher = table.teacher(TEACHER, &TrainConfig { epochs: teacher_epochs, ..config.clone() })?;
    let config = TrainConfig { epochs: student_epochs, ..config };
    let seeds: Vec<u64> = seeds.collect();
    let families = ["kd", "activation", "weights", "feature"].map(Variant::method);
    for variant in std::iter::once(Variant::alone()).chain(families) {
        table.student(STUDENT, &variant, &teacher, &config, &MethodConfig::default(), &seeds)?;
    }
    println!("{}", table.report.text());
    table.report.write_html("runs/fashion-mnist/report.html")?;
    println!("wrote runs/fashion-mnist/report.html");
    Ok(())
}
