//! What losses and norms do at the edges, where the conformance test has no finite number to compare with, and what they
//! refuse.

mod common;

use limbeck::data::IGNORE_LABEL;
use limbeck::gpu::Gpu;
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::ops::kl_div::KlReduction;
use limbeck::tape::{GradOps, Plan, Step, Tape};

/// Loss and gradient of cross entropy of 4 rows of zeros over 3 classes.
fn cross_entropy(gpu: &Gpu, labels: [i32; 4]) -> (f32, Vec<f32>) {
    let tape = Tape::new();
    let logits = tape.variable("logits", [4, 3]);
    let truth = tape.input_i32("labels", [4]);
    // The defaults of losses and loaders agree on what does not count.
    let settings = CrossEntropy::default();
    let loss = logits.cross_entropy(&truth, &settings).unwrap();
    let gradients = tape.backward(&loss, &GradOps { add: |a, _| Ok(a.clone()) }).unwrap();
    let gradient = gradients.get(&logits).unwrap();
    let plan = Plan::new(gpu, &tape, &[&loss, gradient]).unwrap();
    plan.write(&logits, &[0f32; 12]).unwrap();
    plan.write(&truth, &labels).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    (plan.read_f32(&loss).unwrap()[0], plan.read_f32(gradient).unwrap())
}

#[test]
fn all_labels_ignored_is_zero() {
    let (loss, gradient) = cross_entropy(&common::gpu(), [IGNORE_LABEL; 4]);
    assert_eq!((loss, gradient), (0.0, vec![0.0; 12]));
}

/// The last batch of a loader is filled up with labels that the default loss leaves out.
#[test]
fn a_padded_batch_is_finite_by_default() {
    let (loss, gradient) = cross_entropy(&common::gpu(), [0, 2, IGNORE_LABEL, IGNORE_LABEL]);
    assert!((loss - 3f32.ln()).abs() < 1e-6, "{loss}");
    assert!(gradient[..6].iter().all(|v| v.is_finite() && *v != 0.0), "{gradient:?}");
    assert_eq!(gradient[6..], [0.0; 6]);
}

/// A label out of range reads nothing out of bounds: it shows as NaN in the loss and in its own row only.
#[test]
fn a_label_out_of_range_is_nan() {
    for wrong in [3, 1_000_000, -2, i32::MAX, i32::MIN] {
        let (loss, gradient) = cross_entropy(&common::gpu(), [0, wrong, IGNORE_LABEL, 2]);
        assert!(loss.is_nan(), "label {wrong}: loss {loss}");
        for (row, values) in gradient.chunks(3).enumerate() {
            assert_eq!(values.iter().all(|v| v.is_nan()), row == 1, "label {wrong}, row {row}: {values:?}");
            assert_eq!(
                values.iter().all(|v| v.is_finite()),
                row != 1,
                "label {wrong}, row {row}: {values:?}"
            );
        }
    }
}

/// The teacher gets no gradient, also where it would take one.
#[test]
fn kl_div_leaves_the_teacher_alone() {
    let tape = Tape::new();
    let (student, teacher) = (tape.variable("student", [2, 3]), tape.variable("teacher", [2, 3]));
    let loss = student.kl_div(&teacher, 4.0, KlReduction::BatchMean).unwrap();
    let gradients = tape.backward(&loss, &GradOps { add: |a, _| Ok(a.clone()) }).unwrap();
    assert!(gradients.get(&student).is_ok() && gradients.find(&teacher).unwrap().is_none());
}

#[test]
fn wrong_input_is_refused_in_words() {
    let tape = Tape::new();
    let logits = tape.input("logits", [4, 3]);
    let settings = CrossEntropy::default();
    let labels = tape.input_i32("labels", [5]);
    let message = logits.cross_entropy(&labels, &settings).unwrap_err().to_string();
    assert!(message.contains("labels i32 [4]"), "{message}");
    assert!(logits.cross_entropy(&logits, &settings).is_err());
    assert!(tape.input("none", [0, 3]).mse_loss(&tape.input("none", [0, 3])).is_err());
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(logits.kl_div(&logits, temperature, KlReduction::BatchMean).is_err(), "{temperature}");
    }
    assert!(logits.smooth_l1_loss(&logits, -1.0).is_err());
    assert!(logits.softmax(2).is_err());
    let (one, c) = (tape.input("x", [1, 3]), tape.input("c", [3]));
    let message = one.batch_norm_train(&c, &c, &c, &c, 0.1, 1e-5).unwrap_err().to_string();
    assert!(message.contains("more than one value a channel"), "{message}");
    assert!(logits.layer_norm(&tape.input("gamma", [4]), &tape.input("beta", [4]), 1e-5).is_err());
}
