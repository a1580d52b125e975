//! A class by the definitions that judge a box by the truth that it overlaps most: Pascal VOC's and darknet's.

use super::MapKind;
use super::curve::{Judged, sort};
use super::here::{Here, counts, is_finite, rank};
use super::overlap::{inside, iou};
use crate::tasks::detect::{Found, Truth};

/// A box has found what it overlaps by more.
const OVERLAP: f64 = 0.5;

/// The boxes that count, best first, and how many truths should be found.
pub(super) fn class(images: &[Here], kind: MapKind) -> (Vec<Judged>, usize) {
    let mut judged = Vec::new();
    for here in images {
        let mut taken = vec![false; here.truths.len()];
        for found in &here.found {
            let right = match best(found, &here.truths, kind) {
                Best::Counted(truth) => !std::mem::replace(&mut taken[truth], true),
                Best::Ignored => continue,
                Best::Nothing => false,
            };
            judged.push(Judged { rank: rank(found), right });
        }
    }
    sort(&mut judged);
    (judged, images.iter().flat_map(|here| &here.truths).filter(|truth| counts(truth)).count())
}

/// What a box found.
enum Best {
    Counted(usize),
    Ignored,
    Nothing,
}

fn best(found: &Found, truths: &[&Truth], kind: MapKind) -> Best {
    if !is_finite(found) {
        return Best::Nothing;
    }
    // Those that it may find: VOC looks at difficult ones as at others, darknet only afterwards.
    let open = |truth: &Truth| !truth.crowd && (kind != MapKind::Darknet || !truth.difficult);
    let mut best = (OVERLAP, None);
    for (t, truth) in truths.iter().enumerate().filter(|(_, truth)| open(truth)) {
        let overlap = iou(&found.bounds, &truth.bounds);
        if overlap > best.0 {
            best = (overlap, Some(t));
        }
    }
    let hides = |truth: &&Truth| {
        let overlap = if truth.crowd { inside } else { iou };
        !open(truth) && overlap(&found.bounds, &truth.bounds) > OVERLAP
    };
    match best.1 {
        Some(t) if truths[t].difficult => Best::Ignored,
        Some(t) => Best::Counted(t),
        None if truths.iter().copied().any(|truth| hides(&truth)) => Best::Ignored,
        None => Best::Nothing,
    }
}
