//! Which classes were taken for which, and how many mistakes an image has, at a score.
//!
//! Whatever the definition of average precision, boxes above the score are paired with truths at an overlap of at least one
//! half: best first, each with the free truth of its class that it overlaps most. A box that is left over is no mistake where it
//! lies in a crowd or on a difficult truth of its class. Those that are left then are paired with truths of other classes
//! that are left, likewise: they were taken for another class.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::here::{best_first, counts, is_finite};
use super::overlap::{inside, iou};
use crate::tasks::detect::{Found, Truth};

const OVERLAP: f64 = 0.5;

/// How often each class was taken for each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Boxes above this score count.
    pub score: f32,
    /// How many classes there are.
    pub classes: usize,
    /// The counts that are not 0, by row and column.
    pub cells: Vec<ConfusionCell>,
}

/// A count of a [`Confusion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionCell {
    /// The class that is there; `None`: background.
    pub truth: Option<usize>,
    /// The class that was found; `None`: missed.
    pub found: Option<usize>,
    /// How often.
    pub count: usize,
}

/// How well an image went at a score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMistakes {
    /// Truths that should be found.
    pub truths: usize,
    /// Those that no box of their class found.
    pub missed: usize,
    /// Boxes that found no truth of their class, and are excused by no crowd and no difficult truth.
    pub wrong: usize,
}

impl ImageMistakes {
    /// How bad it is: truths that were missed and boxes that are wrong.
    pub fn count(&self) -> usize {
        self.missed + self.wrong
    }
}

impl Confusion {
    /// How often `truth` (`None`: background) was found as `found` (`None`: missed).
    pub fn count(&self, truth: Option<usize>, found: Option<usize>) -> usize {
        self.cells.iter().find(|cell| (cell.truth, cell.found) == (truth, found)).map_or(0, |cell| cell.count)
    }

    /// All counts: a row for each class and one for background, in each a column for each class and one for missed.
    pub fn rows(&self) -> Vec<Vec<usize>> {
        let mut rows = vec![vec![0; self.classes + 1]; self.classes + 1];
        for cell in &self.cells {
            let (row, column) = (cell.truth.unwrap_or(self.classes), cell.found.unwrap_or(self.classes));
            if let Some(count) = rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                *count += cell.count;
            }
        }
        rows
    }
}

/// `each` gives the truths and the found boxes of an image.
pub(super) fn count<'a>(
    each: impl Iterator<Item = (&'a [Truth], &'a [Found])>,
    score: f32,
    classes: usize,
) -> (Confusion, Vec<ImageMistakes>) {
    let mut cells = BTreeMap::new();
    let images = each.map(|(truths, found)| image(truths, found, score, classes, &mut cells)).collect();
    let class = |class: usize| (class < classes).then_some(class);
    let cell = |((truth, found), count)| ConfusionCell { truth: class(truth), found: class(found), count };
    (Confusion { score, classes, cells: cells.into_iter().map(cell).collect() }, images)
}

/// Counts an image into `cells`, where `none` stands for background and for missed.
fn image(
    truths: &[Truth],
    found: &[Found],
    score: f32,
    none: usize,
    cells: &mut BTreeMap<(usize, usize), usize>,
) -> ImageMistakes {
    let mut add = |truth: usize, found: usize| *cells.entry((truth, found)).or_default() += 1;
    let mut found: Vec<&Found> = found.iter().filter(|f| f.score > score && is_finite(f)).collect();
    found.sort_by(|a, b| best_first(a, b));
    let mut free: Vec<&Truth> = truths.iter().filter(|truth| counts(truth)).collect();
    let mut mistakes = ImageMistakes { truths: free.len(), ..Default::default() };
    found.retain(|box_| match take(&mut free, box_, true) {
        Some(truth) => {
            add(truth.class, box_.class);
            false
        }
        None => !truths.iter().any(|truth| excuses(truth, box_)),
    });
    (mistakes.missed, mistakes.wrong) = (free.len(), found.len());
    for box_ in found {
        add(take(&mut free, box_, false).map_or(none, |truth| truth.class), box_.class);
    }
    free.iter().for_each(|truth| add(truth.class, none));
    mistakes
}

/// Takes the truth of its class, or of any, that a box overlaps most, the first of equals.
fn take<'a>(free: &mut Vec<&'a Truth>, found: &Found, same_class: bool) -> Option<&'a Truth> {
    let mut best = None;
    for (t, truth) in free.iter().enumerate().filter(|(_, truth)| !same_class || truth.class == found.class) {
        let overlap = iou(&found.bounds, &truth.bounds);
        if overlap >= OVERLAP && best.is_none_or(|(_, most)| overlap > most) {
            best = Some((t, overlap));
        }
    }
    best.map(|(t, _)| free.remove(t))
}

fn excuses(truth: &Truth, found: &Found) -> bool {
    let overlap = if truth.crowd { inside } else { iou };
    !counts(truth) && truth.class == found.class && overlap(&found.bounds, &truth.bounds) >= OVERLAP
}
