//! The classes of image files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::PredictFlags;
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

#[derive(Serialize)]
struct Probability<'a> {
    class: &'a str,
    probability: f64,
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
        let classes = top(path, row, flags.top as usize)?;
        let classes =
            classes.into_iter().map(|(c, probability)| Probability { class: &names[c], probability });
        Ok(Prediction { image: path.display().to_string(), classes: classes.collect() })
    };
    let all: Vec<Prediction> =
        paths.iter().zip(logits.chunks(names.len())).map(predict).collect::<Result<_>>()?;
    if flags.json {
        json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for prediction in &all {
        say!("{}", printable(&prediction.image))?;
        for Probability { class, probability } in &prediction.classes {
            say!("  {:>6.2} %  {}", 100.0 * probability, printable(class))?;
        }
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

/// The `n` likeliest classes with their softmax, the likeliest first, the first of equals first.
fn top(path: &Path, logits: &[f32], n: usize) -> Result<Vec<(usize, f64)>> {
    if !logits.iter().all(|v| v.is_finite()) {
        let message = "the network's outputs for it are NaN or infinite; check the model, and the normalisation \
                       that it was trained with";
        return Err(Error::file(path, message));
    }
    // Softmax does not change when all logits shift; from the largest down no exponential overflows.
    let most = logits.iter().fold(f32::NEG_INFINITY, |most, &v| most.max(v));
    let exponentials: Vec<f64> = logits.iter().map(|&v| f64::from(v - most).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    Ok(order.into_iter().take(n).map(|c| (c, exponentials[c] / sum)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_of_large_logits() {
        let best = top(Path::new("x"), &[1000.0, 1000.0, -1000.0, 999.0], 3).unwrap();
        assert_eq!(best.iter().map(|b| b.0).collect::<Vec<_>>(), [0, 1, 3]);
        let e = std::f64::consts::E;
        assert!((best[0].1 - e / (2.0 * e + 1.0)).abs() < 1e-12, "{best:?}");
        let message = top(Path::new("x.png"), &[0.0, f32::NAN], 1).unwrap_err().to_string();
        assert!(message.contains("x.png") && message.contains("NaN"), "{message}");
    }
}
