//! How good vectors of texts are: whether they say which texts are alike, and of which class they are.

use std::path::Path;
use std::time::Instant;

use super::embedder::Embedder;
use crate::Result;
use crate::cli::out::say;
use crate::data::text::{TextOptions, Texts, read_texts};
use crate::report::{Unit, mean_cosine};
use crate::sentences::Rows;
use crate::sentences::regression::Regression;
use crate::sentences::similarity::{agreement, retrieval};
use crate::tasks::Metric;
use crate::tasks::classify::ClassCounts;

/// What large weights of the regression cost, as in scikit-learn.
const C: f64 = 1.0;
/// Pairs among whose second texts a first one looks for its own: the work grows with the square.
const PAIRS: usize = 10_000;

/// What vectors came to on a data set.
pub struct Quality {
    /// Texts of the test part; two a pair.
    pub texts: usize,
    /// Texts that classes were learned from, where the data has classes.
    pub fitted_on: Option<usize>,
    /// Seconds for the vectors of the test part.
    pub seconds: f64,
    /// The figures.
    pub metrics: Vec<Metric>,
}

/// Measures vectors on the test part of the data set `name`: correlation and retrieval of scored pairs; of texts with a class
/// a logistic regression that learns from the vectors of the training part.
pub fn measure(
    embedder: &dyn Embedder,
    name: &str,
    dir: Option<&Path>,
    options: &TextOptions,
) -> Result<Quality> {
    let parts = read_texts(name, dir, options)?;
    let start = Instant::now();
    let rows = embedder.vectors(&parts.test)?;
    let seconds = start.elapsed().as_secs_f64();
    let (metrics, fitted_on) = match parts.test.scores() {
        Some(scores) => (pairs(&rows, scores)?, None),
        None => (classes(embedder, [&parts.train, &parts.test], &rows)?, Some(parts.train.len())),
    };
    Ok(Quality { texts: parts.test.len(), fitted_on, seconds, metrics })
}

/// Rows 2 i and 2 i + 1 are a pair, and both have its score.
fn pairs(rows: &Rows, scores: &[f32]) -> Result<Vec<Metric>> {
    let side = |first: usize, most: usize| {
        let values = rows.iter().skip(first).step_by(2).take(most).flatten().copied().collect();
        Rows::new(rows.width(), values)
    };
    let scores: Vec<f64> = scores.iter().step_by(2).map(|score| f64::from(*score)).collect();
    let found = agreement(&side(0, usize::MAX)?, &side(1, usize::MAX)?, &scores)?;
    let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let mut all = vec![
        Metric::correlation("spearman", of(found.map(|found| found.spearman))),
        Metric::correlation("pearson", of(found.map(|found| found.pearson))),
    ];
    let most = [1, 5, 10];
    let recalls = retrieval(&side(0, PAIRS)?, &side(1, PAIRS)?, most)?;
    all.extend(
        most.iter().zip(recalls).map(|(most, recall)| Metric::share(format!("recall@{most}"), recall)),
    );
    all.push(Metric {
        higher_is_better: false,
        ..Metric::correlation("mean cosine", of(mean_cosine(rows.iter())))
    });
    Ok(all)
}

/// What a regression on vectors of `train` makes of those of `test`, which are `rows`.
fn classes(embedder: &dyn Embedder, [train, test]: [&Texts; 2], rows: &Rows) -> Result<Vec<Metric>> {
    let (labels, names) = (train.labels().unwrap_or_default(), train.class_names());
    let found = Regression::fit(&embedder.vectors(train)?, labels, names.len(), C)?;
    let mut counts = ClassCounts::new(names.len());
    for (row, label) in rows.iter().zip(test.labels().unwrap_or_default()) {
        counts.add(*label as i32, &found.logits(row)?);
    }
    Ok(counts.by_class(names).metrics())
}

/// Prints the figures, one a line.
pub fn print(metrics: &[Metric], fitted_on: Option<usize>) -> Result<()> {
    for metric in metrics {
        let unit = if metric.unit == Unit::Share { " %" } else { "" };
        say!("{:<20} {}{unit}", metric.name, metric.quantity().shown(metric.value))?;
    }
    if let Some(texts) = fitted_on {
        say!("{:<20} logistic regression on its vectors of {texts} training texts", "classes by")?;
    }
    Ok(())
}
