use super::*;

fn runs(method: &str, last: &[f64]) -> MethodRuns {
    let outcome = |last: f64| Outcome {
        key: String::new(),
        last,
        best: last + 0.01,
        ms_per_step: 2.0,
        steps: 100,
        flops: 3_000_000_000,
        planned_bytes: 1 << 20,
        student_params: 10,
        teacher: Some(0.8),
    };
    let done = last.iter().enumerate().map(|(seed, last)| (seed as u64, outcome(*last))).collect();
    MethodRuns { method: method.into(), written: method.into(), done, ..Default::default() }
}

fn sweep() -> Sweep {
    let mut broken = runs("dkd|x", &[]);
    broken.failed.extend([1, 3].map(|seed| (seed, "expected <8>, got 7".into())));
    let methods = vec![runs("alone", &[0.70, 0.72]), runs("kd", &[0.73, 0.75]), broken];
    let pair = PairRuns { name: "a to b".into(), methods };
    // Another order, another text under a label, one method more and one less.
    let kd = MethodRuns { written: "kd:2".into(), ..runs("kd", &[0.5]) };
    let methods = vec![runs("alone", &[0.6]), runs("crd", &[0.65]), kd];
    let other = PairRuns { name: "c to d".into(), methods };
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

/// Every row of a Markdown table has as many cells as its header, whatever a method is called.
#[test]
fn markdown_has_rectangular_tables() {
    let text = sweep().markdown();
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
        let counts: Vec<usize> = table.lines().map(cells).collect();
        assert!(counts.iter().all(|c| *c == counts[0]), "{table}");
    }
    assert!(text.contains("| kd | 74.00 ± 1.41 | 75.00 | +3.00 | 2 | 2.0 | 3.000 | 1.0 |"), "{text}");
    assert!(text.contains("dkd\\|x with seeds 1, 3 failed"), "{text}");
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
        ["teacher", "80.00", "80.00"],
        ["alone", "71.00 ± 1.41", "60.00"],
        ["kd", "74.00 ± 1.41", "50.00"],
        ["dkd|x", "failed", "-"],
        ["crd", "-", "65.00"],
    ];
    assert_eq!(columns, want);
    let text = sweep().markdown();
    assert!(text.contains("- kd is kd:2\n") && !text.contains("crd is"), "{text}");
}

/// A run that is left costs what its method's finished runs did, or those of the pair's others.
#[test]
fn what_is_left_is_told_from_what_is_done() {
    let finished = |label: &str, ms_per_step: f64| {
        let (_, outcome) = runs(label, &[0.5]).done.remove(0);
        Finished { label: label.into(), seed: 1, outcome: Outcome { ms_per_step, ..outcome } }
    };
    let done = [finished("alone", 1.0), finished("kd", 2.0), finished("kd", 4.0), finished("at", 9.0)];
    assert_eq!(left_ms(&done, "kd"), Some(300.0));
    assert_eq!(left_ms(&done, "alone"), Some(100.0));
    assert_eq!(left_ms(&done, "crd"), Some(400.0));
    assert_eq!(left_ms(&done[..1], "crd"), Some(100.0));
    assert_eq!(left_ms(&[], "kd"), None);
    let mut old = finished("kd", 2.0);
    old.outcome.steps = 0;
    assert_eq!(left_ms(&[old], "kd"), None);
}
