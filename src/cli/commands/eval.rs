//! `limbeck eval`: the accuracy of a saved network on a data set's test part.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::data_sets;
use crate::cli::run::model_file::{ModelFlags, class_difference};
use crate::cli::table::Table;
use crate::data::{Dataset, LABELS, Loader, LoaderConfig};
use crate::gpu::Gpu;
use crate::models::saved::{Overrides, Saved};
use crate::nn::DeviceParams;
use crate::report::{count, percent, printable};
use crate::tasks::{Classify, ClassifyConfig};
use crate::train::Evaluator;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck eval runs/teacher/model.safetensors --data fashion-mnist
  limbeck eval resnet20.safetensors --model resnet20 --data cifar10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225
  limbeck eval runs/student/model.safetensors --json > accuracy.json";

/// Flags of `limbeck eval`.
#[derive(Debug, Args)]
pub struct EvalFlags {
    #[command(flatten)]
    model: ModelFlags,
    /// Data set whose test part is used; `limbeck data` lists them
    #[arg(long, value_name = "NAME", default_value = "digits")]
    data: String,
    /// Its directory, where it is not in a usual place
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Use only N test images, each class in proportion
    #[arg(long, value_name = "N")]
    limit_test: Option<usize>,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(adapter: &AdapterFlags, flags: &EvalFlags) -> Result<ExitCode> {
    let (_, test) = data_sets::load(&flags.data, flags.data_dir.as_deref())?;
    let mut test = data_sets::limit(test, flags.limit_test, "--limit-test")?;
    let saved = flags.model.open(Overrides::default(), Some(&test))?;
    check_fit(&saved, &test)?;
    test.mean.clone_from(&saved.metadata.mean);
    test.std.clone_from(&saved.metadata.std);
    let gpu = adapter.open()?;
    let (counts, seconds) = measure(&gpu, &saved, Arc::new(test.clone()), flags.batch_size)?;
    let result = Evaluation {
        file: flags.model.file.display().to_string(),
        model: saved.network.name.clone(),
        params: saved.network.params.trainable_elements(),
        data: test.name.clone(),
        adapter: format!("{} ({})", gpu.caps().name, gpu.caps().backend),
        mean: test.mean.clone(),
        std: test.std.clone(),
        images: test.len(),
        correct: counts.correct(),
        top1_accuracy: counts.correct() as f64 / test.len().max(1) as f64,
        not_finite: counts.not_finite,
        images_per_second: test.len() as f64 / seconds,
        batch_size: flags.batch_size,
        classes: counts.classes(&saved.metadata.classes),
    };
    if result.not_finite > 0 {
        let n = result.not_finite;
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
    if let Some(difference) = class_difference(&saved.metadata.classes, test) {
        log::warn!("{difference}");
    }
    Ok(())
}

/// Runs the test images through the network; with the seconds it took, first compilation excluded.
fn measure(gpu: &Gpu, saved: &Saved, test: Arc<Dataset>, batch_size: usize) -> Result<(Counts, f64)> {
    let loader = Loader::new(test.clone(), LoaderConfig::in_order(batch_size))?;
    let params = DeviceParams::frozen(gpu, "network", &saved.network.params)?;
    let task = Classify::new(&test, ClassifyConfig::default())?;
    let evaluator = Evaluator::new(gpu, &task, &saved.network, &params, batch_size, test.as_ref())?;
    // The driver compiles a kernel where it first runs.
    if let Some(batch) = loader.epoch(0).next() {
        evaluator.outputs(&batch?)?;
    }
    let n = saved.network.head().width();
    let mut counts = Counts { taken: vec![vec![0; n]; n], images: vec![0; n], not_finite: 0 };
    let start = Instant::now();
    for batch in loader.epoch(0) {
        let batch = batch?;
        let logits = evaluator.outputs(&batch)?;
        for (row, &label) in logits.chunks(n).zip(batch.i32(LABELS)?).take(batch.len) {
            counts.add(label as usize, row);
        }
    }
    Ok((counts, start.elapsed().as_secs_f64()))
}

/// How often each class was taken for each.
struct Counts {
    /// By label, then by answer.
    taken: Vec<Vec<usize>>,
    /// By label.
    images: Vec<usize>,
    not_finite: usize,
}

impl Counts {
    fn add(&mut self, label: usize, logits: &[f32]) {
        self.images[label] += 1;
        // No answer is a wrong answer.
        match logits.iter().all(|v| v.is_finite()) {
            true => self.taken[label][largest(logits)] += 1,
            false => self.not_finite += 1,
        }
    }

    fn correct(&self) -> usize {
        (0..self.images.len()).map(|c| self.taken[c][c]).sum()
    }

    fn classes(&self, names: &[String]) -> Vec<ClassResult> {
        let class = |c: usize| {
            let row = &self.taken[c];
            let wrong = (0..row.len()).filter(|&other| other != c && row[other] > 0);
            let taken_for = wrong.max_by_key(|&other| (row[other], std::cmp::Reverse(other)));
            ClassResult {
                class: names[c].clone(),
                images: self.images[c],
                correct: row[c],
                answered: self.taken.iter().map(|row| row[c]).sum(),
                mostly_taken_for: taken_for
                    .map(|other| TakenFor { class: names[other].clone(), images: row[other] }),
            }
        };
        (0..names.len()).map(class).collect()
    }
}

/// Place of the largest value, the first of equals.
fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best })
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
    images: usize,
    correct: usize,
    top1_accuracy: f64,
    not_finite: usize,
    images_per_second: f64,
    batch_size: usize,
    classes: Vec<ClassResult>,
}

#[derive(Serialize)]
struct ClassResult {
    class: String,
    images: usize,
    correct: usize,
    /// Images of any class for which this was the answer.
    answered: usize,
    mostly_taken_for: Option<TakenFor>,
}

#[derive(Debug, PartialEq, Serialize)]
struct TakenFor {
    class: String,
    images: usize,
}

fn print(r: &Evaluation) -> Result<()> {
    let model = printable(&r.model);
    say!("{model} ({} parameters) on {} test images of {}", count(r.params as u64), r.images, r.data)?;
    say!("normalised by mean {:?} and standard deviation {:?}", r.mean, r.std)?;
    say!("run by {}\n", r.adapter)?;
    let mut table =
        Table::new(&["class", ">images", ">right", ">recall %", ">precision %", "mostly taken for"]);
    let share = |part: usize, of: usize| match of {
        0 => "-".to_string(),
        _ => percent(part as f64 / of as f64),
    };
    for class in &r.classes {
        let recall = share(class.correct, class.images);
        let precision = share(class.correct, class.answered);
        let (images, right) = (class.images.to_string(), class.correct.to_string());
        let other =
            class.mostly_taken_for.as_ref().map_or("-".into(), |t| format!("{} ({})", t.class, t.images));
        table.row([&class.class, &images, &right, &recall, &precision, &other]);
    }
    say!("{table}")?;
    say!("top-1 accuracy  {} % ({} of {})", percent(r.top1_accuracy), r.correct, r.images)?;
    say!("speed           {:.0} images/s in batches of {}", r.images_per_second, r.batch_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting() {
        let mut counts = Counts { taken: vec![vec![0; 2]; 2], images: vec![0; 2], not_finite: 0 };
        counts.add(0, &[1.0, 1.0]);
        counts.add(0, &[0.0, 1.0]);
        counts.add(1, &[f32::NAN, 1.0]);
        assert_eq!((counts.correct(), counts.not_finite), (1, 1));
        let classes = counts.classes(&["a".into(), "b".into()]);
        assert_eq!(classes[0].mostly_taken_for, Some(TakenFor { class: "b".into(), images: 1 }));
        assert_eq!((classes[1].images, classes[1].correct, classes[1].answered), (1, 0, 1));
    }
}
