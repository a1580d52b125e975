//! Texts: which are of the right class, or whose vectors go with people's scores of pairs.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::EvalFlags;
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::box_flags::not_of_classes;
use crate::cli::run::embedder::{Embedder, Encoder, Table};
use crate::cli::run::quality::{self, Quality, measure};
use crate::cli::run::recipe::Recipe;
use crate::cli::run::subject::class_difference;
use crate::cli::run::subject::tokens::{Tokens, limit};
use crate::data::Source;
use crate::data::text::TextSet;
use crate::models::saved::{Overrides, Saved};
use crate::models::{Head, InputSpec};
use crate::report::{count, printable};
use crate::sentences::answers;
use crate::sentences::statics::StaticModel;
use crate::tasks::Metric;
use crate::tasks::classify::ClassCounts;
use crate::{Error, Result};

/// Measures the network or the static model on the test part of the data, and prints.
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
    if flags.batch_size.is_some() {
        return Err(Error::config("--batch-size", "texts share batches by their tokens; leave it out"));
    }
    let path = &flags.model.file;
    let result = if StaticModel::is_folder(path) {
        vectors(&Table::open(path)?, flags)?
    } else {
        let saved = flags.model.open(Overrides::default(), &Overrides::default())?;
        match saved.network.head() {
            Head::Numbers(_) => vectors(&Encoder::new(adapter, path, saved, None)?, flags)?,
            _ => classes(adapter, flags, &saved)?,
        }
    };
    if flags.json {
        json(&result)?
    } else {
        print(&result)?
    }
    Ok(ExitCode::SUCCESS)
}

/// What vectors say.
fn vectors(embedder: &dyn Embedder, flags: &EvalFlags) -> Result<Evaluation> {
    if flags.limit_test.is_some() {
        let message = "vectors are measured on all texts, and scored pairs stay together; leave it out";
        return Err(Error::config("--limit-test", message));
    }
    let Quality { texts, fitted_on, seconds, metrics } =
        measure(embedder, &flags.data, flags.data_dir.as_deref())?;
    Ok(Evaluation {
        file: flags.model.file.display().to_string(),
        model: embedder.model(),
        params: embedder.params(),
        data: flags.data.clone(),
        texts,
        adapter: embedder.runs_on(),
        texts_per_second: texts as f64 / seconds,
        fitted_on,
        metrics,
    })
}

/// What a classifier says.
fn classes(adapter: &AdapterFlags, flags: &EvalFlags, saved: &Saved) -> Result<Evaluation> {
    let InputSpec::Tokens { longest, .. } = saved.network.input() else {
        let message = format!("{} has texts, and the network takes {}", flags.data, saved.network.input());
        return Err(Error::config("--data", message));
    };
    let recipe = Recipe {
        data: Some(flags.data.clone()),
        data_dir: flags.data_dir.clone(),
        max_tokens: Some(longest),
        ..Default::default()
    };
    let tokens = Tokens::with(&flags.model.file, saved, longest)?;
    let test = Arc::new(limit(tokens.load(&recipe)?.test, flags.limit_test, "--limit-test")?);
    check_fit(saved, &test)?;
    let gpu = adapter.open()?;
    let start = Instant::now();
    let rows = answers(&gpu, &saved.network, &test)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut counts = ClassCounts::new(saved.network.head().width());
    for (row, label) in rows.chunks(saved.network.head().width()).zip(test.labels().unwrap_or_default()) {
        counts.add(*label as i32, row);
    }
    let found = counts.by_class(&saved.metadata.classes);
    if found.not_finite > 0 {
        let n = found.not_finite;
        log::warn!("the network's outputs are NaN or infinite for {n} texts, which count as wrong");
    }
    Ok(Evaluation {
        file: flags.model.file.display().to_string(),
        model: saved.network.name.clone(),
        params: saved.network.params.trainable_elements(),
        data: test.name().to_string(),
        texts: test.len(),
        adapter: format!("{} ({})", gpu.caps().name, gpu.caps().backend),
        texts_per_second: test.len() as f64 / seconds,
        fitted_on: None,
        metrics: found.metrics(),
    })
}

/// Fails where the data has no classes, or another number of them.
fn check_fit(saved: &Saved, test: &TextSet) -> Result<()> {
    let (name, ours, theirs) = (test.name(), saved.network.head().width(), test.class_names().len());
    if test.labels().is_none() {
        let message = format!(
            "{name} has scores of pairs, and the network gives {ours} {}; take an encoder of sentences",
            saved.network.head().noun()
        );
        return Err(Error::config("--data", message));
    }
    if let Some(difference) = class_difference(&saved.metadata.classes, test.class_names(), name) {
        log::warn!("{difference}");
    }
    if ours != theirs {
        return Err(Error::config("--data", format!("the network has {ours} classes, and {name} {theirs}")));
    }
    Ok(())
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
    /// Training texts that classes were learned from, of vectors alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    fitted_on: Option<usize>,
    metrics: Vec<Metric>,
}

fn print(r: &Evaluation) -> Result<()> {
    let model = printable(&r.model);
    say!("{model} ({} parameters) on {} test texts of {}", count(r.params as u64), r.texts, r.data)?;
    say!("run by {}\n", r.adapter)?;
    quality::print(&r.metrics, r.fitted_on)?;
    say!("{:<20} {:.0} texts/s", "speed", r.texts_per_second)
}
