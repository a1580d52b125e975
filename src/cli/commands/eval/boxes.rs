//! Images with boxes: average precision, class by class.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::EvalFlags;
use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::detection::{Detection, detect};
use crate::cli::run::subject::boxed;
use crate::cli::table::Table;
use crate::data::boxes::{BoxSet, OpenOptions};
use crate::data::{Source, load_boxes};
use crate::models::saved::{Overrides, Saved};
use crate::nn::DeviceParams;
use crate::report::{count, percent, printable};
use crate::tasks::detect::{DetectConfig, DetectionResult, ImageMistakes, SCORE, sections};
use crate::train::report::{Role, TrainingReport};

/// Boxes of a lower score change average precision by little, and are many.
const LEAST_SCORE: f32 = 0.005;
/// Measures the network on the test part of the data, and prints.
pub fn run(adapter: &AdapterFlags, flags: &EvalFlags) -> Result<ExitCode> {
    let test = load_boxes(&flags.data, flags.data_dir.as_deref(), &OpenOptions::default())?.test;
    let mut saved = flags.model.open(Overrides::default(), &boxed::overrides_from(test.class_names()))?;
    boxed::reads_plain_pixels(&saved.metadata.mean, &saved.metadata.std)?;
    let [_, height, width] = saved.network.input().image()?;
    let test = test.resized([height, width], flags.boxes.resize())?;
    let test = boxed::limit(test, flags.limit_test, "--limit-test")?;
    let test = in_classes(&saved, test)?;
    let test = Arc::new(if flags.float_pixels { test.with_float_pixels() } else { test });
    let gpu = adapter.open()?;
    let map = flags.model.average_precision().unwrap_or_default();
    let config = DetectConfig { map, ..flags.boxes.config(LEAST_SCORE) };
    let classes = &saved.metadata.classes;
    let params = DeviceParams::moved(&gpu, "network", &mut saved.network.params)?;
    let Detection { gathered, batch_size, seconds } =
        detect(&gpu, (&saved.network, &params), classes, &test, &config, flags.batch_size)?;
    let found = gathered.measure(config.map, SCORE, classes)?;
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
        float_pixels: flags.float_pixels,
        images_per_second: test.len() as f64 / seconds,
        batch_size,
        worst: worst(&test, &found),
        found,
    };
    if let Some(path) = &flags.report {
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let mut report = TrainingReport::begin(&gpu, command);
        report.title = format!("{} on {}", saved.network.name, test.name());
        report.subtitle = format!("{} test images, average precision as {} has it", test.len(), config.map);
        let metrics: Vec<_> = result.found.metrics.iter().take(1).cloned().collect();
        report.add_row("network", Role::Baseline, &saved.network, &metrics, &[]);
        report.sections = sections(&result.found, &gathered, &test)?;
        report.write_html(path)?;
    }
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

#[derive(Serialize)]
struct Evaluation {
    file: String,
    model: String,
    params: usize,
    data: String,
    adapter: String,
    resize: String,
    float_pixels: bool,
    images_per_second: f64,
    batch_size: usize,
    /// The images with most mistakes above the score of the confusion, worst first.
    worst: Vec<Mistakes>,
    #[serde(flatten)]
    found: DetectionResult,
}

#[derive(Serialize)]
struct Mistakes {
    image: String,
    missed: usize,
    wrong: usize,
}

/// Images of which mistakes are shown.
const SHOWN: usize = 5;

fn worst(test: &BoxSet, found: &DetectionResult) -> Vec<Mistakes> {
    let of = |place: usize| {
        let image = test.image(place)?.name.clone();
        let ImageMistakes { missed, wrong, .. } = *found.by_image.get(place)?;
        Some(Mistakes { image, missed, wrong })
    };
    found.worst(SHOWN).into_iter().filter_map(of).collect()
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
    say!("{:<10} {:.1} images/s in batches of {}", "speed", r.images_per_second, r.batch_size)?;
    if !r.worst.is_empty() {
        say!("\nmost mistakes at a score of {SCORE}:")?;
    }
    for Mistakes { image, missed, wrong } in &r.worst {
        say!("  {missed:>3} missed, {wrong:>3} wrong  {}", printable(image))?;
    }
    Ok(())
}
