//! What gathered boxes come to.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::confusion::{Confusion, ImageMistakes};
use super::curve::{Curve, CurvePoint, points};
use super::here::{Here, counts};
use super::{MapKind, coco, voc};
use crate::tasks::{Measured, Metric};

/// What [`super::Gathered`] boxes come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectionResult {
    /// By which definition.
    pub map: MapKind,
    /// Images that were added.
    pub images: usize,
    /// Truths that should be found: without crowds and difficult ones.
    pub truths: usize,
    /// Boxes that were found.
    pub found: usize,
    /// Those of them with a NaN or infinite number; they count as wrong.
    pub not_finite: usize,
    /// The primary one first. COCO: `ap`, `ap50`, `ap75`, by area `aps`, `apm`, `apl`, and recalls `ar100`, `ar1`, `ar10`, `ars`,
    /// `arm`, `arl`. Others: `ap50`, and `precision`, `recall`, `f1` of boxes above the score. A mean over nothing is NaN where
    /// pycocotools has -1; precision is 0 where nothing is above the score.
    pub metrics: Vec<Metric>,
    /// One a class, in their order.
    pub classes: Vec<ClassPrecision>,
    /// Which was taken for which.
    pub confusion: Confusion,
    /// One an image, in the order in which they were added.
    pub by_image: Vec<ImageMistakes>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassPrecision {
    /// Its name.
    pub class: String,
    /// Truths of it that should be found.
    pub truths: usize,
    /// Boxes of it that were found.
    pub found: usize,
    /// Average precision by the definition; `None` where it leaves out classes without truths.
    pub ap: Option<f64>,
    /// The same at an overlap of one half.
    pub ap50: Option<f64>,
    /// Precision against recall at an overlap of one half, from high scores to low ones: a point where each hundredth of
    /// recall is reached first, and one for all boxes.
    pub curve: Vec<CurvePoint>,
}

/// What does not go by class.
pub(super) struct Counts {
    pub images: usize,
    pub not_finite: usize,
    pub confusion: Confusion,
    pub by_image: Vec<ImageMistakes>,
}

impl DetectionResult {
    /// The metrics as a measurement, with the mean loss where there is one.
    pub fn measured(&self, loss: Option<f64>) -> Measured {
        let mut metrics = self.metrics.iter().cloned();
        Measured { loss, primary: metrics.next().unwrap_or_default(), others: metrics.collect() }
    }

    /// The places of the `most` images with most mistakes, worst first; none without mistakes.
    pub fn worst(&self, most: usize) -> Vec<usize> {
        let mut all: Vec<usize> =
            (0..self.by_image.len()).filter(|i| self.by_image[*i].count() > 0).collect();
        all.sort_by_key(|i| Reverse(self.by_image[*i].count()));
        all.truncate(most);
        all
    }

    /// The places of the `most` images with fewest mistakes, best first: of equals those with more truths found.
    pub fn best(&self, most: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.by_image.len()).collect();
        let found = |image: &ImageMistakes| image.truths - image.missed.min(image.truths);
        all.sort_by_key(|i| (self.by_image[*i].count(), Reverse(found(&self.by_image[*i]))));
        all.truncate(most);
        all
    }
}

/// `all` are the boxes by class.
pub(super) fn of_classes(
    all: &[Vec<Here>],
    map: MapKind,
    score: f32,
    names: &[String],
    of_all: Counts,
) -> DetectionResult {
    let mut classes: Vec<ClassPrecision> =
        all.iter().zip(names).map(|(images, name)| empty(images, name)).collect();
    let metrics = match map {
        MapKind::Coco => by_coco(all, &mut classes),
        _ => by_best_overlap(all, map, score, &mut classes),
    };
    let Counts { images, not_finite, confusion, by_image } = of_all;
    let truths = classes.iter().map(|class| class.truths).sum();
    let found = classes.iter().map(|class| class.found).sum();
    DetectionResult { map, images, truths, found, not_finite, metrics, classes, confusion, by_image }
}

fn empty(images: &[Here], name: &str) -> ClassPrecision {
    ClassPrecision {
        class: name.to_string(),
        truths: images.iter().flat_map(|here| &here.truths).filter(|truth| counts(truth)).count(),
        found: images.iter().map(|here| here.found.len()).sum(),
        ap: None,
        ap50: None,
        curve: Vec::new(),
    }
}

fn by_coco(all: &[Vec<Here>], classes: &mut [ClassPrecision]) -> Vec<Metric> {
    let mut of: Vec<coco::OfClass> = all.iter().map(|images| coco::class(images)).collect();
    for (class, of) in classes.iter_mut().zip(&mut of) {
        (class.ap, class.ap50) = (of.precision[0], of.precision_50);
        class.curve = std::mem::take(&mut of.curve);
    }
    let mean = |name: &str, value: &dyn Fn(&coco::OfClass) -> Option<f64>| metric(name, of.iter().map(value));
    vec![
        mean("ap", &|of| of.precision[0]),
        mean("ap50", &|of| of.precision_50),
        mean("ap75", &|of| of.precision_75),
        mean("aps", &|of| of.precision[1]),
        mean("apm", &|of| of.precision[2]),
        mean("apl", &|of| of.precision[3]),
        mean("ar100", &|of| of.recall[2]),
        mean("ar1", &|of| of.recall[0]),
        mean("ar10", &|of| of.recall[1]),
        mean("ars", &|of| of.recall_by_area[1]),
        mean("arm", &|of| of.recall_by_area[2]),
        mean("arl", &|of| of.recall_by_area[3]),
    ]
}

fn by_best_overlap(
    all: &[Vec<Here>],
    map: MapKind,
    score: f32,
    classes: &mut [ClassPrecision],
) -> Vec<Metric> {
    let (mut right, mut above, mut there) = (0, 0, 0);
    for (images, class) in all.iter().zip(classes.iter_mut()) {
        let (judged, truths) = voc::class(images, map);
        let curve = Curve::new(judged.iter().map(|judged| judged.right), truths);
        class.ap = match map {
            MapKind::Voc07 => curve.map(|curve| curve.at_11()),
            MapKind::Darknet => Some(curve.map_or(0.0, |curve| curve.area())),
            _ => curve.map(|curve| curve.area()),
        };
        class.ap50 = class.ap;
        class.curve = points(&judged, truths);
        let counted = judged.iter().filter(|judged| judged.rank > f64::from(score));
        above += counted.clone().count();
        right += counted.filter(|judged| judged.right).count();
        there += truths;
    }
    let share = |of: usize| right as f64 / of.max(1) as f64;
    // Two times precision times recall over their sum, where nothing is divided by 0.
    let f1 = 2.0 * right as f64 / (above + there).max(1) as f64;
    vec![
        metric("ap50", classes.iter().map(|class| class.ap50)),
        Metric::share("precision", share(above)),
        Metric::share("recall", share(there)),
        Metric::share("f1", f1),
    ]
}

/// The mean over classes that have it.
fn metric(name: &str, values: impl Iterator<Item = Option<f64>>) -> Metric {
    let values: Vec<f64> = values.flatten().collect();
    Metric::share(name, values.iter().sum::<f64>() / values.len() as f64)
}
