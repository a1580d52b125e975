//! Relation losses: what is equal teaches nothing, and each text counts as one whatever its length.

mod common;

use limbeck::ops::relation::RelationForm;
use limbeck::tape::{Plan, Step, Tape};

/// Loss and the gradients of a_s and b_s, for texts of these lengths and rows that `value` gives.
fn run(
    lengths: &[i32],
    form: RelationForm,
    heads: usize,
    [student, teacher]: [usize; 2],
    value: impl Fn(usize, usize) -> f32,
) -> (f32, Vec<f32>, Vec<f32>) {
    let gpu = common::gpu();
    let tape = Tape::new();
    let tokens = lengths.iter().sum::<i32>() as usize;
    let a = tape.variable("a", [tokens, student]);
    let b = tape.variable("b", [tokens, student]);
    let [q, k] = ["q", "k"].map(|name| tape.input(name, [tokens, teacher]));
    let spans = tape.input_i32("spans", [lengths.len(), 2]);
    let [ranges, _] = spans.token_places(tokens, false).unwrap();
    let loss = a.relation_loss(&b, &q, &k, &ranges, heads, form).unwrap();
    let gradients = loss.backward().unwrap();
    let [da, db] = [&a, &b].map(|x| gradients.get(x).unwrap());
    let plan = Plan::new(&gpu, &tape, &[&loss, da, db]).unwrap();
    for (which, x) in [&a, &b, &q, &k].into_iter().enumerate() {
        let values: Vec<f32> = (0..x.meta().len()).map(|i| value(which, i)).collect();
        plan.write(x, &values).unwrap();
    }
    let ends: Vec<i32> =
        lengths.iter().scan(0, |end, n| Some(std::mem::replace(end, *end + n) + n)).collect();
    let spans_of = lengths.iter().zip(&ends).flat_map(|(n, end)| [end - n, *end]).collect::<Vec<i32>>();
    plan.write(&spans, &spans_of).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    (plan.read_f32(&loss).unwrap()[0], plan.read_f32(da).unwrap(), plan.read_f32(db).unwrap())
}

/// Numbers without a pattern, from -1 to 1.
fn number(i: usize) -> f32 {
    ((i * 7919 + 13) % 1999) as f32 / 999.5 - 1.0
}

#[test]
fn what_is_equal_teaches_nothing() {
    for form in [RelationForm::Kl, RelationForm::Mse] {
        // a as q, b as k.
        let (loss, da, db) = run(&[5, 1, 9], form, 2, [8, 8], |which, i| number(i + which % 2 * 1000));
        assert_eq!(loss, 0.0, "{form:?}");
        assert!(da.iter().chain(&db).all(|d| *d == 0.0), "{form:?}: {da:?} {db:?}");
        let (loss, da, _) = run(&[5, 1, 9], form, 2, [8, 8], |which, i| number(i + which * 1000));
        assert!(loss > 0.0 && da.iter().any(|d| d.abs() > 1e-4), "{form:?}");
    }
}

/// PyTorch 2.15, float64, of the numbers above: for each text F.softmax(q k^T / sqrt(d)) by head, KL by row, the mean over
/// rows and heads, the mean over texts; and F.mse_loss of all scores of both texts.
#[test]
fn losses_are_those_of_pytorch() {
    let value = |which: usize, i: usize| 3.0 * number(i + which * 1000);
    let (kl, ..) = run(&[3, 4], RelationForm::Kl, 2, [4, 6], value);
    let (mse, ..) = run(&[3, 4], RelationForm::Mse, 2, [4, 6], value);
    assert!((kl - 1.877_400_9).abs() < 1e-5 && (mse - 31.381_93).abs() < 1e-4, "{kl} {mse}");
}
