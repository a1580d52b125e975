//! The few numbers a reader wants first, and how far to trust them.

use super::{Role, SummaryRow, TrainingReport};
use crate::report::{Quantity, Unit, bytes, count, seeds, stats, three_digits};

/// Ways from the student alone to its teacher that are shorter are no ways: half a point of a share,
const LEAST_SHARE: f64 = 0.005;
/// and this part of what the student alone comes to otherwise.
const LEAST_PART: f64 = 0.005;

/// A number with its meaning.
#[derive(Debug, PartialEq)]
pub struct Fact {
    /// The number.
    pub value: String,
    /// Its unit, may be empty.
    pub unit: &'static str,
    /// What it is.
    pub label: String,
    /// What it rests on.
    pub detail: String,
}

/// The facts that the rows allow: what was reached, gain over the student alone, part of the gap closed, size.
pub fn facts(report: &TrainingReport) -> Vec<Fact> {
    let metric = &report.metric;
    let best = |role| {
        let of_role = report.rows.iter().filter(|r| r.role == role);
        let measured = of_role.filter_map(|row| Some((row, row.mean()?)));
        measured.max_by(|a, b| metric.order(a.1, b.1)).map(|(row, _)| row)
    };
    let (teacher, baseline, student) = (best(Role::Teacher), best(Role::Baseline), best(Role::Distilled));
    let mut facts = Vec::new();
    if let Some(row) = student.or(baseline).or(teacher) {
        facts.extend(reached(metric, row));
    }
    let Some(student) = student else { return facts };
    if let Some(baseline) = baseline {
        facts.extend(gain(metric, student, baseline));
        facts.extend(teacher.and_then(|teacher| gap_closed(metric, student, baseline, teacher)));
    }
    facts.extend(teacher.and_then(|teacher| smaller(student, teacher)));
    facts
}

fn reached(metric: &Quantity, row: &SummaryRow) -> Option<Fact> {
    let (value, spread) = metric.mean_and_spread(&row.values)?;
    let (name, n) = (&metric.name, seeds(row.values.len()));
    let detail = match spread {
        Some(sd) => format!("{name} of {}, mean of {n} ±\u{a0}{sd}", row.model),
        None => format!("{name} of {}, {n}", row.model),
    };
    Some(Fact { value, unit: metric.sign(), label: row.label.clone(), detail })
}

fn gain(metric: &Quantity, student: &SummaryRow, baseline: &SummaryRow) -> Option<Fact> {
    let difference = student.mean()? - baseline.mean()?;
    let label = if student.model == baseline.model {
        "against the same model trained alone".to_string()
    } else {
        format!("against {}", baseline.label)
    };
    let sign = if difference < 0.0 { "\u{2212}" } else { "+" };
    let value = format!("{sign}{}", metric.difference(difference.abs()));
    let trust = trust(difference, student, baseline);
    let detail = if metric.higher_is_better { trust } else { format!("less is better; {trust}") };
    Some(Fact { value, unit: metric.points(), label, detail })
}

/// Whether a difference of means stands out from the differences between seeds.
fn trust(difference: f64, a: &SummaryRow, b: &SummaryRow) -> String {
    let (Some(a), Some(b)) = (stats::sample_sd(&a.values), stats::sample_sd(&b.values)) else {
        return "too few seeds to know the spread".to_string();
    };
    let spread = a.hypot(b);
    if difference.abs() <= spread {
        return "no more than seeds differ among themselves".to_string();
    }
    let ratio = difference.abs() / spread;
    if ratio < 100.0 {
        format!("{ratio:.1} times the spread between seeds")
    } else {
        "far above the spread between seeds".to_string()
    }
}

/// How much of the way from the student alone to its teacher; left out where that way is too short to divide by.
fn gap_closed(
    metric: &Quantity,
    student: &SummaryRow,
    baseline: &SummaryRow,
    teacher: &SummaryRow,
) -> Option<Fact> {
    let alone = baseline.mean()?;
    let gap = metric.gain(teacher.mean()?, alone);
    let part = metric.gain(student.mean()?, alone) / gap;
    let least = match metric.unit {
        Unit::Share => LEAST_SHARE,
        Unit::Number => LEAST_PART * alone.abs(),
    };
    if gap < least || part < 0.0 {
        return None;
    }
    let (gap, points) = (metric.difference(gap), metric.points());
    let space = if points.is_empty() { "" } else { " " };
    let detail = format!("{gap}{space}{points} lie between training alone and the teacher");
    let label = "of the gap to the teacher closed".to_string();
    Some(Fact { value: format!("{:.0}", part * 100.0), unit: "%", label, detail })
}

fn smaller(student: &SummaryRow, teacher: &SummaryRow) -> Option<Fact> {
    if student.params == 0 || teacher.params <= student.params {
        return None;
    }
    let value = three_digits(teacher.params as f64 / student.params as f64);
    let detail = format!(
        "{} instead of {}; {} of weights",
        count(student.params),
        count(teacher.params),
        bytes(student.bytes)
    );
    Some(Fact { value, unit: "×", label: "fewer parameters than the teacher".to_string(), detail })
}
