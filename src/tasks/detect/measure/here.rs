//! What an image has of a class, and the order of boxes.

use std::cmp::Ordering;

use crate::tasks::detect::{Found, Truth};

/// What an image has of a class.
pub(super) struct Here<'a> {
    image: usize,
    /// In the order of the image.
    pub truths: Vec<&'a Truth>,
    /// Best first.
    pub found: Vec<&'a Found>,
}

impl<'a> Here<'a> {
    /// That of an image, at the end of a class.
    pub fn of<'b>(class: &'b mut Vec<Here<'a>>, image: usize) -> &'b mut Here<'a> {
        if class.last().is_none_or(|last| last.image != image) {
            class.push(Here { image, truths: Vec::new(), found: Vec::new() });
        }
        let last = class.len() - 1;
        &mut class[last]
    }
}

/// Whether it can be counted on: see the module.
pub(super) fn is_finite(found: &Found) -> bool {
    found.score.is_finite() && found.bounds.iter().all(|side| side.is_finite())
}

/// What boxes are ordered by.
pub(super) fn rank(found: &Found) -> f64 {
    if is_finite(found) { f64::from(found.score) } else { f64::NEG_INFINITY }
}

/// The better score first; for stable sorts.
pub(super) fn best_first(a: &Found, b: &Found) -> Ordering {
    by_rank(rank(a), rank(b))
}

/// The higher rank first; for stable sorts. Ranks are never NaN.
pub(super) fn by_rank(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

/// Whether a truth is one that should be found.
pub(super) fn counts(truth: &Truth) -> bool {
    !truth.crowd && !truth.difficult
}
