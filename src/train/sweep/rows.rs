//! Rows, cells and footnotes of the tables, as text that no markup is in yet.

use super::{MethodRuns, MethodSummary, OtherFigure, PairRuns, Sweep, TEACHER};
use crate::report::{Quantity, Unit, significant};

/// The columns of a pair's table.
pub fn columns(metric: &Quantity) -> [String; 9] {
    let [last, best] = ["last epoch", "best epoch"].map(|name| format!("{name} {}", metric.sign()));
    let [last, best] = [last.trim_end(), best.trim_end()];
    ["method", last, best, "gain", "seeds", "steps", "ms a step", "GFLOP a step", "MiB a step"]
        .map(String::from)
}

/// A method's cells under [`columns`].
pub fn cells(pair: &PairRuns, runs: &MethodRuns) -> [String; 9] {
    let (summary, metric) = (pair.summary(runs), pair.metric());
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        runs.method.clone(),
        spread(&summary, &metric),
        or_dash(summary.best.map(|v| digits(&metric, v))),
        or_dash(summary.gain.map(|v| signed(&metric, v))),
        summary.seeds.to_string(),
        or_dash(summary.steps.map(|v| format!("{v:.0}"))),
        or_dash(summary.ms_per_step.map(|v| format!("{v:.1}"))),
        or_dash(summary.gflop.map(gflop)),
        or_dash(summary.mib.map(|v| format!("{v:.1}"))),
    ]
}

/// The table of what is measured besides: its rows, header first; `None` where nothing is.
pub fn others(pair: &PairRuns) -> Option<Vec<Vec<String>>> {
    let metrics = pair.others();
    if metrics.is_empty() {
        return None;
    }
    let title = |metric: &Quantity| format!("{} {}", metric.title(), metric.sign()).trim_end().to_string();
    let mut rows: Vec<Vec<String>> =
        vec![std::iter::once("method".into()).chain(metrics.iter().map(title)).collect()];
    for runs in &pair.methods {
        let cell = |metric: &Quantity| {
            let Some(OtherFigure { mean, sd, gain }) = pair.other(runs, metric) else { return "-".into() };
            let sd = sd.map_or(String::new(), |sd| format!(" ± {}", digits(metric, sd)));
            let gain = gain.map_or(String::new(), |gain| format!(" ({})", signed(metric, gain)));
            format!("{}{sd}{gain}", digits(metric, mean))
        };
        rows.push(std::iter::once(runs.method.clone()).chain(metrics.iter().map(cell)).collect());
    }
    Some(rows)
}

/// `3.142`, and as many digits of small networks' work.
fn gflop(value: f64) -> String {
    let digits = if value > 0.0 { (2.0 - value.log10().floor()).clamp(3.0, 9.0) as usize } else { 3 };
    format!("{value:.digits$}")
}

/// `71.20 ± 0.31`
fn spread(summary: &MethodSummary, metric: &Quantity) -> String {
    match summary.last {
        None => "failed".into(),
        Some((mean, None)) => digits(metric, mean),
        Some((mean, Some(sd))) => format!("{} ± {}", digits(metric, mean), digits(metric, sd)),
    }
}

/// A number that is scaled already: percent have two digits behind the point, others three significant ones.
fn digits(metric: &Quantity, value: f64) -> String {
    match metric.unit {
        Unit::Share => format!("{value:.2}"),
        Unit::Number => significant(value),
    }
}

fn signed(metric: &Quantity, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", digits(metric, value.abs()))
}

/// The table of methods x pairs that both pages begin with: its rows, header first. A method is a row by its label, and
/// has `-` where a pair did not run it.
pub fn overview(sweep: &Sweep) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&PairRuns) -> String| {
        std::iter::once(name.to_string()).chain(sweep.pairs.iter().map(cell)).collect::<Vec<_>>()
    };
    let teachers = |pair: &PairRuns| match &pair.teachers[..] {
        [] => "-".to_string(),
        all => all
            .iter()
            .map(|value| digits(&pair.metric(), pair.metric().scaled(*value)))
            .collect::<Vec<_>>()
            .join(" / "),
    };
    let mut rows = vec![row("", &|pair| pair.name.clone()), row(TEACHER, &teachers)];
    let mut labels: Vec<&str> = Vec::new();
    for runs in sweep.pairs.iter().flat_map(|pair| &pair.methods) {
        if !labels.contains(&runs.method.as_str()) {
            labels.push(&runs.method);
        }
    }
    for label in labels {
        rows.push(row(label, &|pair| {
            let runs = pair.methods.iter().find(|runs| runs.method == label);
            runs.map_or("-".into(), |runs| spread(&pair.summary(runs), &pair.metric()))
        }));
    }
    rows
}

/// What stands under a pair's table: what is said of the pair, what labels stand for, how often a scheme
/// trains, what is peculiar to a method's runs, what the doctor found, and what failed, once for seeds of one
/// reason.
pub fn footnotes(pair: &PairRuns) -> Vec<String> {
    let mut notes = pair.notes.clone();
    let labelled = pair.methods.iter().filter(|m| m.written != m.method);
    notes.extend(labelled.map(|m| match m.written.strip_prefix(&m.method) {
        Some(with) if with.starts_with(' ') => m.written.clone(),
        _ => format!("{} is {}", m.method, m.written),
    }));
    for runs in &pair.methods {
        if let Some((_, outcome)) = runs.done.iter().find(|(_, outcome)| outcome.trainings > 1) {
            let (method, trainings) = (&runs.method, outcome.trainings);
            notes.push(format!("{method} takes {trainings} trainings, whose steps all count"));
        }
        let peculiar = runs.done.iter().find_map(|(_, outcome)| outcome.note.as_ref());
        notes.extend(peculiar.map(|note| format!("{} {note}", runs.method)));
        notes.extend(runs.findings.iter().map(|finding| format!("{}: {finding}", runs.method)));
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        for (seed, why) in &runs.failed {
            match reasons.iter_mut().find(|(known, _)| known == why) {
                Some((_, seeds)) => seeds.push(seed.to_string()),
                None => reasons.push((why, vec![seed.to_string()])),
            }
        }
        notes.extend(reasons.into_iter().map(|(why, seeds)| {
            let seeds = format!("seed{} {}", if seeds.len() == 1 { "" } else { "s" }, seeds.join(", "));
            format!("{} with {seeds} failed: {why}", runs.method)
        }));
    }
    notes
}
