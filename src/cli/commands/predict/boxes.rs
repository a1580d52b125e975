//! The boxes in image files, as text, as JSON, and drawn into copies of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use image::RgbImage;
use serde::Serialize;

use super::PredictFlags;
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::detection::BATCH;
use crate::cli::run::subject::boxed;
use crate::data::boxes::{BoxImage, BoxSet, SetOptions, clip};
use crate::data::{Source, Split};
use crate::files::write_atomic;
use crate::gpu::Gpu;
use crate::models::saved::Saved;
use crate::nn::DeviceParams;
use crate::report::draw::{self, Labelled};
use crate::report::printable;
use crate::tasks::detect::{Detect, Found, found_in};
use crate::train::Evaluator;
use crate::{Error, Result};

/// What people want to see.
const LEAST_SCORE: f32 = 0.25;

#[derive(Serialize)]
struct Prediction<'a> {
    image: String,
    /// Of the image, in pixels.
    width: u32,
    height: u32,
    boxes: Vec<FoundBox<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drawn: Option<String>,
}

#[derive(Serialize)]
struct FoundBox<'a> {
    class: &'a str,
    score: f32,
    /// Left, top, width and height, in pixels of the image.
    bounds: [f32; 4],
}

/// Reads, runs, draws and prints. Nothing is printed unless every image could be read.
pub fn run(
    adapter: &AdapterFlags,
    flags: &PredictFlags,
    paths: &[PathBuf],
    mut saved: Saved,
) -> Result<ExitCode> {
    let images = paths.iter().map(|path| {
        let name = path.display().to_string();
        BoxImage::encoded(name, crate::files::read(path)?, Vec::new())
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let drawn = flags.out.as_ref().map(|folder| targets(folder, paths)).transpose()?;
    let gpu = adapter.open()?;
    let found = find(&gpu, &mut saved, images.clone(), flags)?;
    let names = &saved.metadata.classes;
    let mut all = Vec::new();
    for (place, (path, found)) in paths.iter().zip(&found).enumerate() {
        let [width, height] = images[place].size();
        let target = drawn.as_ref().map(|drawn| &drawn[place]);
        if let Some(target) = target {
            draw(&images[place].decode()?, names, found, target)?;
        }
        let on_image = |f: &Found| {
            let [left, top, right, bottom] = clip(f.bounds, [width, height]);
            [left, top, right - left, bottom - top]
        };
        let boxes =
            found.iter().map(|f| FoundBox { class: &names[f.class], score: f.score, bounds: on_image(f) });
        all.push(Prediction {
            image: path.display().to_string(),
            width,
            height,
            boxes: boxes.collect(),
            drawn: target.map(|target| target.display().to_string()),
        });
    }
    if flags.json {
        json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for prediction in &all {
        say!("{}", printable(&prediction.image))?;
        for FoundBox { class, score, bounds: [left, top, width, height] } in &prediction.boxes {
            let place = format!("{width:.0}x{height:.0} at {left:.0},{top:.0}");
            say!("  {:>6.2} %  {:<20} {place}", 100.0 * score, printable(class))?;
        }
        if prediction.boxes.is_empty() {
            say!("  nothing above {:.0} %", 100.0 * flags.boxes.config(LEAST_SCORE).least_score)?;
        }
    }
    if let (Some(folder), n) = (&flags.out, all.len()) {
        say!("drawn into {n} image{} in {}", if n == 1 { "" } else { "s" }, folder.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is in each image, above the score. Blocks.
fn find(
    gpu: &Gpu,
    saved: &mut Saved,
    images: Vec<BoxImage>,
    flags: &PredictFlags,
) -> Result<Vec<Vec<Found>>> {
    boxed::reads_plain_pixels(&saved.metadata.mean, &saved.metadata.std)?;
    let [_, height, width] = saved.network.input().image()?;
    let options = SetOptions {
        size: [height, width],
        resize: flags.boxes.resize(),
        cache_bytes: 0,
        ..Default::default()
    };
    let classes = &saved.metadata.classes;
    let set = Arc::new(BoxSet::new("images", Split::Test, classes.clone(), images, &options)?);
    let config = flags.boxes.config(LEAST_SCORE);
    let task = Detect::new(set.as_ref(), classes, config.clone())?;
    let params = DeviceParams::moved(gpu, "network", &mut saved.network.params)?;
    let size = BATCH.min(set.len());
    let evaluator = Evaluator::new(gpu, &task, &saved.network, &params, size, set.as_ref())?;
    let mut all = Vec::new();
    for batch in evaluator.loader(&set)?.epoch(0) {
        let batch = batch?;
        let read = evaluator.run(&batch)?;
        for slot in 0..batch.len {
            all.push(found_in(&batch, slot, &config.keep(), evaluator.network_outputs(), &read)?);
        }
    }
    Ok(all)
}

/// A file in `folder` for each image, of its name: in the image's format where that is JPEG, else PNG.
fn targets(folder: &Path, images: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = Vec::new();
    for image in images {
        let stem = image.file_stem().and_then(|stem| stem.to_str()).unwrap_or("image");
        let ending = image.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let ending = if matches!(ending.as_str(), "jpg" | "jpeg") { "jpg" } else { "png" };
        let mut target = folder.join(format!("{stem}.{ending}"));
        for number in 2.. {
            if !all.contains(&target) {
                break;
            }
            target = folder.join(format!("{stem}-{number}.{ending}"));
        }
        if target == *image {
            let message = "would be replaced by the image with boxes; choose another --out";
            return Err(Error::file(image, message));
        }
        all.push(target);
    }
    Ok(all)
}

fn draw(image: &RgbImage, names: &[String], found: &[Found], target: &Path) -> Result<()> {
    let mut image = image.clone();
    let labels: Vec<String> =
        found.iter().map(|f| format!("{} {:.0}", names[f.class], 100.0 * f.score)).collect();
    // The weakest first, so that the strongest lies on top.
    let labelled = found.iter().zip(&labels).rev();
    let labelled: Vec<Labelled<'_>> =
        labelled.map(|(f, label)| Labelled { bounds: f.bounds, label, class: f.class }).collect();
    draw::boxes(&mut image, &labelled);
    let format = image::ImageFormat::from_path(target).map_err(|e| Error::file(target, e))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).map_err(|e| Error::file(target, e))?;
    write_atomic(target, |w| w.write_all(bytes.get_ref()))
}
