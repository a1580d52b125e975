//! Shapes, to be found: YOLOv4-tiny of a quarter of its width into one of an eighth.

use std::sync::Arc;
use std::time::Instant;

use super::{DemoFlags, Plan, compare};
use crate::Result;
use crate::cli::out::say;
use crate::cli::run::subject::boxed;
use crate::data::boxes::{SetOptions, shapes};
use crate::data::{Source, Split};
use crate::gpu::Gpu;
use crate::optim::{Schedule, Warmup};
use crate::tasks::{Detect, DetectConfig};
use crate::train::{Comparison, TrainConfig};

/// Of images, in pixels.
const SIDE: usize = 96;
const TRAINING: usize = 320;
const HELD_OUT: usize = 96;
// The finer head of yolov4-tiny has the second to the fourth anchor, the coarser one the fourth to the sixth.
const TEACHER: &str = "yolov4-tiny:width=0.25,size=96,anchors=6x6/13x13/19x19/26x26/33x33/41x41";
const STUDENT: &str = "yolov4-tiny:width=0.125,size=96,anchors=6x6/13x13/19x19/26x26/33x33/41x41";
/// Passes of a student over the training data.
const EPOCHS: u64 = 8;
/// Seeds of a student.
const SEEDS: u64 = 1;

/// Trains a teacher, then students alone and distilled, and writes the report.
pub fn run(gpu: &Gpu, flags: &DemoFlags) -> Result<()> {
    let start = Instant::now();
    let (epochs, seeds) = (flags.epochs.unwrap_or(EPOCHS), flags.seeds.unwrap_or(SEEDS));
    let options = SetOptions { size: [SIDE, SIDE], places: Some(8), ..Default::default() };
    let part = |split, n| shapes::generate(split, n, SIDE as u32, 1, &options);
    let (training, held_out) = (part(Split::Train, TRAINING)?, part(Split::Test, HELD_OUT)?);
    say!(
        "{TRAINING} training and {HELD_OUT} held-out images of {SIDE}x{SIDE} pixels: {}",
        shapes::CLASSES.join(", ")
    )?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let detection = DetectConfig::default();
    let task = Arc::new(Detect::new(&training, training.class_names(), detection.clone())?);
    let shown = Arc::new(held_out);
    let sets: (Arc<dyn Source>, Arc<dyn Source>) = (Arc::new(training), shown.clone());
    let mut demo = Comparison::of(gpu, task, sets, "Distilling a detector of shapes", command);
    demo.report.subtitle = format!(
        "{TRAINING} training and {HELD_OUT} held-out images of generated shapes; {epochs} epochs per student, {}",
        crate::report::seeds(seeds as usize)
    );
    let schedule = Schedule::Cosine { total: 0, floor: 0.0, warmup: Warmup { steps: 20, start: 0.0 } };
    let config = TrainConfig {
        epochs,
        batch_size: 16,
        learning_rate: 0.02,
        schedule,
        max_grad_norm: Some(10.0),
        ..Default::default()
    };
    let plan = Plan {
        teacher: TEACHER,
        student: STUDENT,
        methods: &["obj-kd"],
        config,
        seeds,
        value: "% average precision (COCO) on held-out images",
        sections: &|student| boxed::sections(gpu, student, &shown, &detection),
    };
    compare(&mut demo, &plan, &flags.out, start)
}
