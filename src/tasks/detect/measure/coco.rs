//! COCO's measures of a class, as pycocotools computes them.

use super::curve::{Curve, CurvePoint, Judged, points};
use super::here::{Here, by_rank, counts, is_finite, rank};
use super::overlap::{area, inside, iou};
use crate::tasks::detect::{Found, Truth};

/// How many overlaps there are from .50 to .95.
const OVERLAPS: usize = 10;
/// Boxes of an image and class that count.
const MOST: usize = 100;
/// The numbers of boxes at which recall is measured.
const RECALLS: [usize; 3] = [1, 10, MOST];
/// Areas in pixels that count, ends included: all, small, medium, large.
const AREAS: [(f64, f64); 4] = [(0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10)];

/// A class's measures, each a mean over overlaps where it is not of one; `None` where there are no such truths.
pub(super) struct OfClass {
    /// By area.
    pub precision: [Option<f64>; 4],
    pub precision_50: Option<f64>,
    pub precision_75: Option<f64>,
    /// By number of boxes.
    pub recall: [Option<f64>; 3],
    /// By area.
    pub recall_by_area: [Option<f64>; 4],
    /// At an overlap of one half.
    pub curve: Vec<CurvePoint>,
}

/// A found box: what it is at each overlap (bits) and area.
struct Ranked {
    rank: f64,
    /// How many of its image are better.
    place: usize,
    right: [u16; 4],
    ignored: [u16; 4],
}

/// Exactly NumPy's `linspace(0.5, 0.95, 10)`.
fn overlaps() -> [f64; OVERLAPS] {
    let step = (0.95 - 0.5) / 9.0;
    std::array::from_fn(|k| if k == OVERLAPS - 1 { 0.95 } else { k as f64 * step + 0.5 })
}

pub(super) fn class(images: &[Here]) -> OfClass {
    let mut boxes: Vec<Ranked> = images.iter().flat_map(judge).collect();
    boxes.sort_by(|a, b| by_rank(a.rank, b.rank));
    let truths = AREAS.map(|range| {
        images.iter().flat_map(|here| &here.truths).filter(|truth| !ignored(truth, range)).count()
    });
    let mut precision = [[None; OVERLAPS]; 4];
    let mut recall = precision;
    for (area, truths) in truths.into_iter().enumerate() {
        for overlap in 0..OVERLAPS {
            let curve = Curve::new(counted(&boxes, area, overlap).map(|judged| judged.right), truths);
            precision[area][overlap] = curve.as_ref().map(Curve::at_101);
            recall[area][overlap] = curve.as_ref().map(Curve::recall);
        }
    }
    let judged: Vec<Judged> = counted(&boxes, 0, 0).collect();
    OfClass {
        precision: precision.map(mean),
        precision_50: precision[0][0],
        precision_75: precision[0][5],
        recall: RECALLS.map(|most| mean(recall_of(&boxes, most, truths[0]))),
        recall_by_area: recall.map(mean),
        curve: points(&judged, truths[0]),
    }
}

/// `None` where there are no truths.
fn mean(by_overlap: [Option<f64>; OVERLAPS]) -> Option<f64> {
    by_overlap.into_iter().sum::<Option<f64>>().map(|sum| sum / OVERLAPS as f64)
}

/// The boxes that count at an overlap.
fn counted(boxes: &[Ranked], area: usize, overlap: usize) -> impl Iterator<Item = Judged> {
    let counts = boxes.iter().filter(move |b| b.ignored[area] >> overlap & 1 == 0);
    counts.map(move |b| Judged { rank: b.rank, right: b.right[area] >> overlap & 1 == 1 })
}

/// The share of truths that the `most` best boxes of each image find, at each overlap.
fn recall_of(boxes: &[Ranked], most: usize, truths: usize) -> [Option<f64>; OVERLAPS] {
    let mut right = [0; OVERLAPS];
    for ranked in boxes.iter().filter(|ranked| ranked.place < most && ranked.right[0] != 0) {
        (0..OVERLAPS).for_each(|overlap| right[overlap] += usize::from(ranked.right[0] >> overlap & 1));
    }
    right.map(|right| (truths > 0).then(|| right as f64 / truths as f64))
}

fn ignored(truth: &Truth, range: (f64, f64)) -> bool {
    !counts(truth) || outside(f64::from(truth.area), range)
}

fn outside(area: f64, (from, to): (f64, f64)) -> bool {
    area < from || area > to
}

/// What the boxes of an image are.
fn judge(here: &Here) -> Vec<Ranked> {
    let overlaps = overlaps();
    let found = &here.found[..here.found.len().min(MOST)];
    let mut boxes: Vec<Ranked> =
        found.iter().enumerate().map(|(place, found)| unpaired(found, place)).collect();
    let near = found.iter().map(|found| near(found, &here.truths)).enumerate();
    let near: Vec<(usize, Vec<(usize, f64)>)> = near.filter(|(_, near)| !near.is_empty()).collect();
    let mut taken = vec![false; here.truths.len()];
    for (area, range) in AREAS.into_iter().enumerate() {
        let ignored: Vec<bool> = here.truths.iter().map(|truth| ignored(truth, range)).collect();
        for (overlap, least) in overlaps.into_iter().enumerate() {
            taken.fill(false);
            for (place, near) in &near {
                // A crowd is never taken.
                let free = |t: usize| !taken[t] || here.truths[t].crowd;
                let counted = most(near, least, |t| !ignored[t] && free(t));
                if let Some(t) = counted.or_else(|| most(near, least, |t| ignored[t] && free(t))) {
                    taken[t] = true;
                    boxes[*place].pair(area, overlap, ignored[t]);
                }
            }
        }
    }
    boxes
}

/// A box that found nothing: wrong where its own area counts, ignored elsewhere.
fn unpaired(found: &Found, place: usize) -> Ranked {
    let ignored =
        AREAS.map(|range| if is_finite(found) && outside(area(&found.bounds), range) { u16::MAX } else { 0 });
    Ranked { rank: rank(found), place, right: [0; 4], ignored }
}

impl Ranked {
    /// It found a truth, one that counts or one to ignore.
    fn pair(&mut self, area: usize, overlap: usize, ignored: bool) {
        let bit = 1 << overlap;
        if ignored {
            self.ignored[area] |= bit;
        } else {
            self.right[area] |= bit;
            self.ignored[area] &= !bit;
        }
    }
}

/// The truths that a box overlaps enough for the lowest threshold, and how much.
fn near(found: &Found, truths: &[&Truth]) -> Vec<(usize, f64)> {
    if !is_finite(found) {
        return Vec::new();
    }
    let overlap = |truth: &Truth| match truth.crowd {
        true => inside(&found.bounds, &truth.bounds),
        false => iou(&found.bounds, &truth.bounds),
    };
    let all = truths.iter().enumerate().map(|(t, truth)| (t, overlap(truth)));
    all.filter(|(_, overlap)| *overlap >= 0.5).collect()
}

/// The one that overlaps most, the last of equals, among those from `least` up.
fn most(near: &[(usize, f64)], least: f64, open: impl Fn(usize) -> bool) -> Option<usize> {
    let enough = near.iter().filter(|(t, overlap)| *overlap >= least && open(*t));
    enough
        .fold(None, |best: Option<(usize, f64)>, &(t, overlap)| match best {
            Some((_, other)) if other > overlap => best,
            _ => Some((t, overlap)),
        })
        .map(|(t, _)| t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_those_of_numpy() {
        let bits = overlaps().map(f64::to_bits);
        let want = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95].map(f64::to_bits);
        assert!(bits.iter().zip(want).all(|(a, b)| a.abs_diff(b) <= 2));
        assert_eq!((bits[0], bits[5], bits[9]), (want[0], want[5], want[9]));
    }
}
