//! Rows from token vectors alone, without any text.

use super::{Recipe, Scaling};
use crate::algebra::components::{Components, mean};
use crate::sentences::Rows;
use crate::{Error, Result};

/// Widest vectors that components are computed of: the work grows with the cube.
const MOST_WIDTH: usize = 4096;

/// A row (tokens, `recipe.dims`) for each token: principal components of the token vectors, f64 on the host, a component pointing
/// to where its largest number is positive, scaled and weighted.
///
/// `tokens` (tokens, width) are an encoder's vectors of single tokens, in the order of the tokenizer's numbers after what
/// [`Vocabulary::trim`](super::Vocabulary::trim) leaves out. `counts`: how often each is in sentences, where the weights need it.
///
/// # Errors
/// [`Error::Config`] for a recipe that does not fit the vectors, or whose weights need counts that are not there, and for
/// vectors of more than 4096 numbers.
pub fn build(tokens: &Rows, recipe: &Recipe, counts: Option<&[u64]>) -> Result<Rows> {
    check(tokens, recipe)?;
    let weights = recipe.weights.of(tokens.len(), counts)?;
    let components = components(tokens, recipe);
    let mut values = components.project(tokens.values(), &scales(&components, recipe.scaling));
    for (row, weight) in values.chunks_exact_mut(recipe.dims).zip(weights) {
        row.iter_mut().for_each(|v| *v = (f64::from(*v) * weight) as f32);
    }
    Rows::new(recipe.dims, values)
}

/// Fails for vectors that have no such components.
pub(super) fn check(tokens: &Rows, recipe: &Recipe) -> Result<()> {
    recipe.check(tokens.width())?;
    if tokens.width() > MOST_WIDTH {
        let message = format!("expected vectors of at most {MOST_WIDTH} numbers, got {}", tokens.width());
        return Err(Error::config("token vectors", message));
    }
    if tokens.is_empty() {
        return Err(Error::config("token vectors", "expected one token at least, got none"));
    }
    Ok(())
}

/// The components of a recipe.
pub(super) fn components(rows: &Rows, recipe: &Recipe) -> Components {
    Components::of(rows.values(), mean(rows.width(), rows.values()), recipe.dropped(), recipe.dims)
}

/// What each component is multiplied by. One without variance is left out.
pub(super) fn scales(components: &Components, scaling: Scaling) -> Vec<f64> {
    let scale = |variance: &f64| match scaling {
        Scaling::QuarterRoot if *variance > 0.0 => 1.0 / variance.sqrt().sqrt(),
        Scaling::QuarterRoot => 0.0,
        Scaling::None | Scaling::DropLargest(_) => 1.0,
    };
    components.variances().iter().map(scale).collect()
}
