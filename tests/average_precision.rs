//! Average precision against pycocotools and against plain implementations of the other definitions
//! (tests/fixtures/average_precision.py).

#[allow(dead_code)]
#[path = "common/fixture.rs"]
mod fixture;

use std::fs::File;

use flate2::read::GzDecoder;
use limbeck::tasks::detect::{DetectionResult, Found, Gathered, MapKind, SCORE, Truth};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Cases {
    pycocotools: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    /// Coordinates are whole numbers over this.
    unit: u16,
    images: Vec<Image>,
    /// pycocotools' `stats`, in its order; -1 where there is nothing to measure.
    coco: Vec<f64>,
    /// AP and AP50.
    coco_classes: Vec<[Option<f64>; 2]>,
    voc07: ByDefinition,
    voc: ByDefinition,
    darknet: ByDefinition,
    confusion: Vec<Vec<usize>>,
    /// Truths, missed, wrong.
    mistakes: Vec<[usize; 3]>,
}

#[derive(Deserialize)]
struct Image {
    /// Class, left, top, width, height, 16 times area, 1 for a crowd or 2 for a difficult one.
    truths: Vec<[u32; 7]>,
    /// Class, left, top, width, height, 1024 times score.
    found: Vec<[i32; 6]>,
}

#[derive(Deserialize)]
struct ByDefinition {
    /// The mean, and precision, recall and F1 above a score of a quarter.
    metrics: Vec<Option<f64>>,
    classes: Vec<Option<f64>>,
}

fn cases() -> Vec<Case> {
    let file = File::open(fixture::path("average_precision.json.gz")).unwrap();
    let all: Cases = serde_json::from_reader(GzDecoder::new(file)).unwrap();
    assert_eq!((all.pycocotools.as_str(), all.cases.len()), ("2.0.11", 200));
    all.cases
}

impl Case {
    fn result(&self, kind: MapKind) -> DetectionResult {
        let mut gathered = Gathered::default();
        for image in &self.images {
            let truths: Vec<Truth> = image.truths.iter().map(|truth| self.truth(truth)).collect();
            let found: Vec<Found> = image.found.iter().map(|found| self.found(found)).collect();
            gathered.add(&truths, &found);
        }
        let names: Vec<String> = (0..self.classes).map(|class| format!("class {class}")).collect();
        gathered.measure(kind, SCORE, &names).unwrap()
    }

    /// Of one class, without boxes below a score.
    fn above_score(&self, class: usize, score: f64) -> DetectionResult {
        let mut gathered = Gathered::default();
        for image in &self.images {
            let truths =
                image.truths.iter().map(|truth| self.truth(truth)).filter(|truth| truth.class == class);
            let found = image.found.iter().map(|found| self.found(found));
            let found = found.filter(|found| found.class == class && f64::from(found.score) >= score);
            gathered.add(&truths.collect::<Vec<_>>(), &found.collect::<Vec<_>>());
        }
        gathered.measure(MapKind::Voc, 0.0, &vec![String::new(); self.classes]).unwrap()
    }

    fn bounds(&self, sides: [f32; 4]) -> [f32; 4] {
        sides.map(|side| side / f32::from(self.unit))
    }

    fn truth(&self, &[class, left, top, width, height, area, kind]: &[u32; 7]) -> Truth {
        Truth {
            bounds: self.bounds([left, top, width, height].map(|side| side as f32)),
            class: class as usize,
            area: area as f32 / 16.0,
            crowd: kind == 1,
            difficult: kind == 2,
        }
    }

    fn found(&self, &[class, left, top, width, height, score]: &[i32; 6]) -> Found {
        Found {
            bounds: self.bounds([left, top, width, height].map(|side| side as f32)),
            class: class as usize,
            score: score as f32 / 1024.0,
        }
    }
}

/// NaN and `None` are the same as `None`.
fn check(case: usize, what: &str, got: Option<f64>, want: Option<f64>) {
    let near = match (got.filter(|got| !got.is_nan()), want) {
        (Some(got), Some(want)) => (got - want).abs() <= TOLERANCE,
        (None, None) => true,
        _ => false,
    };
    assert!(near, "case {case}, {what}: got {got:?}, expected {want:?}");
}

#[test]
fn coco_is_that_of_pycocotools() {
    let names = ["ap", "ap50", "ap75", "aps", "apm", "apl", "ar1", "ar10", "ar100", "ars", "arm", "arl"];
    for (k, case) in cases().iter().enumerate() {
        let result = case.result(MapKind::Coco);
        assert_eq!((result.metrics.len(), result.metrics[0].name.as_str()), (12, "ap"));
        for (name, want) in names.iter().zip(&case.coco) {
            let metric = result.metrics.iter().find(|metric| metric.name == *name).unwrap();
            check(k, name, Some(metric.value), Some(*want).filter(|want| *want >= 0.0));
        }
        for (class, [ap, ap50]) in result.classes.iter().zip(&case.coco_classes) {
            check(k, &class.class, class.ap, *ap);
            check(k, &class.class, class.ap50, *ap50);
        }
    }
}

#[test]
fn the_others_are_as_they_are_defined() {
    for (k, case) in cases().iter().enumerate() {
        let all =
            [(MapKind::Voc07, &case.voc07), (MapKind::Voc, &case.voc), (MapKind::Darknet, &case.darknet)];
        for (kind, want) in all {
            let result = case.result(kind);
            assert_eq!(result.classes.len(), want.classes.len());
            for (class, want) in result.classes.iter().zip(&want.classes) {
                check(k, &format!("{kind}, {}", class.class), class.ap, *want);
                check(k, &format!("{kind}, {}", class.class), class.ap50, *want);
            }
            let names: Vec<&str> = result.metrics.iter().map(|metric| metric.name.as_str()).collect();
            assert_eq!(names, ["ap50", "precision", "recall", "f1"]);
            for (metric, want) in result.metrics.iter().zip(&want.metrics) {
                check(k, &format!("{kind}, {}", metric.name), Some(metric.value), *want);
            }
        }
    }
}

#[test]
fn confusions_and_mistakes() {
    for (k, case) in cases().iter().enumerate() {
        let result = case.result(MapKind::Darknet);
        assert_eq!(result.confusion.rows(), case.confusion, "case {k}");
        let mistakes: Vec<[usize; 3]> =
            result.by_image.iter().map(|i| [i.truths, i.missed, i.wrong]).collect();
        assert_eq!(mistakes, case.mistakes, "case {k}");
        for (t, row) in case.confusion.iter().enumerate() {
            for (f, count) in row.iter().enumerate() {
                let class = |class: usize| Some(class).filter(|class| *class < case.classes);
                assert_eq!(result.confusion.count(class(t), class(f)), *count, "case {k}");
            }
        }
    }
}

/// What a curve says of a score is what the boxes from that score up come to when there are no others.
#[test]
fn points_of_curves_are_what_boxes_from_a_score_up_come_to() {
    let mut points = 0;
    for (k, case) in cases().iter().enumerate() {
        for (number, class) in case.result(MapKind::Voc).classes.iter().enumerate() {
            assert!(class.curve.len() <= 102, "case {k}");
            for point in &class.curve {
                let alone = case.above_score(number, point.score);
                let metric =
                    |name: &str| alone.metrics.iter().find(|metric| metric.name == name).unwrap().value;
                check(k, "precision", Some(metric("precision")), Some(point.precision));
                check(k, "recall", Some(metric("recall")), Some(point.recall));
                points += 1;
            }
        }
    }
    assert!(points > 500, "{points}");
}
