use super::*;

fn runs(method: &str, last: &[f64]) -> MethodRuns {
    let outcome = |last: f64| Outcome {
        key: String::new(),
        metric: Quantity::share("recall"),
        last,
        best: last + 0.01,
        ms_per_step: 2.0,
        steps: 100,
        flops: 3_000_000_000,
        planned_bytes: 1 << 20,
        student_params: 10,
        trainings: 1,
        ..Default::default()
    };
    let done = last.iter().enumerate().map(|(seed, last)| (seed as u64, outcome(*last))).collect();
    MethodRuns { method: method.into(), written: method.into(), done, ..Default::default() }
}

fn sweep() -> Sweep {
    let mut broken = runs("dkd|x", &[]);
    broken.failed.extend([1, 3].map(|seed| (seed, "expected <8>, got 7".into())));
    let methods = vec![runs("alone", &[0.70, 0.72]), runs("kd", &[0.73, 0.75]), broken];
    let pair = PairRuns { name: "a to b".into(), teachers: vec![0.8], methods, ..Default::default() };
    // Another order, another text under a label, one method more and one less.
    let kd = MethodRuns { written: "kd:2".into(), ..runs("kd", &[0.5]) };
    let methods = vec![runs("alone", &[0.6]), runs("crd", &[0.65]), kd];
    let other = PairRuns { name: "c to d".into(), teachers: vec![0.8, 0.75], methods, ..Default::default() };
    Sweep { title: "t".into(), made: "here".into(), pairs: vec![pair, other] }
}

#[test]
fn means_spreads_and_gains() {
    let sweep = sweep();
    let summary = sweep.pairs[0].summary(&sweep.pairs[0].methods[1]);
    let (mean, sd) = summary.last.unwrap();
    assert!((mean - 74.0).abs() < 1e-9 && (sd.unwrap() - 2f64.sqrt()).abs() < 1e-9, "{mean} {sd:?}");
    assert!((summary.gain.unwrap() - 3.0).abs() < 1e-9 && (summary.best.unwrap() - 75.0).abs() < 1e-9);
    assert_eq!(sweep.pairs[0].summary(&sweep.pairs[0].methods[0]).gain, None);
    assert_eq!(sweep.failures(), 2);
}

/// A detector's AP50 beside its AP: mean, deviation, gain.
#[test]
fn what_is_measured_besides_has_a_table() {
    let mut sweep = sweep();
    assert!(!sweep.markdown().contains("besides"));
    for (_, outcome) in sweep.pairs[0].methods.iter_mut().flat_map(|runs| &mut runs.done) {
        outcome.others = vec![Metric::share("AP50", outcome.last / 2.0)];
    }
    let text = sweep.markdown();
    assert!(text.contains("| method | AP50 % |"), "{text}");
    assert!(
        text.contains("| alone | 35.50 ± 0.71 |") && text.contains("| kd | 37.00 ± 0.71 (+1.50) |"),
        "{text}"
    );
    assert!(sweep.html().contains("37.00 ± 0.71 (+1.50)"));
}

/// An error: less is better, and the table says neither percent nor recall.
#[test]
fn other_metrics_gain_by_falling() {
    let mut sweep = sweep();
    sweep.pairs.truncate(1);
    for (_, outcome) in sweep.pairs[0].methods.iter_mut().flat_map(|runs| &mut runs.done) {
        outcome.metric = Quantity::error("rmse");
    }
    let text = sweep.markdown();
    assert!(text.contains("RMSE on the test set, last epoch") && !text.contains('%'), "{text}");
    assert!(text.contains("| kd | 0.740 ± 0.0141 | 0.750 | -0.0300 | 2 |"), "{text}");
    assert!(
        text.contains("| teacher | 0.800 |") && text.contains("| method | last epoch | best epoch |"),
        "{text}"
    );
}

/// Every row of a Markdown table has as many cells as its header, whatever a method is called.
#[test]
fn markdown_has_rectangular_tables() {
    let text = sweep().markdown();
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
        let counts: Vec<usize> = table.lines().map(cells).collect();
        assert!(counts.iter().all(|c| *c == counts[0]), "{table}");
    }
    assert!(text.contains("| kd | 74.00 ± 1.41 | 75.00 | +3.00 | 2 | 100 | 2.0 | 3.000 | 1.0 |"), "{text}");
    assert!(text.contains("dkd\\|x with seeds 1, 3 failed"), "{text}");
}

#[test]
fn small_work_keeps_its_digits() {
    let shown = |flops: u64| {
        let mut small = runs("kd", &[0.5]);
        small.done[0].1.flops = flops;
        super::rows::cells(&PairRuns::default(), &small)[7].clone()
    };
    let cells = [12_345_678_900, 60_400_000, 123_456, 0].map(shown);
    assert_eq!(cells, ["12.346", "0.0604", "0.000123", "0.000"]);
}

#[test]
fn html_escapes_what_files_and_users_say() {
    let page = sweep().html();
    assert!(page.contains("expected &lt;8&gt;") && !page.contains("<8>"), "{page}");
    assert!(!page.contains("://"), "a page that loads something");
}

/// Rows of several pairs are matched by label, and every pair has a cell in each.
#[test]
fn rows_are_matched_by_label() {
    let rows = super::rows::overview(&sweep());
    let columns: Vec<[&str; 3]> = rows.iter().map(|row| [0, 1, 2].map(|i| row[i].as_str())).collect();
    let want = [
        ["", "a to b", "c to d"],
        ["teacher", "80.00", "80.00 / 75.00"],
        ["alone", "71.00 ± 1.41", "60.00"],
        ["kd", "74.00 ± 1.41", "50.00"],
        ["dkd|x", "failed", "-"],
        ["crd", "-", "65.00"],
    ];
    assert_eq!(columns, want);
    let text = sweep().markdown();
    assert!(text.contains("- kd is kd:2\n") && !text.contains("crd is"), "{text}");
}

fn finished(label: &str, outcome: Outcome) -> Finished {
    Finished { label: label.into(), seed: 1, outcome }
}

/// 100 steps in this many seconds.
fn took(label: &str, seconds: f64) -> Finished {
    let (_, outcome) = runs(label, &[0.5]).done.remove(0);
    finished(label, Outcome { seconds: Some(seconds), ..outcome })
}

/// A run that is left takes what its method's finished runs took in whole, or those of the pair's others.
#[test]
fn what_is_left_is_told_from_what_is_done() {
    let done = [took("alone", 10.0), took("kd", 20.0), took("kd", 40.0), took("at", 90.0)];
    assert_eq!(left_seconds(&done, "kd", 1), Some(30.0));
    assert_eq!(left_seconds(&done, "alone", 1), Some(10.0));
    assert_eq!(left_seconds(&done, "crd", 1), Some(40.0));
    assert_eq!(left_seconds(&done[..1], "crd", 1), Some(10.0));
    assert_eq!(left_seconds(&done, "takd", 3), Some(120.0));
    assert_eq!(left_seconds(&[], "kd", 1), None);
    // Three trainings of 100 steps: one of them took a third.
    let mut chain = took("takd", 60.0);
    (chain.outcome.steps, chain.outcome.trainings) = (300, 3);
    assert_eq!(left_seconds(std::slice::from_ref(&chain), "takd", 3), Some(60.0));
    assert_eq!(left_seconds(&[chain], "kd", 1), Some(20.0));
    // Versions that did not keep all of it: its steps, or nothing.
    let mut old = took("kd", 0.0);
    old.outcome.seconds = None;
    assert_eq!(left_seconds(std::slice::from_ref(&old), "kd", 1), Some(0.2));
    old.outcome.steps = 0;
    assert_eq!(left_seconds(&[old], "kd", 1), None);
}

/// 100 steps of 3 GFLOP each in 30 and in 60 seconds.
#[test]
fn flops_have_a_price() {
    let price = seconds_per_flop(&[took("kd", 30.0), took("at", 60.0)]).unwrap();
    assert!((price / 1.5e-10 - 1.0).abs() < 1e-9, "{price}");
    assert_eq!(seconds_per_flop(&[]), None);
}

/// The cost a step of several trainings, times all their steps, is what they cost together.
#[test]
fn trainings_of_a_scheme_count_together() {
    let run = |steps: u64, ms_per_step: f64, flops: u64, planned_bytes: u64, recall: f64| Run {
        epochs: vec![crate::train::Epoch {
            epoch: 1,
            step: steps,
            validation: measured(recall),
            ..Default::default()
        }],
        kept_epoch: 1,
        ms_per_step,
        cost: crate::tape::Cost { flops, planned_bytes, ..Default::default() },
        seconds_before: 2.0,
        ..Default::default()
    };
    let (assistant, student) = (run(30, 8.0, 1000, 70, 0.9), run(10, 4.0, 200, 50, 0.6));
    let outcome = Outcome::new("k".into(), &measured(0.5), &[assistant, student], 7, 1.5);
    assert_eq!((outcome.steps, outcome.trainings, outcome.planned_bytes), (40, 2, 70));
    assert_eq!((outcome.ms_per_step, outcome.flops, outcome.best), (7.0, 800, 0.6));
    assert_eq!(outcome.seconds, Some(5.5));
    let old = r#"{"key": "", "last": 1.0, "best": 1.0, "ms_per_step": 1.0, "flops": 1, "planned_bytes": 1,
        "student_params": 1, "teacher": 0.5}"#;
    let old: Outcome = serde_json::from_str(old).unwrap();
    assert_eq!((old.trainings, old.seconds, old.steps), (1, None, 0));
    assert_eq!(old.metric, Quantity::share("accuracy"));
}

fn measured(recall: f64) -> Measured {
    Measured { primary: Metric::share("recall", recall), ..Default::default() }
}
