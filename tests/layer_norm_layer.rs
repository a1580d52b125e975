//! The LayerNorm layer: PyTorch's names, its start as plain normalisation, its tap, and gradients for both parameters.

mod common;

use limbeck::nn::{DeviceParams, Forward, LayerNorm, ParamBuilder, Params};
use limbeck::tape::{Plan, Step, Tape};

#[test]
fn a_fresh_layer_normalises_and_learns() {
    let gpu = common::gpu();
    let mut params = Params::default();
    let norm = LayerNorm::new(ParamBuilder::new(&mut params).sub("norm"), [4], 1e-5);
    let names: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["norm.weight", "norm.bias"]);
    let device = DeviceParams::trainable(&gpu, "test", &params).unwrap();

    let tape = Tape::new();
    let x = tape.input("x", [2, 4]);
    let fx = Forward::train(&tape, &device);
    let y = norm.forward(&fx, &x).unwrap();
    assert_eq!(fx.tap("norm").unwrap().id(), y.id());
    let loss = y.mul(&y).unwrap().sum(&[0, 1], false).unwrap();
    let gradients = loss.backward().unwrap();
    let leaves = fx.leaves();
    let [dw, db] = [0, 1].map(|i| gradients.get(&leaves[i].1).unwrap());
    let plan = Plan::new(&gpu, &tape, &[&y, dw, db]).unwrap();
    plan.write(&x, &[1.0f32, 2.0, 3.0, 4.0, 10.0, 10.0, 10.0, 14.0]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();

    let near = |got: Vec<f32>, want: &[f32]| {
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4), "got {got:?}, expected {want:?}");
    };
    let (a, b) = (1.25f32.sqrt(), 3.0f32.sqrt());
    let y_want = [-1.5 / a, -0.5 / a, 0.5 / a, 1.5 / a, -1.0 / b, -1.0 / b, -1.0 / b, 3.0 / b];
    near(plan.read_f32(&y).unwrap(), &y_want);
    // With weight 1 and bias 0: dw = 2 sum y^2 and db = 2 sum y, over rows.
    let sums = |f: fn(f32) -> f32| -> Vec<f32> { (0..4).map(|i| f(y_want[i]) + f(y_want[4 + i])).collect() };
    near(plan.read_f32(dw).unwrap(), &sums(|y| 2.0 * y * y));
    near(plan.read_f32(db).unwrap(), &sums(|y| 2.0 * y));
}
