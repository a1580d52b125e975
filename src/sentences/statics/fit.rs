//! Rows trained on sentences, in closed form.
//!
//! With A (sentences, tokens) the means of sentences, E0 the token vectors minus their mean, weighted, and T the teacher's vectors
//! of the sentences, centred, of length 1 and then of the mean length c of A E0's rows:
//!
//! ```text
//! E = argmin |A E - T|^2 + lambda |E - E0|^2
//! ```
//!
//! which is one linear system for all columns of E, solved by conjugate gradients from E0, a column by itself: no learning rate, no
//! epochs, and the same bits however many cores share the columns. A is a list of token numbers; only rows of tokens that are
//! in a sentence move. Rows are then seen along the components of T, in which the teacher's sentences differ most: with few
//! numbers those keep more of what other texts differ in than components of A E do.

use super::build::{check, components, scales};
use super::{Recipe, bag::Bag};
use crate::algebra::components::mean;
use crate::platform::parallel::{Cost, in_parallel};
use crate::sentences::{Rows, Sentences};
use crate::{Error, Result};

/// Columns that are solved at once: what they need stays in a core's cache.
const COLUMNS: usize = 16;

/// How [`fit`] weighs and how long it works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// How much a row that stays where it was is worth, against sentences that come nearer: 0.001 to 0.1 are alike.
    pub lambda: f64,
    /// Steps of conjugate gradients.
    pub steps: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { lambda: 0.03, steps: 15 }
    }
}

/// A row (tokens, `recipe.dims`) for each token, such that means of sentences come near to the teacher's vectors of them.
///
/// `sentences`: token numbers as the rows of `tokens` count, without the unknown token, which is left out of means. `targets`
/// (sentences, width): the teacher's vectors of these sentences, of as many numbers as its token vectors have. `tokens` as in
/// [`build`](super::build). Weights that need counts take them from the sentences.
///
/// Memory: besides what comes in another (tokens, width) f32, and some of (sentences, width).
///
/// # Errors
/// [`Error::Shape`] for targets of another number or width, [`Error::Config`] for a recipe or options that do not fit, for
/// a token number that `tokens` has no row of, and for fewer sentences with tokens than components.
pub fn fit(
    sentences: &Sentences,
    targets: &Rows,
    tokens: &Rows,
    recipe: &Recipe,
    options: &FitOptions,
) -> Result<Rows> {
    check(tokens, recipe)?;
    expect(sentences, targets, tokens, options)?;
    let counts = sentences.counts(tokens.len())?;
    let weights = recipe.weights.of(tokens.len(), Some(&counts))?;
    let bag = Bag::new(sentences, &counts);
    let least = recipe.dims + recipe.dropped();
    if bag.len() <= least {
        let message =
            format!("expected more than the {least} components, got {} that have tokens", bag.len());
        return Err(Error::config("sentences", message));
    }
    let mut rows = start(tokens, &weights);
    let width = tokens.width();
    let targets = Targets::new(targets, &bag, length(&bag, width, &rows));
    let blocks: Vec<usize> = (0..width).step_by(COLUMNS).collect();
    let moves = in_parallel(Cost::Large, &blocks, |first| {
        solve(&bag, &targets, &rows, *first..(first + COLUMNS).min(width), options)
    });
    for (first, block) in blocks.into_iter().zip(moves) {
        let columns = COLUMNS.min(width - first);
        for (token, moved) in bag.tokens().iter().zip(block.chunks_exact(columns)) {
            let row = rows.iter_mut().skip(*token as usize * width + first);
            row.zip(moved).for_each(|(v, moved)| *v = (f64::from(*v) + moved) as f32);
        }
    }
    let wanted = targets.columns(&(0..width)).into_iter().map(|v| v as f32).collect();
    drop(targets);
    let components = components(&Rows::new(width, wanted)?, recipe).seen_by(&bag.means(width, &rows));
    Rows::new(recipe.dims, components.project(&rows, &scales(&components, recipe.scaling)))
}

fn expect(sentences: &Sentences, targets: &Rows, tokens: &Rows, options: &FitOptions) -> Result<()> {
    if targets.len() != sentences.len() || targets.width() != tokens.width() {
        let expected = format!(
            "a vector of {} numbers, as the token vectors have, for each of {} sentences",
            tokens.width(),
            sentences.len()
        );
        return Err(Error::shape("targets", expected, format!("({}, {})", targets.len(), targets.width())));
    }
    if !(options.lambda > 0.0 && options.lambda.is_finite()) {
        return Err(Error::config(
            "lambda",
            format!("expected a number above 0, such as 0.03, got {}", options.lambda),
        ));
    }
    if !(1..=10_000).contains(&options.steps) {
        return Err(Error::config("steps", format!("expected 1 to 10000, got {}", options.steps)));
    }
    Ok(())
}

/// Token vectors minus their mean, times their weights.
fn start(tokens: &Rows, weights: &[f64]) -> Vec<f32> {
    let mean = mean(tokens.width(), tokens.values());
    let mut values = Vec::with_capacity(tokens.values().len());
    for (row, weight) in tokens.iter().zip(weights) {
        values.extend(row.iter().zip(&mean).map(|(v, m)| ((f64::from(*v) - m) * weight) as f32));
    }
    values
}

/// The mean length of the sentences' means.
fn length(bag: &Bag, width: usize, rows: &[f32]) -> f64 {
    let squares = |row: &[f32]| row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
    let means = bag.means(width, rows);
    means.chunks_exact(width).map(|row| squares(row).sqrt()).sum::<f64>() / bag.len() as f64
}

/// The teacher's vectors, centred and of one length.
struct Targets<'a> {
    rows: &'a Rows,
    mean: Vec<f64>,
    /// Of each sentence of the bag its row, and what that is multiplied by.
    factors: Vec<(usize, f64)>,
}

impl<'a> Targets<'a> {
    fn new(rows: &'a Rows, bag: &Bag, length: f64) -> Self {
        let mut mean = vec![0.0; rows.width()];
        let of_bag = || bag.sentences().iter().filter_map(|at| Some((*at, rows.row(*at)?)));
        for (_, row) in of_bag() {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
        }
        mean.iter_mut().for_each(|m| *m /= bag.len() as f64);
        let factor = |row: &[f32]| {
            let squares: f64 = row.iter().zip(&mean).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum();
            if squares > 0.0 { length / squares.sqrt() } else { 0.0 }
        };
        let factors = of_bag().map(|(at, row)| (at, factor(row))).collect();
        Self { rows, mean, factors }
    }

    /// Some columns of all sentences.
    fn columns(&self, columns: &std::ops::Range<usize>) -> Vec<f64> {
        let mean = self.mean.get(columns.clone()).unwrap_or_default();
        let mut values = Vec::with_capacity(self.factors.len() * columns.len());
        for (at, factor) in &self.factors {
            let row = self.rows.row(*at).and_then(|row| row.get(columns.clone())).unwrap_or_default();
            values.extend(row.iter().zip(mean).map(|(v, m)| (f64::from(*v) - m) * factor));
        }
        values
    }
}

/// By how much some columns of the rows of the bag's tokens move: (tokens of the bag, columns).
fn solve(
    bag: &Bag,
    targets: &Targets<'_>,
    rows: &[f32],
    columns: std::ops::Range<usize>,
    options: &FitOptions,
) -> Vec<f64> {
    let (count, width) = (columns.len(), targets.mean.len());
    let mut before = Vec::with_capacity(bag.tokens().len() * count);
    for token in bag.tokens() {
        let first = *token as usize * width + columns.start;
        before.extend(rows.iter().skip(first).take(count).map(|v| f64::from(*v)));
    }
    // A^T (T - A E0), what is left at the start.
    let mut means = vec![0.0; bag.len() * count];
    bag.mean_of(count, &before, &mut means);
    let wanted = targets.columns(&columns);
    means.iter_mut().zip(&wanted).for_each(|(mean, wanted)| *mean = wanted - *mean);
    drop(wanted);
    let mut left = before;
    bag.spread(count, &means, &mut left);
    let (mut moved, mut along) = (vec![0.0; left.len()], left.clone());
    let mut image = vec![0.0; left.len()];
    let mut squares = products(count, &left, &left);
    for _ in 0..options.steps {
        bag.mean_of(count, &along, &mut means);
        bag.spread(count, &means, &mut image);
        image.iter_mut().zip(&along).for_each(|(q, p)| *q += options.lambda * p);
        let share = |(a, b): (&f64, &f64)| if *b > 0.0 { a / b } else { 0.0 };
        let far: Vec<f64> = squares.iter().zip(&products(count, &along, &image)).map(share).collect();
        for (far, (moved, along, left, image)) in far
            .iter()
            .cycle()
            .zip(moved.iter_mut().zip(&along).zip(&mut left).zip(&image).map(|(((m, a), l), i)| (m, a, l, i)))
        {
            *moved += far * along;
            *left -= far * image;
        }
        let after = products(count, &left, &left);
        let kept: Vec<f64> = after.iter().zip(&squares).map(share).collect();
        along.iter_mut().zip(&left).zip(kept.iter().cycle()).for_each(|((p, r), kept)| *p = r + kept * *p);
        squares = after;
    }
    moved
}

/// Of each column the sum of products.
fn products(columns: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (a, b) in a.chunks_exact(columns).zip(b.chunks_exact(columns)) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
