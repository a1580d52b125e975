//! The classes of image files.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::PredictFlags;
use super::likeliest::{NOT_FINITE, Probability, likeliest};
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::box_flags::not_of_classes;
use crate::data::{Dataset, ImageSpec, Loader, LoaderConfig, Split, image_file};
use crate::gpu::Gpu;
use crate::models::saved::Saved;
use crate::nn::DeviceParams;
use crate::report::printable;
use crate::tasks::{Classify, ClassifyConfig};
use crate::train::Evaluator;
use crate::{Error, Result};

#[derive(Serialize)]
struct Prediction<'a> {
    image: String,
    classes: Vec<Probability<'a>>,
}

/// Reads, runs and prints. Nothing is printed unless every image could be read.
pub fn run(
    adapter: &AdapterFlags,
    flags: &PredictFlags,
    paths: &[PathBuf],
    saved: &Saved,
) -> Result<ExitCode> {
    flags.boxes.refuse()?;
    if flags.out.is_some() {
        return Err(not_of_classes("--out"));
    }
    let images = Arc::new(read(saved, paths)?);
    let gpu = adapter.open()?;
    let logits = logits(&gpu, saved, &images)?;
    let names = &saved.metadata.classes;
    let predict = |(path, row): (&PathBuf, &[f32])| {
        let classes = likeliest(row, names, flags.top as usize);
        let classes = classes.ok_or_else(|| Error::file(path, NOT_FINITE))?;
        Ok(Prediction { image: path.display().to_string(), classes })
    };
    let all: Vec<Prediction> =
        paths.iter().zip(logits.chunks(names.len())).map(predict).collect::<Result<_>>()?;
    if flags.json {
        json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for prediction in &all {
        say!("{}", printable(&prediction.image))?;
        prediction.classes.iter().try_for_each(Probability::show)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The images as a data set, normalised as the network wants it.
fn read(saved: &Saved, paths: &[PathBuf]) -> Result<Dataset> {
    let [channels, height, width] = saved.network.input().image()?;
    let spec = ImageSpec { channels, height, width };
    let mut pixels = Vec::new();
    for path in paths {
        pixels.extend(image_file::load(path, spec)?);
    }
    Ok(Dataset {
        name: "images".into(),
        split: Split::Test,
        pixels,
        labels: vec![0; paths.len()],
        channels,
        height,
        width,
        class_names: saved.metadata.classes.clone(),
        mean: saved.metadata.mean.clone(),
        std: saved.metadata.std.clone(),
    })
}

/// (N, classes). Blocks.
fn logits(gpu: &Gpu, saved: &Saved, images: &Arc<Dataset>) -> Result<Vec<f32>> {
    let batch_size = images.len().min(64);
    let loader = Loader::new(images.clone(), LoaderConfig::in_order(batch_size))?;
    let params = DeviceParams::frozen(gpu, "network", &saved.network.params)?;
    let task = Classify::new(images, ClassifyConfig::default())?;
    let evaluator = Evaluator::new(gpu, &task, &saved.network, &params, batch_size, images.as_ref())?;
    let mut all = Vec::new();
    for batch in loader.epoch(0) {
        let batch = batch?;
        let logits = evaluator.outputs(&batch)?;
        all.extend(logits.into_iter().take(batch.len * saved.network.head().width()));
    }
    Ok(all)
}
