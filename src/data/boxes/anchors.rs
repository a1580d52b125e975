//! Shapes that stand for those of a data set's boxes: k-means of widths and heights.

use crate::ops::boxes::{nearest_shape, shape_iou};
use crate::rng::Stream;
use crate::{Error, Result};

/// Of more boxes a part is drawn: more do not move the result.
const MOST_SHAPES: usize = 50_000;
/// Beginnings that are tried; the best end is kept.
const STARTS: usize = 8;
/// Rounds of one try, which ends earlier where nothing changes any more.
const ROUNDS: usize = 200;

/// Anchors and how well they fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchors {
    /// Width and height in pixels of the network's input, the smallest area first.
    pub shapes: Vec<[f32; 2]>,
    /// The mean over boxes of the overlap (IoU) with the anchor that fits best, where both have one centre.
    pub mean_iou: f64,
}

/// `k` anchors for boxes of these widths and heights ([`super::BoxSet::shapes`]): k-means with the distance 1 - IoU of boxes on
/// one centre (Redmon and Farhadi 1612.08242), begun as k-means++ does (Arthur and Vassilvitskii 2007). The result depends on
/// nothing but the shapes and `seed`.
///
/// # Errors
/// [`Error::Config`] for no anchor, more anchors than there are different shapes, and shapes that are no positive numbers.
pub fn anchors(shapes: &[[f32; 2]], k: usize, seed: u64) -> Result<Anchors> {
    if let Some(bad) = shapes.iter().flatten().find(|side| !(side.is_finite() && **side > 0.0)) {
        return Err(Error::config("shapes", format!("expected widths and heights over 0, got {bad}")));
    }
    let mut stream = Stream::new(seed, "anchors");
    let all: Vec<[f64; 2]> = drawn(shapes, &mut stream);
    let mut distinct = all.clone();
    distinct.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    distinct.dedup();
    if k == 0 || k > distinct.len() {
        let message =
            format!("expected 1 to {}, the different shapes of boxes there are, got {k}", distinct.len());
        return Err(Error::config("count", message));
    }
    let mut best: Option<(f64, Vec<[f64; 2]>)> = None;
    for _ in 0..STARTS {
        let found = improved(&all, begin(&all, k, &mut stream));
        if best.as_ref().is_none_or(|(score, _)| found.0 > *score) {
            best = Some(found);
        }
    }
    let mut chosen = best.map(|(_, anchors)| anchors).unwrap_or_default();
    chosen.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])).then(a[0].total_cmp(&b[0])));
    let chosen: Vec<[f32; 2]> = chosen.into_iter().map(|shape| shape.map(|side| side as f32)).collect();
    Ok(Anchors { mean_iou: mean_iou(shapes, &chosen), shapes: chosen })
}

/// The mean over shapes of the best overlap with an anchor; 0 where there are none.
pub fn mean_iou(shapes: &[[f32; 2]], anchors: &[[f32; 2]]) -> f64 {
    let wide = |shape: &[f32; 2]| shape.map(f64::from);
    let anchors: Vec<[f64; 2]> = anchors.iter().map(wide).collect();
    let sum: f64 = shapes.iter().map(|shape| nearest_shape(wide(shape), &anchors).1).sum();
    sum / shapes.len().max(1) as f64
}

fn drawn(shapes: &[[f32; 2]], stream: &mut Stream) -> Vec<[f64; 2]> {
    let wide = |shape: &[f32; 2]| shape.map(f64::from);
    if shapes.len() <= MOST_SHAPES {
        return shapes.iter().map(wide).collect();
    }
    (0..MOST_SHAPES).filter_map(|_| shapes.get(stream.below(shapes.len()))).map(wide).collect()
}

/// The first anchors: each a shape, drawn in proportion to its distance to those before.
fn begin(shapes: &[[f64; 2]], k: usize, stream: &mut Stream) -> Vec<[f64; 2]> {
    let mut anchors = vec![shapes[stream.below(shapes.len())]];
    let mut distances: Vec<f64> = vec![f64::INFINITY; shapes.len()];
    while anchors.len() < k {
        let last = anchors[anchors.len() - 1];
        for (distance, &shape) in distances.iter_mut().zip(shapes) {
            *distance = distance.min((1.0 - shape_iou(shape, last)).max(0.0));
        }
        let mut left = stream.unit() * distances.iter().sum::<f64>();
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // Rounding may leave nothing: the farthest one then.
        let farthest =
            || (0..shapes.len()).max_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap_or(0);
        anchors.push(shapes[drawn.unwrap_or_else(farthest)]);
    }
    anchors
}

/// Moves anchors to the mean of the shapes nearest to them until nothing changes. A mean does not always lower this distance,
/// so the best anchors on the way are kept, with their sum of overlaps.
fn improved(shapes: &[[f64; 2]], mut anchors: Vec<[f64; 2]>) -> (f64, Vec<[f64; 2]>) {
    let mut best = (f64::NEG_INFINITY, anchors.clone());
    let mut before: Vec<usize> = Vec::new();
    for _ in 0..ROUNDS {
        let found: Vec<(usize, f64)> = shapes.iter().map(|&shape| nearest_shape(shape, &anchors)).collect();
        let score: f64 = found.iter().map(|(_, iou)| iou).sum();
        if score > best.0 {
            best = (score, anchors.clone());
        }
        let of: Vec<usize> = found.iter().map(|(k, _)| *k).collect();
        if of == before {
            break;
        }
        let mut sums = vec![([0.0, 0.0], 0usize); anchors.len()];
        for (&k, shape) in of.iter().zip(shapes) {
            let (sum, count) = &mut sums[k];
            (sum[0], sum[1], *count) = (sum[0] + shape[0], sum[1] + shape[1], *count + 1);
        }
        for (anchor, (sum, count)) in anchors.iter_mut().zip(sums) {
            if count > 0 {
                *anchor = sum.map(|side| side / count as f64);
            }
        }
        before = of;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::message;

    /// Shapes around three centres.
    fn groups(n: usize) -> Vec<[f32; 2]> {
        let mut stream = Stream::new(5, "groups");
        (0..n)
            .map(|k| {
                let centre = [[10.0, 14.0], [60.0, 20.0], [100.0, 180.0]][k % 3];
                centre.map(|side: f64| (side * stream.uniform(0.85, 1.15)) as f32)
            })
            .collect()
    }

    /// The best sum of overlaps of any two groups with their means as anchors: all ways of dividing are tried.
    fn best_of_all_pairs(shapes: &[[f32; 2]]) -> f64 {
        let mut best = 0.0f64;
        for mask in 1..(1u32 << shapes.len()) - 1 {
            let mean = |wanted: bool| {
                let of: Vec<&[f32; 2]> = (0..shapes.len())
                    .filter(|&k| (mask >> k & 1 == 1) == wanted)
                    .map(|k| &shapes[k])
                    .collect();
                [0, 1].map(|side| of.iter().map(|s| f64::from(s[side])).sum::<f64>() / of.len() as f64)
            };
            let anchors = [mean(true), mean(false)];
            let overlap = |s: &[f32; 2], a: &[f64; 2]| {
                let (w, h) = (f64::from(s[0]), f64::from(s[1]));
                let (iw, ih) = (w.min(a[0]), h.min(a[1]));
                iw * ih / (w * h + a[0] * a[1] - iw * ih)
            };
            let sum: f64 = shapes.iter().map(|s| overlap(s, &anchors[0]).max(overlap(s, &anchors[1]))).sum();
            best = best.max(sum / shapes.len() as f64);
        }
        best
    }

    #[test]
    fn it_finds_what_trying_everything_finds() {
        let mut stream = Stream::new(9, "few");
        for _ in 0..4 {
            let shapes: Vec<[f32; 2]> = (0..11)
                .map(|_| [stream.uniform(5.0, 90.0) as f32, stream.uniform(5.0, 90.0) as f32])
                .collect();
            let (found, best) = (anchors(&shapes, 2, 0).unwrap(), best_of_all_pairs(&shapes));
            // f32 anchors lose a little.
            assert!(found.mean_iou > best - 2e-3, "{} {best}", found.mean_iou);
        }
    }

    #[test]
    fn groups_are_found_and_sorted_by_area() {
        let shapes = groups(300);
        let found = anchors(&shapes, 3, 1).unwrap();
        for (anchor, centre) in found.shapes.iter().zip([[10.0, 14.0], [60.0, 20.0], [100.0, 180.0]]) {
            assert!(
                anchor.iter().zip(centre).all(|(side, wanted)| (side / wanted - 1.0).abs() < 0.03),
                "{found:?}"
            );
        }
        assert!(found.mean_iou > 0.85 && found.mean_iou <= 1.0);
        assert_eq!(found, anchors(&shapes, 3, 1).unwrap());
        let more = anchors(&shapes, 9, 1).unwrap();
        assert!(more.mean_iou > found.mean_iou);
        assert!(more.shapes.windows(2).all(|pair| pair[0][0] * pair[0][1] <= pair[1][0] * pair[1][1]));
    }

    #[test]
    fn as_many_anchors_as_shapes_are_the_shapes() {
        let shapes = [[3.0, 4.0], [10.0, 2.0], [8.0, 8.0], [3.0, 4.0]];
        let found = anchors(&shapes, 3, 4).unwrap();
        assert_eq!(found.shapes, [[3.0, 4.0], [10.0, 2.0], [8.0, 8.0]]);
        assert_eq!(found.mean_iou, 1.0);
        assert!(anchors(&groups(60_000), 2, 0).unwrap().mean_iou > 0.5);
    }

    #[test]
    fn what_has_no_answer_is_refused() {
        assert!(message(anchors(&[[1.0, 1.0], [1.0, 1.0]], 2, 0)).contains("1 to 1"));
        assert!(message(anchors(&groups(9), 0, 0)).contains("got 0"));
        assert!(message(anchors(&[], 1, 0)).contains("1 to 0"));
        assert!(message(anchors(&[[1.0, f32::NAN]], 1, 0)).contains("NaN"));
        assert!(message(anchors(&[[1.0, 0.0]], 1, 0)).contains("over 0"));
        assert_eq!(mean_iou(&[], &[[1.0, 1.0]]), 0.0);
    }
}
