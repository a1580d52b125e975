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
struct Box {
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
    let mut boxes: Vec<Box> = images.iter().flat_map(judge).collect();
    boxes.sort_by(|a, b| by_rank(a.rank, b.rank));
    let truths = AREAS.map(|range| {
        images.iter().flat_map(|here| &here.truths).filter(|truth| !ignored(truth, range)).count()
    });
    let at = |area: usize, overlap: usize, most: usize| {
        Curve::new(counted(&boxes, area, overlap, most).map(|judged| judged.right), truths[area])
    };
    let mean = |of: &dyn Fn(usize) -> Option<f64>| {
        let sum: Option<f64> = (0..OVERLAPS).map(of).sum();
        sum.map(|sum| sum / OVERLAPS as f64)
    };
    let mut all: [Vec<Option<(f64, f64)>>; 4] = Default::default();
    for (area, all) in all.iter_mut().enumerate() {
        let both = |curve: Curve| (curve.at_101(), curve.recall());
        *all = (0..OVERLAPS).map(|overlap| at(area, overlap, MOST).map(both)).collect();
    }
    let precision = |area: usize, overlap: usize| all[area][overlap].map(|(precision, _)| precision);
    let recall = |area: usize, overlap: usize| all[area][overlap].map(|(_, recall)| recall);
    let judged: Vec<Judged> = counted(&boxes, 0, 0, MOST).collect();
    OfClass {
        precision: std::array::from_fn(|area| mean(&|overlap| precision(area, overlap))),
        precision_50: precision(0, 0),
        precision_75: precision(0, 5),
        recall: RECALLS.map(|most| mean(&|overlap| at(0, overlap, most).map(|curve| curve.recall()))),
        recall_by_area: std::array::from_fn(|area| mean(&|overlap| recall(area, overlap))),
        curve: points(&judged, truths[0]),
    }
}

/// The boxes that count at an overlap, among the `most` best of each image.
fn counted(boxes: &[Box], area: usize, overlap: usize, most: usize) -> impl Iterator<Item = Judged> {
    let counts = move |b: &&Box| b.place < most && b.ignored[area] >> overlap & 1 == 0;
    boxes
        .iter()
        .filter(counts)
        .map(move |b| Judged { rank: b.rank, right: b.right[area] >> overlap & 1 == 1 })
}

fn ignored(truth: &Truth, range: (f64, f64)) -> bool {
    !counts(truth) || outside(f64::from(truth.area), range)
}

fn outside(area: f64, (from, to): (f64, f64)) -> bool {
    area < from || area > to
}

/// What the boxes of an image are.
fn judge(here: &Here) -> Vec<Box> {
    let overlaps = overlaps();
    let found = &here.found[..here.found.len().min(MOST)];
    let near: Vec<Vec<(usize, f64)>> = found.iter().map(|found| near(found, &here.truths)).collect();
    let start =
        |(place, found): (usize, &&Found)| Box { rank: rank(found), place, right: [0; 4], ignored: [0; 4] };
    let mut boxes: Vec<Box> = found.iter().enumerate().map(start).collect();
    let mut taken = vec![false; here.truths.len()];
    for (a, range) in AREAS.into_iter().enumerate() {
        let ignored: Vec<bool> = here.truths.iter().map(|truth| ignored(truth, range)).collect();
        let outside = |found: &Found| is_finite(found) && outside(area(&found.bounds), range);
        for (o, overlap) in overlaps.into_iter().enumerate() {
            taken.fill(false);
            for (k, box_) in boxes.iter_mut().enumerate() {
                // A crowd is never taken.
                let free = |t: usize| !taken[t] || here.truths[t].crowd;
                let counted = most(&near[k], overlap, |t| !ignored[t] && free(t));
                match counted.or_else(|| most(&near[k], overlap, |t| ignored[t] && free(t))) {
                    Some(t) => {
                        taken[t] = true;
                        if ignored[t] { box_.ignored[a] |= 1 << o } else { box_.right[a] |= 1 << o }
                    }
                    None if outside(found[k]) => box_.ignored[a] |= 1 << o,
                    None => {}
                }
            }
        }
    }
    boxes
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
