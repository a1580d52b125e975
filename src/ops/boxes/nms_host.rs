//! Non-maximum suppression on the CPU: sorted once, with what stays found by its place.

use super::nms::{Nms, NmsKind};
use crate::{Error, Result};

/// Cells a side of the grid in which what stays is kept.
const CELLS: usize = 32;

/// The rows of `boxes` that stay, in the order of their scores, by the rule of [`nms`](super::nms()): `boxes` are (centre x,
/// centre y, width, height), a row whose class is negative is no box. For any number of boxes.
///
/// # Errors
///
/// Where the three differ in length, or a setting is out of its range.
pub fn nms_host(boxes: &[[f32; 4]], scores: &[f32], classes: &[i32], settings: &Nms) -> Result<Vec<usize>> {
    settings.check()?;
    let rows = boxes.len();
    if scores.len() != rows || classes.len() != rows {
        let got = format!("{rows} boxes, {} scores and {} classes", scores.len(), classes.len());
        return Err(Error::shape("nms", "as many scores and classes as boxes", got));
    }
    let is_box = |&row: &usize| scores[row] > settings.threshold && classes[row] >= 0;
    let mut left: Vec<usize> = (0..rows).filter(is_box).collect();
    let by_score = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    left.sort_unstable_by(|a, b| classes[*a].cmp(&classes[*b]).then(by_score(a, b)));
    let mut kept = Vec::new();
    let mut grid = Kept::new(settings);
    for class in left.chunk_by(|a, b| classes[*a] == classes[*b]) {
        grid.clear();
        let before = kept.len();
        for &row in class {
            if kept.len() - before == settings.most {
                break;
            }
            if grid.take(Placed::new(&boxes[row])) {
                kept.push(row);
            }
        }
    }
    kept.sort_unstable_by(by_score);
    kept.truncate(settings.most);
    Ok(kept)
}

/// A box as suppression compares it.
#[derive(Debug, Clone, Copy)]
struct Placed {
    centre: [f32; 2],
    sides: [f32; 2],
}

impl Placed {
    fn new(&[x, y, w, h]: &[f32; 4]) -> Self {
        Self { centre: [x, y], sides: [w, h] }
    }

    fn area(&self) -> f32 {
        self.sides[0] * self.sides[1]
    }

    /// Length of what both cover along an axis, below 0 where there is a gap; and of what lies between their ends.
    fn along(&self, other: &Self, axis: usize) -> [f32; 2] {
        let apart = other.centre[axis] - self.centre[axis];
        let (own, its) = (0.5 * self.sides[axis], 0.5 * other.sides[axis]);
        let (low, high) = (apart - its, apart + its);
        [own.min(high) - (-own).max(low), own.max(high) - (-own).min(low)]
    }
}

/// The boxes of a class that stay, by where their centres lie.
struct Kept {
    overlap: f32,
    beta: Option<f32>,
    /// How far apart, in sides of one of them, the centres of boxes may lie that overlap by more than is allowed.
    reach: f32,
    cells: Vec<Vec<Placed>>,
    filled: Vec<usize>,
}

impl Kept {
    fn new(settings: &Nms) -> Self {
        let overlap = settings.overlap;
        let beta = match settings.kind {
            NmsKind::Iou => None,
            NmsKind::Diou { beta } => Some(beta),
        };
        // Along an axis, with sides v <= w / overlap and centres d apart, both cover (v + w) / 2 - d of it, and IoU is at most
        // that by (v + w) / 2 + d: above `overlap` for d below (v + w) (1 - overlap) / (2 (1 + overlap)). A little more for
        // rounding.
        let reach = 1.001 * (1.0 - overlap) / (2.0 * overlap) + 1e-3;
        Self { overlap, beta, reach, cells: vec![Vec::new(); CELLS * CELLS], filled: Vec::new() }
    }

    fn clear(&mut self) {
        for cell in self.filled.drain(..) {
            self.cells[cell].clear();
        }
    }

    /// Keeps a box where none that is kept shows the same; says whether it did.
    fn take(&mut self, new: Placed) -> bool {
        let cell = |x: f32| (x * CELLS as f32).clamp(0.0, (CELLS - 1) as f32) as usize;
        let near = [0, 1].map(|axis| {
            let reach = self.reach * new.sides[axis].max(0.0);
            cell(new.centre[axis] - reach)..=cell(new.centre[axis] + reach)
        });
        for row in near[1].clone() {
            for column in near[0].clone() {
                if self.cells[row * CELLS + column].iter().any(|old| self.is_same(old, &new)) {
                    return false;
                }
            }
        }
        let at = cell(new.centre[1]) * CELLS + cell(new.centre[0]);
        if self.cells[at].is_empty() {
            self.filled.push(at);
        }
        self.cells[at].push(new);
        true
    }

    fn is_same(&self, a: &Placed, b: &Placed) -> bool {
        let [[inner_x, outer_x], [inner_y, outer_y]] = [a.along(b, 0), a.along(b, 1)];
        if inner_x <= 0.0 || inner_y <= 0.0 {
            return false;
        }
        let inner = inner_x * inner_y;
        let union = a.area() + b.area() - inner;
        if inner <= self.overlap * union {
            return false;
        }
        let Some(beta) = self.beta else { return true };
        let squared = |x: f32, y: f32| x * x + y * y;
        let apart = squared(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1]);
        inner / union - (apart / squared(outer_x, outer_y)).powf(beta) > self.overlap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Boxes, scores and classes: about things at random places, as detectors find them, or anywhere.
    fn scene(name: &str, rows: usize, classes: usize, things: usize) -> (Vec<[f32; 4]>, Vec<f32>, Vec<i32>) {
        let mut random = Stream::new(5, name);
        let mut anywhere = |least: f64| {
            let mut next = |low: f64, high: f64| random.uniform(low, high) as f32;
            [next(-0.1, 1.1), next(-0.1, 1.1), next(least, 0.5), next(least, 0.5)]
        };
        let things: Vec<[f32; 4]> = (0..things).map(|_| anywhere(0.02)).collect();
        let mut boxes: Vec<[f32; 4]> = (0..rows).map(|_| anywhere(0.001)).collect();
        for (i, b) in boxes.iter_mut().enumerate().filter(|_| !things.is_empty()) {
            let thing = things[i % things.len()];
            *b = [0, 1, 2, 3].map(|k| thing[k] + 0.3 * (b[k] - 0.25) * thing[k % 2 + 2]);
        }
        let scores = (0..rows).map(|_| random.uniform(0.0, 1.0) as f32).collect();
        let classes = (0..rows).map(|_| random.below(classes + 1) as i32 - 1).collect();
        (boxes, scores, classes)
    }

    #[test]
    fn what_stays_is_what_the_rule_says() {
        let mut stayed = 0;
        for (name, rows, classes, things) in [
            ("none", 0, 1, 0),
            ("one", 1, 1, 0),
            ("anywhere", 700, 3, 0),
            ("things", 900, 2, 25),
            ("crowd", 1200, 1, 3),
        ] {
            let (boxes, scores, labels) = scene(name, rows, classes, things);
            for kind in [NmsKind::Iou, NmsKind::Diou { beta: 0.6 }, NmsKind::Diou { beta: 2.0 }] {
                for (overlap, most) in
                    [(0.0, 50), (0.05, 1000), (0.45, 1000), (0.45, 7), (0.9, 300), (1.0, 1000)]
                {
                    let settings = Nms { threshold: 0.2, overlap, most, kind };
                    let got = nms_host(&boxes, &scores, &labels, &settings).unwrap();
                    let flat: Vec<f64> = boxes.iter().flatten().map(|x| f64::from(*x)).collect();
                    let scores: Vec<f64> = scores.iter().map(|x| f64::from(*x)).collect();
                    let labels: Vec<f64> = labels.iter().map(|x| f64::from(*x)).collect();
                    assert_eq!(got, settings.plainly(&flat, &scores, &labels), "{name} {settings:?}");
                    stayed += got.len();
                }
            }
        }
        assert!(stayed > 1000, "only {stayed} boxes stayed");
    }

    #[test]
    fn of_equal_scores_the_first_row_stays() {
        let same = [[0.5, 0.5, 0.2, 0.2]; 4];
        let settings = Nms { threshold: 0.0, overlap: 0.45, most: 9, kind: NmsKind::Iou };
        assert_eq!(nms_host(&same, &[0.5, 0.9, 0.9, 0.1], &[0, 0, 0, 1], &settings).unwrap(), [1, 3]);
        // What is no number is no box.
        assert_eq!(nms_host(&same, &[f32::NAN, 0.5, -1.0, 0.5], &[0, 0, 0, -1], &settings).unwrap(), [1]);
    }

    #[test]
    fn wrong_settings_are_refused_in_words() {
        let fine = Nms { threshold: 0.0, overlap: 0.45, most: 9, kind: NmsKind::Iou };
        for wrong in [
            Nms { overlap: 1.5, ..fine },
            Nms { overlap: f32::NAN, ..fine },
            Nms { threshold: f32::NAN, ..fine },
            Nms { most: 0, ..fine },
            Nms { kind: NmsKind::Diou { beta: 0.0 }, ..fine },
        ] {
            assert!(nms_host(&[], &[], &[], &wrong).is_err(), "{wrong:?}");
        }
        let message = nms_host(&[[0.0; 4]], &[], &[0], &fine).unwrap_err().to_string();
        assert!(message.contains("1 boxes, 0 scores and 1 classes"), "{message}");
    }
}
