//! `limbeck predict`: the classes of image files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::data_sets;
use crate::cli::run::model_file::ModelFlags;
use crate::data::{Dataset, ImageSpec, Loader, LoaderConfig, Split, image_file};
use crate::gpu::Gpu;
use crate::models::MAX_CLASSES;
use crate::models::saved::{Overrides, Saved, parse_input};
use crate::nn::DeviceParams;
use crate::report::printable;
use crate::tasks::{Classify, ClassifyConfig};
use crate::train::Evaluator;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Images are made grey or coloured and resized to what the network takes, without keeping the aspect ratio.

Examples:
  limbeck predict runs/student/model.safetensors boot.png shirt.jpg
  limbeck predict resnet20.safetensors frog.png --model resnet20 --data cifar10 --top 3 --json
  limbeck predict resnet20.safetensors frog.png --model resnet20 --input 3x32x32 --classes 10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225";

/// Flags of `limbeck predict`.
#[derive(Debug, Args)]
pub struct PredictFlags {
    #[command(flatten)]
    model: ModelFlags,
    /// PNG or JPEG files
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Classes to show, the likeliest first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,
    /// Channels, height and width of its images, where neither the file nor --data says
    #[arg(long, value_name = "CxHxW")]
    input: Option<String>,
    /// Its classes, where neither the file nor --data says: their names in its order, or how many there are
    #[arg(long, value_name = "N|NAME,..", value_delimiter = ',')]
    classes: Option<Vec<String>>,
    /// The data set it was trained on, where the file does not say image size, classes and normalisation
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    /// Its directory, where it is not in a usual place
    #[arg(long, value_name = "DIR", requires = "data")]
    data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

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
pub fn run(adapter: &AdapterFlags, flags: &PredictFlags) -> Result<ExitCode> {
    let like = match &flags.data {
        Some(name) => Some(data_sets::load(name, flags.data_dir.as_deref())?.0),
        None => None,
    };
    let said = Overrides {
        input: flags.input.as_deref().map(parse_input).transpose()?,
        classes: flags.classes.as_deref().map(class_names).transpose()?,
        ..Default::default()
    };
    let saved = flags.model.open(said, like.as_ref())?;
    let images = Arc::new(read(&saved, &flags.images)?);
    let gpu = adapter.open()?;
    let logits = logits(&gpu, &saved, &images)?;
    let names = &saved.metadata.classes;
    let predict = |(path, row): (&PathBuf, &[f32])| {
        let classes = top(path, row, flags.top as usize)?;
        let classes =
            classes.into_iter().map(|(c, probability)| Probability { class: &names[c], probability });
        Ok(Prediction { image: path.display().to_string(), classes: classes.collect() })
    };
    let all: Vec<Prediction> =
        flags.images.iter().zip(logits.chunks(names.len())).map(predict).collect::<Result<_>>()?;
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

/// Class names, or as many numbers from 0 where there is only their count.
fn class_names(said: &[String]) -> Result<Vec<String>> {
    match said {
        [count] if count.parse::<f64>().is_ok() => match count.parse() {
            Ok(n @ 1..=MAX_CLASSES) => Ok((0..n).map(|c| c.to_string()).collect()),
            _ => Err(Error::config("--classes", format!("expected 1 to {MAX_CLASSES}, got {count}"))),
        },
        names => Ok(names.to_vec()),
    }
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
    fn classes_by_name_or_number() {
        let names = |said: &[&str]| class_names(&said.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        assert_eq!(names(&["3"]).unwrap(), ["0", "1", "2"]);
        assert_eq!(names(&["cat", "dog"]).unwrap(), ["cat", "dog"]);
        assert_eq!(names(&["7", "9"]).unwrap(), ["7", "9"]);
        for wrong in ["0", "-3", "2.5", "99999999999999999999"] {
            assert!(names(&[wrong]).unwrap_err().to_string().contains(wrong), "{wrong}");
        }
    }

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
