//! Images of classes: who is taken for whom.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::EvalFlags;
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::box_flags::not_of_classes;
use crate::cli::run::subject::{class_difference, labelled};
use crate::cli::table::Table;
use crate::data::{Dataset, LABELS};
use crate::gpu::Gpu;
use crate::models::saved::{Overrides, Saved};
use crate::nn::DeviceParams;
use crate::report::{count, percent, printable};
use crate::tasks::classify::{ByClass, ClassCounts};
use crate::tasks::{Classify, ClassifyConfig};
use crate::train::Evaluator;
use crate::{Error, Result};

/// Measures and prints.
pub fn run(adapter: &AdapterFlags, flags: &EvalFlags) -> Result<ExitCode> {
    flags.boxes.refuse()?;
    if flags.model.average_precision().is_some() {
        return Err(not_of_classes("--map"));
    }
    let given = [("--report", flags.report.is_some()), ("--float-pixels", flags.float_pixels)];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        return Err(not_of_classes(flag));
    }
    let (_, test) = labelled::load(&flags.data, flags.data_dir.as_deref())?;
    let mut test = labelled::limit(test, flags.limit_test, "--limit-test")?;
    let saved = flags.model.open(Overrides::default(), &labelled::overrides_from(&test))?;
    check_fit(&saved, &test)?;
    test.mean.clone_from(&saved.metadata.mean);
    test.std.clone_from(&saved.metadata.std);
    let gpu = adapter.open()?;
    let (counts, batch_size, seconds) = measure(&gpu, &saved, Arc::new(test.clone()), flags.batch_size)?;
    let result = Evaluation {
        file: flags.model.file.display().to_string(),
        model: saved.network.name.clone(),
        params: saved.network.params.trainable_elements(),
        data: test.name.clone(),
        adapter: format!("{} ({})", gpu.caps().name, gpu.caps().backend),
        mean: test.mean.clone(),
        std: test.std.clone(),
        images_per_second: test.len() as f64 / seconds,
        batch_size,
        found: counts.by_class(&saved.metadata.classes),
    };
    let n = result.found.not_finite;
    if n > 0 {
        log::warn!("the network's outputs are NaN or infinite for {n} images, which count as wrong");
    }
    if flags.json {
        json(&result)?
    } else {
        print(&result)?
    }
    Ok(ExitCode::SUCCESS)
}

fn check_fit(saved: &Saved, test: &Dataset) -> Result<()> {
    let ([c, h, w], spec) = (saved.network.input().image()?, test.spec());
    if [c, h, w] != [spec.channels, spec.height, spec.width] {
        let message = format!(
            "the network takes images of {c}x{h}x{w}, but {} has {spec}; pass its data set",
            test.name
        );
        return Err(Error::config("--data", message));
    }
    let (ours, theirs) = (saved.network.head().width(), test.num_classes());
    if ours != theirs {
        let message =
            format!("the network has {ours} classes, but {} has {theirs}; pass its data set", test.name);
        return Err(Error::config("--data", message));
    }
    if let Some(difference) = class_difference(&saved.metadata.classes, &test.class_names, &test.name) {
        log::warn!("{difference}");
    }
    Ok(())
}

/// Runs the test images through the network; with the images of a batch, and the seconds it took, first compilation
/// excluded.
fn measure(
    gpu: &Gpu,
    saved: &Saved,
    test: Arc<Dataset>,
    batch_size: Option<usize>,
) -> Result<(ClassCounts, usize, f64)> {
    let params = DeviceParams::frozen(gpu, "network", &saved.network.params)?;
    let task = Classify::new(&test, ClassifyConfig::default())?;
    let (network, source) = (&saved.network, test.as_ref());
    let evaluator = match batch_size {
        Some(size) => Evaluator::new(gpu, &task, network, &params, size, source)?,
        None => gpu.block_on(Evaluator::of_all(gpu, &task, network, &params, 64, source))?,
    };
    let loader = evaluator.loader(&test)?;
    // The driver compiles a kernel where it first runs.
    if let Some(batch) = loader.epoch(0).next() {
        evaluator.outputs(&batch?)?;
    }
    let n = saved.network.head().width();
    let mut counts = ClassCounts::new(n);
    let start = Instant::now();
    for batch in loader.epoch(0) {
        let batch = batch?;
        let logits = evaluator.outputs(&batch)?;
        for (row, &label) in logits.chunks(n).zip(batch.i32(LABELS)?).take(batch.len) {
            counts.add(label, row);
        }
    }
    Ok((counts, loader.config().batch_size, start.elapsed().as_secs_f64()))
}

#[derive(Serialize)]
struct Evaluation {
    file: String,
    model: String,
    params: usize,
    data: String,
    adapter: String,
    mean: Vec<f32>,
    std: Vec<f32>,
    images_per_second: f64,
    batch_size: usize,
    #[serde(flatten)]
    found: ByClass,
}

fn print(r: &Evaluation) -> Result<()> {
    let (model, found) = (printable(&r.model), &r.found);
    say!("{model} ({} parameters) on {} test images of {}", count(r.params as u64), found.images, r.data)?;
    say!("normalised by mean {:?} and standard deviation {:?}", r.mean, r.std)?;
    say!("run by {}\n", r.adapter)?;
    let mut table =
        Table::new(&["class", ">images", ">right", ">recall %", ">precision %", "mostly taken for"]);
    let share = |part: usize, of: usize| match of {
        0 => "-".to_string(),
        _ => percent(part as f64 / of as f64),
    };
    for class in &found.classes {
        let recall = share(class.correct, class.images);
        let precision = share(class.correct, class.answered);
        let (images, right) = (class.images.to_string(), class.correct.to_string());
        let other =
            class.mostly_taken_for.as_ref().map_or("-".into(), |t| format!("{} ({})", t.class, t.images));
        table.row([&class.class, &images, &right, &recall, &precision, &other]);
    }
    say!("{table}")?;
    let top1 = found.top1();
    say!("top-1 {}  {} % ({} of {})", top1.name, percent(top1.value), found.correct, found.images)?;
    say!("speed           {:.0} images/s in batches of {}", r.images_per_second, r.batch_size)
}
