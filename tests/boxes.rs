//! The ops on boxes against tests/fixtures/boxes.json: values and gradients by PyTorch's autograd, and what plain loops over
//! single boxes decide. Then what they do at the edges, and what they refuse.

mod common;

use std::f32::consts::PI;

use common::fixture::{Fixture, mismatch};
use limbeck::gpu::Gpu;
use limbeck::ops::boxes::{Nms, NmsKind, Overlap, YoloHead, assign, nms, nms_host};
use limbeck::tape::{Plan, Step, Tape, Tensor};
use serde_json::Value;

fn number(json: &Value, key: &str) -> f32 {
    json[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {json}")) as f32
}

fn whole(json: &Value, key: &str) -> usize {
    json[key].as_u64().unwrap_or_else(|| panic!("no whole number {key} in {json}")) as usize
}

fn wholes(json: &Value) -> Vec<usize> {
    json.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn head(json: &Value) -> YoloHead {
    let sizes = |key: &str| {
        let all = json[key].as_array().unwrap().iter();
        all.map(|v| [0, 1].map(|i| v[i].as_f64().unwrap() as f32)).collect()
    };
    YoloHead {
        anchors: sizes("anchors"),
        all_anchors: sizes("all_anchors"),
        mask: wholes(&json["mask"]),
        classes: whole(json, "classes"),
        stride: wholes(&json["stride"]).try_into().unwrap(),
        scale_x_y: number(json, "scale_x_y"),
        squared_sides: json["squared_sides"].as_bool().unwrap(),
        ignore_threshold: number(json, "ignore_threshold"),
        assign_threshold: number(json, "assign_threshold"),
    }
}

fn suppression(json: &Value) -> Nms {
    let kind = match json["beta"].as_f64() {
        Some(beta) => NmsKind::Diou { beta: beta as f32 },
        None => NmsKind::Iou,
    };
    let (threshold, overlap) = (number(json, "threshold"), number(json, "overlap"));
    Nms { threshold, overlap, most: whole(json, "most"), kind }
}

/// The keys of a list of a case.
fn keys<'a>(case: &'a Value, list: &str) -> Vec<&'a str> {
    case[list].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
}

/// The op of a case on its inputs, in the order of the fixture's outputs.
fn record(case: &Value, inputs: &[Tensor]) -> limbeck::Result<Vec<Tensor>> {
    let config = &case["config"];
    let x = &inputs[0];
    Ok(match case["op"].as_str().unwrap() {
        "yolo_boxes" => vec![x.yolo_boxes(&head(config))?],
        "yolo_logits" => {
            let [objectness, classes] = x.yolo_logits(&head(config))?;
            vec![if case["name"].as_str().unwrap().ends_with("classes") { classes } else { objectness }]
        }
        "overlap" => vec![match config["kind"].as_str().unwrap() {
            "iou" => x.box_overlap(&inputs[1], Overlap::Iou)?,
            "giou" => x.box_overlap(&inputs[1], Overlap::Giou)?,
            "diou" => x.box_overlap(&inputs[1], Overlap::Diou)?,
            "ciou" => x.ciou(&inputs[1])?,
            "aspect" => x.box_aspect(&inputs[1])?,
            other => panic!("no overlap {other}"),
        }],
        "yolo_assign" => {
            let cells = wholes(&config["cells"]).try_into().unwrap();
            let all = assign(x, &inputs[1], &inputs[2], inputs.get(3), &head(config), cells)?;
            vec![all.boxes, all.positive, all.objectness_weight, all.classes]
        }
        // The fixture also names the rows.
        "nms" => nms(x, &inputs[1], &inputs[2], &suppression(config))?.to_vec(),
        other => panic!("this test does not know the op {other}"),
    })
}

/// What differs from the fixture, in words.
fn run(gpu: &Gpu, fixture: &Fixture, case: &Value) -> Vec<String> {
    let tape = Tape::new();
    let leaf = |key: &&str| {
        let shape = fixture.shape(key).to_vec();
        match (fixture.is_i32(key), case["grads"][key].is_string()) {
            (true, _) => tape.input_i32(key, shape),
            (false, true) => tape.variable(key, shape),
            (false, false) => tape.input(key, shape),
        }
    };
    let inputs: Vec<Tensor> = keys(case, "inputs").iter().map(leaf).collect();
    let outputs = record(case, &inputs).unwrap();
    let mut checked: Vec<(&str, Tensor)> = keys(case, "outputs").into_iter().zip(outputs).collect();
    // The gradient of sum(y * cotangent) by y is the cotangent.
    for (_, cotangent) in case["cotangents"].as_object().unwrap() {
        let y = checked[0].1.clone();
        let cotangent = tape.constant(y.shape().clone(), &fixture.f32s(cotangent.as_str().unwrap())).unwrap();
        let axes: Vec<usize> = (0..y.dims().len()).collect();
        let all = y.mul(&cotangent).unwrap().sum(&axes, false).unwrap().backward().unwrap();
        for (key, input) in keys(case, "inputs").iter().zip(&inputs) {
            let Some(gradient) = case["grads"][key].as_str() else { continue };
            checked.push((gradient, all.get(input).unwrap().clone()));
        }
    }
    let plan = Plan::new(gpu, &tape, &checked.iter().map(|(_, tensor)| tensor).collect::<Vec<_>>()).unwrap();
    for (key, input) in keys(case, "inputs").iter().zip(&inputs) {
        plan.write_bytes(input, fixture.bytes(key)).unwrap();
    }
    plan.run(&Step::new(0, 1)).unwrap();
    let tol = case["tol"].as_f64().unwrap();
    let mut failures = Vec::new();
    for (key, tensor) in &checked {
        if fixture.shape(key) != tensor.dims() {
            failures.push(format!("{key}: shape {}, expected {:?}", tensor.shape(), fixture.shape(key)));
        } else if fixture.is_i32(key) {
            let (got, want) = (plan.read_i32(tensor).unwrap(), fixture.i32s(key));
            failures.extend((got != want).then(|| format!("{key}: {got:?}, expected {want:?}")));
        } else {
            let got = plan.read_f32(tensor).unwrap();
            failures.extend(mismatch(&got, &fixture.f32s(key), tol).map(|words| format!("{key}{words}")));
        }
    }
    failures
}

#[test]
fn every_op_computes_what_the_fixtures_say() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("boxes"));
    let cases = fixture.json["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 25);
    let failures: Vec<String> = cases.iter().flat_map(|case| run(&gpu, &fixture, case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// On the CPU the same boxes stay as on the device, and in the same order.
#[test]
fn suppression_on_the_host_keeps_the_same_rows() {
    let fixture = Fixture::load("boxes");
    let mut ran = 0;
    for case in fixture.json["cases"].as_array().unwrap().iter().filter(|case| case["op"] == "nms") {
        let [boxes, scores, classes] = keys(case, "inputs").try_into().unwrap();
        let (&[n, rows], settings) = (fixture.shape(scores), suppression(&case["config"])) else { panic!() };
        let all: Vec<[f32; 4]> = bytemuck::pod_collect_to_vec(fixture.bytes(boxes));
        let wanted = fixture.i32s(keys(case, "outputs")[3]);
        for image in 0..n {
            let here = image * rows..(image + 1) * rows;
            let (scores, classes) =
                (&fixture.f32s(scores)[here.clone()], &fixture.i32s(classes)[here.clone()]);
            let got = nms_host(&all[here], scores, classes, &settings).unwrap();
            let wanted = wanted[image * settings.most..(image + 1) * settings.most].iter();
            let wanted: Vec<usize> = wanted.filter(|row| **row >= 0).map(|row| *row as usize).collect();
            assert_eq!(got, wanted, "{}", case["name"]);
            ran += 1;
        }
    }
    assert_eq!(ran, 10);
}

/// The value of `y` and its gradients by `inputs`, with these numbers in them.
fn gradients(tape: &Tape, y: &Tensor, inputs: &[(&Tensor, &[f32])]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let axes: Vec<usize> = (0..y.dims().len()).collect();
    let all = y.sum(&axes, false).unwrap().backward().unwrap();
    let found: Vec<&Tensor> = inputs.iter().map(|(input, _)| all.get(input).unwrap()).collect();
    let plan = Plan::new(&common::gpu(), tape, &[&[y], &found[..]].concat()).unwrap();
    inputs.iter().for_each(|(input, values)| plan.write(input, values).unwrap());
    plan.run(&Step::new(0, 1)).unwrap();
    (plan.read_f32(y).unwrap(), found.iter().map(|tensor| plan.read_f32(tensor).unwrap()).collect())
}

/// Boxes without area overlap nothing and pull at nothing; equal ones overlap wholly; nothing is NaN.
#[test]
fn boxes_without_area_and_equal_ones() {
    let a = [
        0.5, 0.5, 0.0, 0.3, 0.5, 0.5, 0.3, -0.1, 0.0, 0.0, 0.0, 0.0, 0.4, 0.6, 0.2, 0.3, 1e-20, 0.0, 1e-20,
        1e-20,
    ];
    let b = [
        0.5, 0.5, 0.2, 0.3, 0.4, 0.5, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0, 0.4, 0.6, 0.2, 0.3, 0.0, 0.0, 1e-20,
        1e-20,
    ];
    for kind in ["iou", "giou", "diou", "ciou"] {
        let tape = Tape::new();
        let (p, q) = (tape.variable("a", [5, 4]), tape.variable("b", [5, 4]));
        let y = match kind {
            "iou" => p.box_overlap(&q, Overlap::Iou),
            "giou" => p.box_overlap(&q, Overlap::Giou),
            "diou" => p.box_overlap(&q, Overlap::Diou),
            _ => p.ciou(&q),
        };
        let (y, by) = gradients(&tape, &y.unwrap(), &[(&p, &a), (&q, &b)]);
        let close = |got: f32, want: f32| (got - want).abs() < 1e-6;
        assert!(
            y.iter().zip([0.0, 0.0, 0.0, 1.0, 0.0]).all(|(got, want)| close(*got, want)),
            "{kind}: {y:?}"
        );
        for gradient in by {
            assert!(gradient.iter().all(|x| x.is_finite()), "{kind}: {gradient:?}");
            assert!(gradient[..12].iter().all(|x| *x == 0.0), "{kind}: {gradient:?}");
            assert!(gradient[16..].iter().all(|x| *x == 0.0), "{kind}: {gradient:?}");
        }
    }
}

fn small_head(squared_sides: bool) -> YoloHead {
    YoloHead {
        anchors: vec![[16.0, 8.0]],
        all_anchors: vec![[16.0, 8.0]],
        mask: vec![0],
        classes: 1,
        stride: [8, 8],
        scale_x_y: 1.0,
        squared_sides,
        ignore_threshold: 0.5,
        assign_threshold: 1.0,
    }
}

/// Sides end where they would become infinite, and have no gradient there.
#[test]
fn sides_do_not_overflow() {
    let tape = Tape::new();
    let x = tape.variable("x", [1, 6, 1, 1]);
    let y = x.yolo_boxes(&small_head(false)).unwrap();
    let (y, by) = gradients(&tape, &y, &[(&x, &[200.0, -200.0, 200.0, -200.0, 5.0, 5.0])]);
    assert_eq!((y[0], y[1], y[3]), (1.0, 0.0, 0.0));
    assert!((y[2] / (2.0 * 10f32.exp()) - 1.0).abs() < 1e-4, "{y:?}");
    assert_eq!(by[0], [0.0; 6]);
}

/// What broke shows: no limit of a side makes a number of it, on the device or on the host.
#[test]
fn sides_that_are_no_numbers_stay_so() {
    let (tape, values) = (Tape::new(), [0.0, 0.0, f32::NAN, 1.0, 0.0, 0.0]);
    let (x, head) = (tape.variable("x", [1, 6, 1, 1]), small_head(false));
    let (y, by) = gradients(&tape, &x.yolo_boxes(&head).unwrap(), &[(&x, &values)]);
    let host = head.reader([1, 1]).read(0, 0, [0.0, 0.0, f32::NAN, 1.0]).unwrap();
    for found in [&y[..], &by[0][..4], &host[..]] {
        let nan: Vec<bool> = found.iter().map(|x| x.is_nan()).collect();
        assert_eq!(nan, [false, false, true, false], "{found:?}");
    }
}

/// Sides whose gradient would be infinite have no shape.
#[test]
fn boxes_too_small_for_a_shape_have_no_gradient() {
    let a = [0.5, 0.5, 1e-39, 1e-39, 0.5, 0.5, 3e-38, 1e-39, 0.5, 0.5, 1e-31, 1e-31, 0.5, 0.5, 1e-29, 2e-29];
    let b = [0.5, 0.5, 0.1, 0.2, 0.5, 0.5, 0.1, 0.2, 0.5, 0.5, 0.1, 0.2, 0.5, 0.5, 0.1, 0.1];
    let tape = Tape::new();
    let (p, q) = (tape.variable("a", [4, 4]), tape.variable("b", [4, 4]));
    let (y, by) = gradients(&tape, &p.box_aspect(&q).unwrap(), &[(&p, &a), (&q, &b)]);
    assert_eq!(y[..3], [0.0; 3]);
    assert!((y[3] - (2.0 / PI * (0.5f32.atan() - PI / 4.0)).powi(2)).abs() < 1e-6, "{y:?}");
    for gradient in by {
        assert_eq!(gradient[..12], [0.0; 12]);
        assert!(gradient.iter().all(|x| x.is_finite()) && gradient[14] != 0.0, "{gradient:?}");
    }
}

/// CIoU by its formula in f64, and alpha.
fn ciou(a: &[f32], b: &[f32]) -> f64 {
    let [a, b] =
        [a, b].map(|x| <[f64; 4]>::try_from(x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()).unwrap());
    let low = |b: &[f64; 4], k: usize| b[k] - b[k + 2] / 2.0;
    let high = |b: &[f64; 4], k: usize| b[k] + b[k + 2] / 2.0;
    let inner = |k| (high(&a, k).min(high(&b, k)) - low(&a, k).max(low(&b, k))).max(0.0);
    let outer = |k| high(&a, k).max(high(&b, k)) - low(&a, k).min(low(&b, k));
    let (both, squared) = (inner(0) * inner(1), |x: [f64; 2]| x[0] * x[0] + x[1] * x[1]);
    let iou = both / (a[2] * a[3] + b[2] * b[3] - both);
    let distance = squared([a[0] - b[0], a[1] - b[1]]) / squared([outer(0), outer(1)]);
    let angle = |b: &[f64; 4]| (b[2] / b[3]).atan();
    let v = (2.0 / std::f64::consts::PI * (angle(&a) - angle(&b))).powi(2);
    iou - distance - if v > 0.0 { v / (1.0 - iou + v) * v } else { 0.0 }
}

/// Near equal boxes, by steps from the last place up, the quotient of alpha is of two small numbers.
#[test]
fn nearly_equal_boxes_have_their_ciou() {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for power in 4..=24 {
        let part = 0.5f32.powi(power);
        for [w, h] in [[0.3f32, 0.2], [0.02, 0.5], [0.011, 0.013]] {
            for [dx, dw, dh] in [[0.0f32, 1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]] {
                a.extend([0.4 + dx * part * w, 0.6, w * (1.0 + dw * part), h * (1.0 + dh * part)]);
                b.extend([0.4, 0.6, w, h]);
            }
        }
    }
    let (tape, rows) = (Tape::new(), a.len() / 4);
    let (p, q) = (tape.variable("a", [rows, 4]), tape.variable("b", [rows, 4]));
    let (y, by) = gradients(&tape, &p.ciou(&q).unwrap(), &[(&p, &a), (&q, &b)]);
    for ((got, a), b) in y.iter().zip(a.chunks(4)).zip(b.chunks(4)) {
        let want = ciou(a, b);
        assert!((f64::from(*got) - want).abs() <= 1e-6, "{a:?} {b:?}: {got}, expected {want}");
    }
    assert!(by.iter().flatten().all(|x| x.is_finite()));
}

/// The logits of a map of probabilities: where a sigmoid of this tape made it, what that took, also where f32 has no
/// probability left between it and 1.
#[test]
fn logits_of_probabilities_are_those_before_the_sigmoid() {
    let values = [0.0, 0.0, 0.0, 0.0, 30.0, -40.0];
    let tape = Tape::new();
    let x = tape.variable("x", [1, 6, 1, 1]);
    let [objectness, classes] = x.sigmoid().unwrap().yolo_logits(&small_head(true)).unwrap();
    let classes = classes.reshape([1, 1]).unwrap();
    let (y, by) = gradients(&tape, &objectness.add(&classes).unwrap(), &[(&x, &values)]);
    assert_eq!((y, &by[0][..]), (vec![-10.0], &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0][..]));

    // Of unknown origin they end, in what f32 tells apart there.
    let tape = Tape::new();
    let p = tape.variable("p", [1, 6, 1, 1]);
    let [objectness, classes] = p.yolo_logits(&small_head(true)).unwrap();
    let plan = Plan::new(&common::gpu(), &tape, &[&objectness, &classes]).unwrap();
    plan.write(&p, &[0f32, 0.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
    plan.run(&Step::new(0, 1)).unwrap();
    let ends = [&objectness, &classes].map(|tensor| plan.read_f32(tensor).unwrap()[0]);
    assert!((ends[0] - 13.8155).abs() < 0.1 && (ends[1] + 13.8155).abs() < 0.1, "{ends:?}");
}

#[test]
fn wrong_input_is_refused_in_words() {
    let tape = Tape::new();
    let head = small_head(false);
    let message = tape.input("x", [1, 7, 2, 2]).yolo_boxes(&head).unwrap_err().to_string();
    assert!(message.contains("(N, 6, H, W)") && message.contains("classes="), "{message}");
    let message = tape.input("x", [1, 7, 2, 2]).yolo_logits(&head).unwrap_err().to_string();
    assert!(message.contains("(N, 6, H, W)"), "{message}");
    let wrong = YoloHead { mask: vec![3], ..head.clone() };
    let message = tape.input("x", [1, 6, 2, 2]).yolo_boxes(&wrong).unwrap_err().to_string();
    assert!(message.contains("mask [3] of 1"), "{message}");
    let (a, b) = (tape.input("a", [3, 4]), tape.input("b", [4, 4]));
    let message = a.ciou(&b).unwrap_err().to_string();
    assert!(message.contains("equal shapes"), "{message}");
    assert!(tape.input("c", [3, 5]).box_overlap(&tape.input("d", [3, 5]), Overlap::Giou).is_err());
    let (boxes, truths) = (tape.input("boxes", [2, 4, 4]), tape.input("truths", [2, 3, 4]));
    let classes = tape.input_i32("classes", [2, 3]);
    assert!(assign(&boxes, &truths, &classes, None, &head, [2, 2]).is_ok());
    let message = assign(&boxes, &truths, &classes, None, &head, [2, 3]).unwrap_err().to_string();
    assert!(message.contains("(N, 6, 4) of 1 anchors in 2 x 3 cells"), "{message}");
    let settings = Nms { threshold: 0.1, overlap: 0.5, most: 3, kind: NmsKind::Iou };
    let message = nms(&boxes, &truths, &classes, &settings).unwrap_err().to_string();
    assert!(message.contains("scores f32 (N, R)"), "{message}");
    let (scores, labels) = (tape.input("scores", [2, 4]), tape.input_i32("labels", [2, 4]));
    let message = nms(&boxes, &scores, &labels, &Nms { overlap: -0.5, ..settings }).unwrap_err().to_string();
    assert!(message.contains("an overlap of 0 to 1"), "{message}");
    let message = scores.class_peaks(&labels).unwrap_err().to_string();
    assert!(message.contains("(N, A, H, W)"), "{message}");
    let message = assign(&boxes, &truths, &classes, Some(&classes), &head, [2, 2]).unwrap_err().to_string();
    assert!(message.contains("scores f32 (N, M)"), "{message}");
}
