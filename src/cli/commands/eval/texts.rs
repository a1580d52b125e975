//! Texts: which are of the right class, whose vectors go with people's scores of pairs, or which words are hidden in them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::EvalFlags;
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::box_flags::not_of_classes;
use crate::cli::run::recipe::Recipe;
use crate::cli::run::subject::class_difference;
use crate::cli::run::subject::tokens::{Tokens, limit};
use crate::data::Source;
use crate::data::text::{MaskedTexts, Masking, TextSet};
use crate::models::saved::{Overrides, Saved};
use crate::models::{Head, InputSpec};
use crate::nn::DeviceParams;
use crate::report::{Quantity, Unit, count, printable};
use crate::tasks::{Classify, ClassifyConfig, Embed, MaskedWords, Measured, Metric, Task};
use crate::train::Evaluator;
use crate::{Error, Result};

/// Texts a step where nobody says.
const BATCH: usize = 32;

/// Measures the network on the test part of the data, and prints.
pub fn run(adapter: &AdapterFlags, flags: &EvalFlags) -> Result<ExitCode> {
    flags.boxes.refuse()?;
    let given = [
        ("--map", flags.model.average_precision().is_some()),
        ("--report", flags.report.is_some()),
        ("--float-pixels", flags.float_pixels),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        return Err(not_of_classes(flag));
    }
    let saved = flags.model.open(Overrides::default(), &Overrides::default())?;
    let InputSpec::Tokens { longest, .. } = saved.network.input() else {
        let message = format!("{} has texts, and the network takes {}", flags.data, saved.network.input());
        return Err(Error::config("--data", message));
    };
    let recipe = Recipe {
        data: Some(flags.data.clone()),
        data_dir: flags.data_dir.clone(),
        max_tokens: Some(longest),
        text_columns: flags.text_columns.clone(),
        label_column: flags.label_column.clone(),
        text_format: flags.text_format.clone(),
        ..Default::default()
    };
    let tokens = Tokens::with(&flags.model.file, &saved.metadata, longest)?;
    let (test, task) = match saved.network.head() {
        Head::Tokens(_) => hidden(&tokens, &recipe, flags.limit_test)?,
        _ => known(&saved, &tokens, &recipe, flags.limit_test)?,
    };
    let (gpu, batch_size) = (adapter.open()?, flags.batch_size.unwrap_or(BATCH));
    let params = DeviceParams::frozen(&gpu, "network", &saved.network.params)?;
    let mut evaluator =
        Evaluator::new(&gpu, task.as_ref(), &saved.network, &params, batch_size, test.as_ref())?;
    let start = Instant::now();
    let Measured { primary, others, .. } = evaluator.measure(evaluator.loader(&test)?.epoch(0))?;
    let result = Evaluation {
        file: flags.model.file.display().to_string(),
        model: saved.network.name.clone(),
        params: saved.network.params.trainable_elements(),
        data: test.name().to_string(),
        texts: test.len(),
        adapter: format!("{} ({})", gpu.caps().name, gpu.caps().backend),
        texts_per_second: test.len() as f64 / start.elapsed().as_secs_f64(),
        batch_size,
        metrics: std::iter::once(primary).chain(others).collect(),
    };
    if flags.json {
        json(&result)?
    } else {
        print(&result)?
    }
    Ok(ExitCode::SUCCESS)
}

/// The test part, and what is measured on it.
type Measure = (Arc<dyn Source>, Box<dyn Task>);

/// Texts with words hidden, the same whenever they are measured.
fn hidden(tokens: &Tokens, recipe: &Recipe, most: Option<usize>) -> Result<Measure> {
    let test = limit(tokens.load_plain(recipe)?.test, most, "--limit-test")?;
    let test = MaskedTexts::new(Arc::new(test), tokens.masking(Masking::SHARE)?)?;
    let task = MaskedWords::new(&test, tokens.sizes(), Masking::SHARE)?;
    Ok((Arc::new(test), Box::new(task)))
}

/// Texts of which something is known.
fn known(saved: &Saved, tokens: &Tokens, recipe: &Recipe, most: Option<usize>) -> Result<Measure> {
    let test = limit(tokens.load(recipe)?.test, most, "--limit-test")?;
    let task = task_of(saved, &test)?;
    Ok((Arc::new(test), task))
}

/// What the data asks of the network: its classes where it has labels, or else vectors.
fn task_of(saved: &Saved, test: &TextSet) -> Result<Box<dyn Task>> {
    let sizes = [test.vocabulary(), test.longest()];
    match (saved.network.head(), test.labels()) {
        (Head::Classes(classes), Some(_)) => {
            if let Some(difference) =
                class_difference(&saved.metadata.classes, test.class_names(), test.name())
            {
                log::warn!("{difference}");
            }
            if classes != test.class_names().len() {
                let theirs = test.class_names().len();
                let message = format!("the network has {classes} classes, and {} {theirs}", test.name());
                return Err(Error::config("--data", message));
            }
            Ok(Box::new(Classify::of_texts(test, classes, sizes, ClassifyConfig::default())?))
        }
        (Head::Numbers(width), None) => Ok(Box::new(Embed::new(test, sizes, width)?)),
        (head, labels) => {
            let has = if labels.is_some() { "a class for each text" } else { "scores of pairs" };
            let message =
                format!("{} has {has}, and the network gives {} {}", test.name(), head.width(), head.noun());
            Err(Error::config("--data", message))
        }
    }
}

#[derive(Serialize)]
struct Evaluation {
    file: String,
    model: String,
    params: usize,
    data: String,
    texts: usize,
    adapter: String,
    texts_per_second: f64,
    batch_size: usize,
    metrics: Vec<Metric>,
}

fn print(r: &Evaluation) -> Result<()> {
    let model = printable(&r.model);
    say!("{model} ({} parameters) on {} test texts of {}", count(r.params as u64), r.texts, r.data)?;
    say!("run by {}\n", r.adapter)?;
    for metric in &r.metrics {
        let quantity: Quantity = metric.quantity();
        let unit = if metric.unit == Unit::Share { " %" } else { "" };
        say!("{:<20} {}{unit}", metric.name, quantity.shown(metric.value))?;
    }
    say!("{:<20} {:.0} texts/s in batches of {}", "speed", r.texts_per_second, r.batch_size)
}
