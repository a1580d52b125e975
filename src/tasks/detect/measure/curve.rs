//! From boxes that are right or wrong, best first, to precision at recalls.

use serde::{Deserialize, Serialize};

use super::here::by_rank;

/// A point of a curve: what the boxes from a score up come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The lowest score that counts; 0 where those that are no number do.
    pub score: f64,
    /// The share of truths that are found, 0 to 1.
    pub recall: f64,
    /// The share of boxes that are right, 0 to 1.
    pub precision: f64,
}

/// A found box that counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    /// Its score, or minus infinity.
    pub rank: f64,
    pub right: bool,
}

/// Best first; equal ones stay in their order.
pub(super) fn sort(judged: &mut [Judged]) {
    judged.sort_by(|a, b| by_rank(a.rank, b.rank));
}

/// Boxes in their order, summed up.
pub(super) struct Curve {
    /// How many truths there are, at least 1.
    truths: usize,
    /// One for each truth that is found: the best precision there and further on.
    best: Vec<f64>,
}

impl Curve {
    /// `right` says of each box whether it is; `truths` are those that should be found, and `None` is where there are none.
    pub fn new(right: impl Iterator<Item = bool>, truths: usize) -> Option<Self> {
        if truths == 0 {
            return None;
        }
        // Precision is best where a box is right.
        let places = right.enumerate().filter(|(_, right)| *right);
        let precision =
            |(before, (place, _)): (usize, (usize, bool))| (before + 1) as f64 / (place + 1) as f64;
        let mut best: Vec<f64> = places.enumerate().map(precision).collect();
        for at in (1..best.len()).rev() {
            best[at - 1] = best[at - 1].max(best[at]);
        }
        Some(Self { truths, best })
    }

    /// Recall of all boxes.
    pub fn recall(&self) -> f64 {
        self.best.len() as f64 / self.truths as f64
    }

    /// Mean of the best precision at recalls 0, 0.01, .. 1. Recalls are compared as the f64 that they are nearest to, as
    /// pycocotools does: 0.57 is below 57 times 0.01.
    pub fn at_101(&self) -> f64 {
        let (mut at, mut sum) = (0, 0.0);
        for hundredth in 0..=100 {
            let recall = f64::from(hundredth) * 0.01;
            while at < self.best.len() && ((at + 1) as f64 / self.truths as f64) < recall {
                at += 1;
            }
            sum += self.best.get(at).unwrap_or(&0.0);
        }
        sum / 101.0
    }

    /// Mean of the best precision at recalls 0, 0.1, .. 1, which are compared exactly: 3 of 10 reach 0.3.
    pub fn at_11(&self) -> f64 {
        let first = |tenths: usize| (tenths * self.truths).div_ceil(10).saturating_sub(1);
        (0..=10).map(|tenths| self.best.get(first(tenths)).unwrap_or(&0.0)).sum::<f64>() / 11.0
    }

    /// The area under the best precision.
    pub fn area(&self) -> f64 {
        self.best.iter().sum::<f64>() / self.truths as f64
    }
}

/// The curve itself, thinned: where each hundredth of recall is reached first, and where the boxes end. Boxes of equal scores
/// are one point.
pub(super) fn points(judged: &[Judged], truths: usize) -> Vec<CurvePoint> {
    let mut points = Vec::new();
    if truths == 0 {
        return points;
    }
    let (mut count, mut right, mut reached) = (0, 0, 0);
    for equal in judged.chunk_by(|a, b| a.rank == b.rank) {
        count += equal.len();
        right += equal.iter().filter(|judged| judged.right).count();
        let hundredths = right * 100 / truths;
        if hundredths > reached || (right > 0 && points.is_empty()) || count == judged.len() {
            reached = hundredths;
            let score = if equal[0].rank.is_finite() { equal[0].rank } else { 0.0 };
            let (recall, precision) = (right as f64 / truths as f64, right as f64 / count as f64);
            points.push(CurvePoint { score, recall, precision });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(right: &[bool], truths: usize) -> Curve {
        Curve::new(right.iter().copied(), truths).unwrap()
    }

    #[test]
    fn three_ways_to_sum_up_a_curve() {
        // Recalls .25 .25 .5 .75 with precisions 1, 1/2, 2/3, 3/4.
        let some = curve(&[true, false, true, true], 4);
        assert!((some.area() - (0.25 + 0.5 * 0.75)).abs() < 1e-12);
        assert!((some.at_11() - (3.0 + 5.0 * 0.75) / 11.0).abs() < 1e-12);
        assert!((some.at_101() - (26.0 + 50.0 * 0.75) / 101.0).abs() < 1e-12);
        assert_eq!(some.recall(), 0.75);
    }

    #[test]
    fn recalls_that_no_float_is() {
        // Three of ten, 0.3, which is less than three times 0.1.
        let some = curve(&[true, true, true], 10);
        assert!((some.at_11() - 4.0 / 11.0).abs() < 1e-12);
        // 57 of 100, which is less than 57 times 0.01.
        assert!((curve(&[true; 57], 100).at_101() - 57.0 / 101.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_found_and_nothing_there() {
        let none = curve(&[], 3);
        assert_eq!([none.area(), none.at_11(), none.at_101(), none.recall()], [0.0; 4]);
        assert!(Curve::new(std::iter::once(true), 0).is_none() && points(&[], 0).is_empty());
    }

    #[test]
    fn a_curve_has_few_points() {
        let judged: Vec<Judged> =
            (0..2000).map(|k| Judged { rank: 1.0 - f64::from(k) / 2000.0, right: k % 2 == 0 }).collect();
        let points = points(&judged, 1000);
        assert_eq!(points.len(), 102);
        assert_eq!(points[0], CurvePoint { score: 1.0, recall: 0.001, precision: 1.0 });
        assert_eq!((points[101].recall, points[101].precision), (1.0, 0.5));
    }
}
