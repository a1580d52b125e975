//! Indices that are none: the conformance test has no number to compare with.

mod common;

use limbeck::tape::{Plan, Step, Tape};

/// y is NaN there, no other element is, and no element of x gets a gradient for it.
#[test]
fn an_index_out_of_range_is_nan_and_has_no_gradient() {
    let gpu = common::gpu();
    let tape = Tape::new();
    let x = tape.variable("x", [2, 3]);
    let index = tape.input_i32("index", [2, 4]);
    let y = x.gather(1, &index).unwrap();
    let gradients = y.sum(&[0, 1], false).unwrap().backward().unwrap();
    let dx = gradients.get(&x).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y, dx]).unwrap();
    plan.write(&x, &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    plan.write(&index, &[0, 3, -1, 2, i32::MAX, i32::MIN, 1, 1]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    let got = plan.read_f32(&y).unwrap();
    let wanted = [Some(1.0), None, None, Some(3.0), None, None, Some(5.0), Some(5.0)];
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!(
            wanted.map_or(got.is_nan(), |wanted| *got == wanted),
            "element {i}: {got}, expected {wanted:?}"
        );
    }
    assert_eq!(plan.read_f32(dx).unwrap(), [1.0, 0.0, 1.0, 0.0, 2.0, 0.0]);
}

/// Of a table, -1 is a row of zeros, and other numbers out of range are NaN; none gets a gradient.
#[test]
fn a_row_out_of_range_is_nan_and_has_no_gradient() {
    let gpu = common::gpu();
    for width in [3, 4] {
        let tape = Tape::new();
        let table = tape.variable("table", [2, width]);
        let ids = tape.input_i32("ids", [7]);
        let y = table.embedding(&ids).unwrap();
        let gradients = y.sum(&[0, 1], false).unwrap().backward().unwrap();
        let dtable = gradients.get(&table).unwrap();
        let plan = Plan::new(&gpu, &tape, &[&y, dtable]).unwrap();
        plan.write(&table, &vec![2f32; 2 * width]).unwrap();
        plan.write(&ids, &[1, 2, -1, i32::MAX, 0, i32::MIN, 1]).unwrap();
        plan.run(&Step::new(0, 0)).unwrap();
        let got = plan.read_f32(&y).unwrap();
        let wanted = [Some(2.0), None, Some(0.0), None, Some(2.0), None, Some(2.0)];
        for (row, wanted) in got.chunks(width).zip(wanted) {
            assert!(row.iter().all(|v| wanted.map_or(v.is_nan(), |wanted| *v == wanted)), "{got:?}");
        }
        let dtable = plan.read_f32(dtable).unwrap();
        assert_eq!(dtable, [vec![1.0; width], vec![2.0; width]].concat());
    }
}
