//! YOLOv4-tiny of a quarter of its width, taught by one of half its width, to find shapes that are made up on the spot: by
//! hand, as a program of yours would embed it. Ends with a `.weights` file in darknet's format.
//!
//! ```text
//! cargo run --release --example yolo           # a look: few images, few epochs
//! cargo run --release --example yolo -- --long # minutes on two cores, for boxes worth looking at
//! ```

use std::sync::Arc;

use limbeck::data::Split;
use limbeck::data::boxes::{SetOptions, shapes};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::saved::{self, ModelMetadata};
use limbeck::models::{Network, build};
use limbeck::nn::DeviceParams;
use limbeck::tasks::{Detect, DetectConfig, Task};
use limbeck::train::{Run, Teacher, TrainConfig, Trainer};

fn main() -> limbeck::Result<()> {
    let long = std::env::args().any(|argument| argument == "--long");
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    println!("{} on {}", gpu.caps().name, gpu.caps().backend);

    // Images with boxes: a folder of yours is `limbeck::data::boxes::open`.
    let options = SetOptions { size: [96, 96], ..Default::default() };
    let (n, epochs) = if long { (1024, 12) } else { (64, 2) };
    let training = Arc::new(shapes::generate(Split::Train, n, 96, 1, &options)?);
    let test = Arc::new(shapes::generate(Split::Test, n / 4, 96, 1, &options)?);
    let classes = training.class_names().to_vec();
    let task = Arc::new(Detect::new(training.as_ref(), &classes, DetectConfig::default())?);

    let config = TrainConfig {
        epochs,
        batch_size: 16,
        learning_rate: 0.01,
        max_grad_norm: Some(10.0),
        ..Default::default()
    };
    let train = |network: &mut Network, teacher: Option<Teacher<'_>>| -> limbeck::Result<Run> {
        network.params.initialise(1);
        Trainer::new(&gpu, task.clone(), &config, &training, &test).teacher(teacher).fit(network)
    };

    let mut teacher = build("yolov4-tiny:width=0.5,size=96", &task.model_config())?;
    let mut student = build("yolov4-tiny:width=0.25,size=96", &task.model_config())?;
    println!("teacher  {}", told(&train(&mut teacher, None)?));
    println!("alone    {}", told(&train(&mut student, None)?));

    // The teacher's boxes, weighted by how sure it is of them, beside the labels.
    let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params)?;
    let objective = distill::parse("obj-kd", &MethodConfig::default())?;
    println!("obj-kd   {}", told(&train(&mut student, Some(Teacher::new(&teacher, &frozen, objective)))?));

    std::fs::create_dir_all("runs/yolo").map_err(|e| limbeck::Error::file("runs/yolo", e))?;
    let metadata = ModelMetadata { classes, mean: vec![0.0; 3], std: vec![1.0; 3], ..Default::default() };
    saved::save("runs/yolo/student.weights", &student, &metadata)?;
    println!("wrote runs/yolo/student.weights and student.cfg, in darknet's format");
    Ok(())
}

/// `AP 41.2 %, AP50 70.3 %`
fn told(run: &Run) -> String {
    let all = run.measured().into_iter().flat_map(|measured| measured.all());
    let shown: Vec<String> =
        all.take(2).map(|metric| format!("{} {:.1} %", metric.name, 100.0 * metric.value)).collect();
    shown.join(", ")
}
