//! Images with boxes: average precision, class by class.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::EvalFlags;
use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::subject::boxed;
use crate::cli::table::Table;
use crate::data::boxes::{BoxSet, OpenOptions};
use crate::data::{Source, load_boxes};
use crate::gpu::Gpu;
use crate::models::saved::{Overrides, Saved};
use crate::nn::DeviceParams;
use crate::report::{count, percent, printable};
use crate::tasks::detect::{Detect, DetectConfig, DetectionResult, Gathered, SCORE, gather};
use crate::train::Evaluator;

/// Boxes of a lower score change average precision by little, and are many.
const LEAST_SCORE: f32 = 0.005;
/// Images of a batch: what a plan of a large network has memory for.
const BATCH: usize = 4;

/// Measures the network on the test part of the data, and prints.
pub fn run(adapter: &AdapterFlags, flags: &EvalFlags) -> Result<ExitCode> {
    let test = load_boxes(&flags.data, flags.data_dir.as_deref(), &OpenOptions::default())?.test;
    let saved = flags.model.open(Overrides::default(), &boxed::overrides_from(test.class_names()))?;
    boxed::reads_plain_pixels(&saved.metadata.mean, &saved.metadata.std)?;
    let [_, height, width] = saved.network.input().image()?;
    let test = test.resized([height, width], flags.boxes.resize())?;
    let test = boxed::limit(test, flags.limit_test, "--limit-test")?;
    let test = in_classes(&saved, test)?;
    let gpu = adapter.open()?;
    let map = flags.model.average_precision().unwrap_or_default();
    let config = DetectConfig { map, ..flags.boxes.config(LEAST_SCORE) };
    let (gathered, batch_size, seconds) = measure(&gpu, &saved, &test, &config, flags.batch_size)?;
    let found = gathered.measure(config.map, SCORE, &saved.metadata.classes)?;
    if found.not_finite > 0 {
        log::warn!("{} boxes have numbers that are NaN or infinite, and count as wrong", found.not_finite);
    }
    let result = Evaluation {
        file: flags.model.file.display().to_string(),
        model: saved.network.name.clone(),
        params: saved.network.params.trainable_elements(),
        data: test.name().to_string(),
        adapter: format!("{} ({})", gpu.caps().name, gpu.caps().backend),
        resize: test.resize().to_string(),
        images_per_second: test.len() as f64 / seconds,
        batch_size,
        found,
    };
    if flags.json {
        json(&result)?
    } else {
        print(&result)?
    }
    Ok(ExitCode::SUCCESS)
}

/// The set with its classes in the network's order.
fn in_classes(saved: &Saved, test: BoxSet) -> Result<BoxSet> {
    let classes = &saved.metadata.classes;
    if classes == test.class_names() { Ok(test) } else { test.in_classes(classes, false) }
}

/// Runs the images through the network; with the images of a batch, and the seconds it took, first compilation excluded.
fn measure(
    gpu: &Gpu,
    saved: &Saved,
    test: &BoxSet,
    config: &DetectConfig,
    batch_size: Option<usize>,
) -> Result<(Gathered, usize, f64)> {
    let params = DeviceParams::frozen(gpu, "network", &saved.network.params)?;
    let task = Detect::new(test, &saved.metadata.classes, config.clone())?;
    let (network, size) = (&saved.network, batch_size.unwrap_or(BATCH).min(test.len()));
    let evaluator = Evaluator::new(gpu, &task, network, &params, size, test)?;
    let loader = evaluator.loader(&Arc::new(test.clone()))?;
    // The driver compiles a kernel where it first runs.
    if let Some(batch) = loader.epoch(0).next() {
        evaluator.run(&batch?)?;
    }
    let mut gathered = Gathered::default();
    let start = Instant::now();
    for batch in loader.epoch(0) {
        let batch = batch?;
        let read = evaluator.run(&batch)?;
        gather(&mut gathered, &config.keep(), &batch, evaluator.network_outputs(), &read)?;
    }
    Ok((gathered, size, start.elapsed().as_secs_f64()))
}

#[derive(Serialize)]
struct Evaluation {
    file: String,
    model: String,
    params: usize,
    data: String,
    adapter: String,
    resize: String,
    images_per_second: f64,
    batch_size: usize,
    #[serde(flatten)]
    found: DetectionResult,
}

fn print(r: &Evaluation) -> Result<()> {
    let (model, found) = (printable(&r.model), &r.found);
    say!("{model} ({} parameters) on {} test images of {}", count(r.params as u64), found.images, r.data)?;
    say!("images brought to its size by {}; average precision as {} defines it", r.resize, found.map)?;
    say!("run by {}\n", r.adapter)?;
    let mut table = Table::new(&["class", ">boxes", ">found", ">AP %", ">AP50 %"]);
    let share = |ap: Option<f64>| ap.map_or("-".to_string(), percent);
    for class in found.classes.iter().filter(|class| class.truths + class.found > 0) {
        let (truths, boxes) = (class.truths.to_string(), class.found.to_string());
        table.row([&class.class, &truths, &boxes, &share(class.ap), &share(class.ap50)]);
    }
    say!("{table}")?;
    for metric in &found.metrics {
        let value = if metric.value.is_finite() { percent(metric.value) } else { "-".into() };
        say!("{:<10} {value:>6} %", metric.name)?;
    }
    say!("{:<10} {:.1} images/s in batches of {}", "speed", r.images_per_second, r.batch_size)
}
