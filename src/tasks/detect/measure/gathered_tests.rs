use super::*;
use crate::tasks::detect::{ImageMistakes, SCORE};

const NAMES: [&str; 3] = ["cat", "dog", "cow"];

fn truth(class: usize, bounds: [f32; 4]) -> Truth {
    Truth { bounds, class, area: bounds[2] * bounds[3], crowd: false, difficult: false }
}

fn found(class: usize, bounds: [f32; 4], score: f32) -> Found {
    Found { bounds, class, score }
}

fn names() -> Vec<String> {
    NAMES.map(String::from).to_vec()
}

fn measure(images: &[(&[Truth], &[Found])], kind: MapKind) -> DetectionResult {
    let mut gathered = Gathered::default();
    images.iter().for_each(|(truths, found)| gathered.add(truths, found));
    gathered.measure(kind, SCORE, &names()).unwrap()
}

fn metric(result: &DetectionResult, name: &str) -> f64 {
    result.metrics.iter().find(|metric| metric.name == name).unwrap().value
}

const A: [f32; 4] = [10.0, 10.0, 40.0, 40.0];
const B: [f32; 4] = [100.0, 10.0, 40.0, 40.0];
const C: [f32; 4] = [10.0, 100.0, 40.0, 40.0];

#[test]
fn a_box_that_is_no_number_is_wrong_and_last() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let broken = [
        found(0, A, nan),
        found(0, A, inf),
        found(0, A, -inf),
        found(0, [nan, 10.0, 40.0, 40.0], 0.9),
        found(0, [10.0, 10.0, inf, 40.0], 0.9),
    ];
    for kind in MapKind::ALL {
        let alone = measure(&[(&[truth(0, A)], &broken)], kind);
        assert_eq!((metric(&alone, "ap50"), alone.not_finite, alone.found), (0.0, 5, 5), "{kind}");
        // It takes nothing from one that is right, and is counted after it: half of two boxes are right in the end.
        let both = [broken[0], found(0, A, 0.1), found(0, B, 0.05)];
        let result = measure(&[(&[truth(0, A), truth(0, B)], &both)], kind);
        assert_eq!(metric(&result, "ap50"), if kind == MapKind::Darknet { 1.0 / 3.0 } else { 1.0 }, "{kind}");
        let last = result.classes[0].curve.last().unwrap();
        assert_eq!((last.score, last.recall, last.precision), (0.0, 1.0, 2.0 / 3.0), "{kind}");
        // It is above no score.
        assert_eq!((alone.by_image[0].wrong, alone.by_image[0].missed), (0, 1), "{kind}");
    }
}

#[test]
fn a_truth_that_is_no_number_is_never_found() {
    let mut strange = truth(0, [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0]);
    strange.area = f32::NAN;
    let images: [(&[Truth], &[Found]); 1] = [(&[strange, truth(0, A)], &[found(0, A, 0.5)])];
    for kind in [MapKind::Voc, MapKind::Darknet] {
        assert_eq!(metric(&measure(&images, kind), "recall"), 0.5);
    }
    assert_eq!(metric(&measure(&images, MapKind::Coco), "ar100"), 0.5);
}

#[test]
fn nothing_to_measure() {
    for kind in MapKind::ALL {
        let none = measure(&[], kind);
        let empty = measure(&[(&[], &[]), (&[], &[found(1, A, 0.7)])], kind);
        for result in [none, empty] {
            let value = result.measured(None).value();
            assert!(if kind == MapKind::Darknet { value == 0.0 } else { value.is_nan() }, "{kind}: {value}");
            assert!(
                result
                    .classes
                    .iter()
                    .all(|class| class.curve.is_empty() && class.ap.is_none_or(|ap| ap == 0.0))
            );
            // What is not a number is stored as well.
            let text = serde_json::to_string(&result).unwrap();
            let read: DetectionResult = serde_json::from_str(&text).unwrap();
            assert_eq!((read.classes, read.by_image), (result.classes, result.by_image));
        }
        let nameless = Gathered::default().measure(kind, SCORE, &[]).unwrap();
        assert!(nameless.metrics[0].value.is_nan() && nameless.classes.is_empty());
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let mut gathered = Gathered::default();
    gathered.add(&[truth(0, A)], &[found(usize::MAX, A, 0.5)]);
    let error = gathered.measure(MapKind::Coco, SCORE, &names()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("classes: expected a name for each, got 3 names and a box of class {}", usize::MAX)
    );
    gathered.clear();
    for score in [f32::NAN, -0.1, 1.5] {
        let error = gathered.measure(MapKind::Coco, score, &names()).unwrap_err().to_string();
        assert_eq!(error, format!("score: expected a number from 0 to 1, got {score}"));
    }
    assert_eq!((gathered.images(), gathered.measure(MapKind::Coco, 1.0, &names()).unwrap().images), (0, 0));
}

/// A found twice, B taken for another class, C missed and something where nothing is.
#[test]
fn mistakes_of_an_image() {
    let truths = [truth(0, A), truth(0, B), truth(2, C)];
    let boxes = [
        found(0, A, 0.6),
        found(0, A, 0.9),
        found(1, B, 0.8),
        found(1, [200.0, 200.0, 40.0, 40.0], 0.7),
        found(2, C, SCORE),
    ];
    let perfect = [found(0, A, 0.9)];
    let images: [(&[Truth], &[Found]); 4] =
        [(&truths[..1], &perfect), (&truths, &boxes), (&[], &[]), (&truths[..2], &perfect)];
    let result = measure(&images, MapKind::Coco);
    let counts = |image: usize| {
        let ImageMistakes { truths, missed, wrong } = result.by_image[image];
        (truths, missed, wrong)
    };
    assert_eq!([0, 1, 2, 3].map(counts), [(1, 0, 0), (3, 2, 3), (0, 0, 0), (2, 1, 0)]);
    assert_eq!((result.worst(9), result.best(3)), (vec![1, 3], vec![0, 2, 3]));
    let confusion = &result.confusion;
    assert_eq!(confusion.rows(), [[3, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0]]);
    assert_eq!((confusion.count(Some(0), Some(1)), confusion.count(None, Some(1))), (1, 1));
    assert_eq!((confusion.count(Some(2), None), confusion.count(Some(1), None)), (1, 0));
}

/// By VOC a box that overlaps a difficult truth most is not counted, by darknet it finds the other one.
#[test]
fn definitions_differ_on_difficult_truths() {
    let hard = Truth { difficult: true, ..truth(0, A) };
    let near = truth(0, [14.0, 10.0, 40.0, 40.0]);
    let images: [(&[Truth], &[Found]); 1] = [(&[hard, near], &[found(0, A, 0.9)])];
    let recall = |kind: MapKind| metric(&measure(&images, kind), "recall");
    assert_eq!([recall(MapKind::Voc), recall(MapKind::Voc07), recall(MapKind::Darknet)], [0.0, 0.0, 1.0]);
    assert_eq!(metric(&measure(&images, MapKind::Coco), "ar100"), 0.7);
}

#[test]
fn a_measurement_has_the_primary_metric_first() {
    let images: [(&[Truth], &[Found]); 1] = [(&[truth(0, A)], &[found(0, A, 0.9)])];
    for (kind, primary, others) in [(MapKind::Coco, "ap", 11), (MapKind::Voc07, "ap50", 3)] {
        let measured = measure(&images, kind).measured(Some(0.5));
        assert_eq!(
            (measured.primary.name.as_str(), measured.value(), measured.loss),
            (primary, 1.0, Some(0.5))
        );
        assert_eq!(measured.others.len(), others);
    }
}
