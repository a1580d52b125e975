//! Dropout's mask: keyed by step, seed and node, equal in both directions, absent in eval mode.

mod common;

use limbeck::nn::{DeviceParams, Forward, Mode, Params};
use limbeck::tape::{Plan, Step, Tape, Tensor};

const LEN: usize = 4000;

struct Setup {
    plan: Plan,
    masks: Vec<Tensor>,
}

/// Two dropouts of ones: their outputs are their masks, scaled.
fn setup(gpu: &limbeck::gpu::Gpu, p: f32) -> Setup {
    let tape = Tape::new();
    let ones = tape.constant([LEN], &[1.0; LEN]).unwrap();
    let masks = vec![ones.dropout(p).unwrap(), ones.dropout(p).unwrap()];
    let plan = Plan::new(gpu, &tape, &[&masks[0], &masks[1]]).unwrap();
    Setup { plan, masks }
}

fn masks(setup: &Setup, step: Step) -> Vec<Vec<f32>> {
    setup.plan.run(&step).unwrap();
    setup.masks.iter().map(|m| setup.plan.read_f32(m).unwrap()).collect()
}

#[test]
fn masks_depend_on_seed_step_and_node_only() {
    let gpu = common::gpu();
    let one = setup(&gpu, 0.25);
    let first = masks(&one, Step::new(5, 7));
    assert_eq!(first, masks(&setup(&gpu, 0.25), Step::new(5, 7)), "another run of the same step");
    let others = [
        first[1].clone(),
        masks(&one, Step::new(6, 7)).remove(0),
        masks(&one, Step::new(5, 8)).remove(0),
        masks(&one, Step::new(5, 7 | 1 << 40)).remove(0),
    ];
    for (i, other) in others.iter().enumerate() {
        // Independent masks with p = 1/4 agree in 10 of 16 elements.
        let equal = other.iter().zip(&first[0]).filter(|(a, b)| a == b).count();
        assert!(equal.abs_diff(LEN * 10 / 16) < LEN / 25, "mask {i} agrees in {equal} of {LEN}");
    }
    let dropped = first[0].iter().filter(|m| **m == 0.0).count();
    assert!(dropped.abs_diff(LEN / 4) < LEN / 25, "{dropped} of {LEN} dropped");
    assert!(first[0].iter().all(|m| *m == 0.0 || (*m - 4.0 / 3.0).abs() < 1e-6));
}

#[test]
fn gradients_pass_where_values_did() {
    let gpu = common::gpu();
    let tape = Tape::new();
    let x = tape.variable("x", [LEN]);
    let y = x.dropout(0.5).unwrap();
    let loss = y.sum(&[0], false).unwrap();
    let gradients = loss.backward().unwrap();
    let dx = gradients.get(&x).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y, dx]).unwrap();
    plan.write(&x, &[1.0f32; LEN]).unwrap();
    plan.run(&Step::new(1, 1)).unwrap();
    assert_eq!(plan.read_f32(&y).unwrap(), plan.read_f32(dx).unwrap());
}

#[test]
fn eval_mode_and_zero_probability_record_nothing() {
    let gpu = common::gpu();
    let params = DeviceParams::frozen(&gpu, "none", &Params::default()).unwrap();
    let tape = Tape::new();
    let x = tape.variable("x", [3]);
    let fx = Forward::eval(&tape, &params);
    assert_eq!(fx.dropout("drop", &x, 0.5).unwrap().id(), x.id());
    assert_eq!(fx.tap("drop").unwrap().id(), x.id());
    let fx = Forward::new(&tape, &params, Mode::Train, true);
    assert_eq!(fx.dropout("drop", &x, 0.0).unwrap().id(), x.id());
    assert!(tape.is_empty());
    assert_ne!(fx.dropout("drop", &x, 0.5).unwrap().id(), x.id());
    for p in [1.0, -0.1, f32::NAN] {
        assert!(x.dropout(p).unwrap_err().to_string().contains("[0, 1)"));
    }
}
