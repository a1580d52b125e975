use super::*;
use crate::files::scratch::Scratch;
use std::collections::BTreeMap;

/// A plausible run: one teacher, a student alone and distilled in two ways, three seeds each.
pub(crate) fn example() -> TrainingReport {
    let row = |label: &str, model: &str, role, params, values: &[f64], ms| SummaryRow {
        label: label.into(),
        model: model.into(),
        role,
        params,
        bytes: params * 4,
        values: values.to_vec(),
        ms_per_step: ms,
    };
    let rows = vec![
        row("Teacher", "resnet56", Role::Teacher, 855_770, &[0.9363], None),
        row("Student alone", "resnet20", Role::Baseline, 272_474, &[0.9152, 0.9171, 0.9139], Some(18.4)),
        row("Distilled, kd", "resnet20", Role::Distilled, 272_474, &[0.9248, 0.9231, 0.9262], Some(31.7)),
        row("Distilled, fitnet", "resnet20", Role::Distilled, 272_474, &[0.9187, 0.9204, 0.9169], Some(36.2)),
    ];
    let mut curves = Vec::new();
    for (v, row) in rows.iter().enumerate().skip(1) {
        for (seed, &end) in row.values.iter().enumerate() {
            let noise = |e: usize, k: usize| {
                (((e * 7919 + seed * 104_729 + v * 31 + k) % 97) as f64 / 97.0 - 0.5) * 0.05
            };
            let rise = |e: usize| 1.0 - (-(e as f64) / (7.0 - v as f64)).exp();
            let quiet = |e: usize| {
                if e < 20 {
                    1.0
                } else if e < 30 {
                    0.25
                } else {
                    0.04
                }
            };
            let recall = |e: usize| 0.34 + (end - 0.34 - 0.035 * quiet(e)) * rise(e) + noise(e, 0) * quiet(e);
            let loss = |e: usize| 1.9 - (1.62 + 0.03 * v as f64) * rise(e) - noise(e, 3) * quiet(e);
            for (quantity, value) in
                [(Quantity::share("recall"), &recall as &dyn Fn(usize) -> f64), (Quantity::loss(), &loss)]
            {
                let points = (0..40).map(|e| (e as f64, value(e))).collect();
                let seed = seed as u64;
                let split = Split::Validation;
                curves.push(Curve { label: row.label.clone(), seed, quantity, split, points });
            }
        }
    }
    TrainingReport {
        title: "A resnet20 taught by a resnet56 on CIFAR-10".into(),
        subtitle: "Example data, drawn to test this page: it is no measurement. 40 epochs, batch size 128, SGD.".into(),
        metric: Quantity::share("recall"),
        rows,
        curves,
        environment: Environment {
            adapter: "llvmpipe (LLVM 15.0.6, 256 bits)".into(),
            driver: "Mesa 22.3.6".into(),
            backend: "Vulkan".into(),
            command: "limbeck distill --data data/cifar10 --teacher resnet56.safetensors --student resnet20 --method kd --seeds 3 --epochs 40".into(),
            date: "2025-11-24 00:12 UTC".into(),
            version: "0.1.0".into(),
            extra: vec![("Data".into(), "CIFAR-10, 50 000 training and 10 000 test images".into())],
        },
        notes: vec!["Recall is that of the last epoch, not of the best one.".into()],
        sections: vec![Section { title: "A <part>".into(), about: "of the task".into(), html: "<b>shown</b>".into() }],
    }
}

fn texts(report: &TrainingReport) -> String {
    report.html().split("</style>").nth(1).unwrap().to_string()
}

#[test]
fn page_is_whole_and_loads_nothing() {
    let dir = Scratch::new();
    let path = dir.file("out/report.html");
    example().write_html(&path).unwrap();
    let html = crate::files::read_text(&path).unwrap();
    for word in [
        "92.47",
        "+0.93",
        "3.14",
        "Validation recall",
        "resnet56",
        "llvmpipe",
        "<span>--seeds</span> <span>3</span>",
        "272\u{202f}474",
        // A task's own section, with pictures inside the page and none from elsewhere.
        "<h2>A &lt;part&gt;</h2>",
        "<b>shown</b>",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    ] {
        assert!(html.contains(word), "{word}");
    }
    for outside in ["http:", "https:", "src=", "url(", "<script", "@import", "{{", "}}", "NaN", "inf"] {
        assert!(!html.contains(outside), "{outside}");
    }
    if let Ok(folder) = std::env::var("LIMBECK_REPORT_EXAMPLE") {
        example().write_html(Path::new(&folder).join("report.html")).unwrap();
        println!("{}", example().text());
    }
}

#[test]
fn text_from_outside_is_escaped_once() {
    let mut report = example();
    let hostile = "<script>alert('{{style}}')</script>&\"\u{1b}[2J";
    report.title = hostile.into();
    report.notes = vec![hostile.into()];
    report.environment.command = hostile.into();
    for row in &mut report.rows {
        row.model = hostile.into();
    }
    for curve in &mut report.curves {
        curve.label = hostile.into();
    }
    let html = report.html();
    assert!(!html.contains("<script") && !html.contains('\u{1b}') && !html.contains("alert('"));
    assert!(html.contains("&lt;script&gt;alert(&#39;{{style}}&#39;)&lt;/script&gt;&amp;&quot;[2J"));
    assert!(!report.text().contains('\u{1b}'));
}

#[test]
fn empty_report_is_a_page() {
    let html = texts(&TrainingReport::default());
    assert!(!html.contains("<section") && html.contains("</html>"));
    assert_eq!(TrainingReport::default().text(), "");
}

#[test]
fn values_that_are_not_finite_leave_gaps() {
    let points = |values: &[f64]| values.iter().enumerate().map(|(e, &v)| (e as f64, v)).collect::<Vec<_>>();
    let curve = |seed, values: &[f64]| Curve {
        label: "a".into(),
        seed,
        quantity: Quantity::loss(),
        split: Split::Train,
        points: points(values),
    };
    let mut report =
        TrainingReport { curves: vec![curve(0, &[1.0, f64::NAN, 3.0, 2.0])], ..TrainingReport::default() };
    let html = texts(&report);
    assert!(html.contains("Training loss") && !html.contains("NaN"));
    assert_eq!(html.matches("class=\"line mean c-blue\" d=\"M44.0").count(), 1);
    report.curves = vec![curve(0, &[f64::NAN; 3]), curve(1, &[f64::INFINITY; 3])];
    assert!(!texts(&report).contains("<figure"));
    report.curves = vec![curve(0, &[0.5]), curve(1, &[])];
    assert!(texts(&report).contains("<figure"));
    let long: Vec<f64> = (0..100_000).map(|i| 1.0 / (1 + i) as f64).collect();
    report.curves = vec![curve(0, &long)];
    assert!(report.html().len() < 40_000);
}

#[test]
fn headline_says_how_far_to_trust_it() {
    let mut report = example();
    let detail = |report: &TrainingReport| headline::facts(report)[1].detail.clone();
    assert!(detail(&report).contains("times the spread"), "{}", detail(&report));
    report.rows[2].values = vec![0.93, 0.90];
    report.rows[3].values = vec![0.5];
    assert!(detail(&report).contains("no more than seeds differ"));
    report.rows[2].values = vec![0.90];
    assert!(detail(&report).contains("too few seeds"));
    let facts = headline::facts(&report);
    assert_eq!(facts[1].value, "\u{2212}1.54");
    assert!(facts.iter().all(|f| !f.label.contains("gap")));
    report.rows.truncate(1);
    assert_eq!(headline::facts(&report).len(), 1);
}

/// An error instead of a share: less is better, and nothing is in percent.
#[test]
fn other_metrics_have_their_own_direction_and_unit() {
    let mut report = example();
    report.metric = Quantity::error("rmse");
    report.curves.retain(|curve| curve.quantity == Quantity::loss());
    for (row, values) in report.rows.iter_mut().zip([&[0.2][..], &[0.5, 0.52], &[0.3, 0.31], &[0.4, 0.41]]) {
        row.values = values.to_vec();
    }
    let facts = headline::facts(&report);
    let shown: Vec<_> = facts.iter().map(|fact| (fact.value.as_str(), fact.unit)).collect();
    assert_eq!(shown, [("0.305", ""), ("\u{2212}0.205", ""), ("66", "%"), ("3.14", "×")]);
    assert_eq!(facts[0].label, "Distilled, kd", "the least error is the best");
    assert!(facts[1].detail.starts_with("less is better; "), "{}", facts[1].detail);
    let (html, text) = (texts(&report), report.text());
    assert!(html.contains("<h2>RMSE</h2>") && html.contains("<th class=\"n\">RMSE<"), "{html}");
    assert!(!html.contains("Recall</h2>") && text.contains(" rmse ") && !text.contains("recall"), "{text}");
    assert!(text.contains("0.305 ± 0.00707"), "{text}");
}

#[test]
fn terminal_table_is_aligned() {
    use unicode_width::UnicodeWidthStr;
    let mut report = example();
    report.rows[1].label = "学生".into();
    report.rows[2].label = "x".repeat(100);
    report.rows[3].values.clear();
    let text = report.text();
    let lines: Vec<_> = text.lines().skip(3).take(6).collect();
    let width = lines[1].width();
    assert!(lines.iter().all(|l| l.width() == width), "{text}");
    assert!(text.contains("93.63        ") && text.contains("91.54 ± 0.16") && text.contains("…"), "{text}");
}

#[test]
fn curves_from_a_log() {
    let record = |run: &str, epoch, loss, recall: Option<f64>| MetricRecord {
        run: run.into(),
        epoch,
        step: epoch * 10,
        split: Split::Train,
        loss,
        metrics: recall.map(|value| ("recall".to_string(), value)).into_iter().collect(),
        learning_rate: 0.1,
        images_per_second: 1.0,
        terms: BTreeMap::new(),
        seconds: 0.0,
        loss_scale: None,
        skipped_steps: None,
    };
    let log = [
        record("a", 0, 2.0, None),
        record("a", 0, 4.0, None),
        record("a", 1, 1.0, Some(0.5)),
        record("b", 0, 9.0, None),
    ];
    let curves = Curve::from_metrics(&log, "a", "label", 7, &[Quantity::share("recall")]);
    assert_eq!(curves.len(), 2);
    assert_eq!(curves[0].points, [(1.0, 0.5)]);
    assert_eq!(curves[1].quantity, Quantity::loss());
    assert_eq!(curves[1].points, [(0.0, 3.0), (1.0, 1.0)]);
}
