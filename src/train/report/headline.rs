//! The few numbers a reader wants first, and how far to trust them.

use super::{Report, Role, SummaryRow};
use crate::report::{accuracy, bytes, count, seeds, stats, three_digits};

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

/// The facts that the rows allow: accuracy, gain over the student alone, part of the gap closed, size.
pub fn facts(report: &Report) -> Vec<Fact> {
    let best = |role| {
        let of_role = report.rows.iter().filter(|r| r.role == role && r.mean_accuracy().is_some());
        of_role.max_by(|a, b| {
            a.mean_accuracy().partial_cmp(&b.mean_accuracy()).unwrap_or(std::cmp::Ordering::Equal)
        })
    };
    let (teacher, baseline, student) = (best(Role::Teacher), best(Role::Baseline), best(Role::Distilled));
    let mut facts = Vec::new();
    if let Some(row) = student.or(baseline).or(teacher) {
        facts.extend(reached(row));
    }
    let Some(student) = student else { return facts };
    if let Some(baseline) = baseline {
        facts.extend(gain(student, baseline));
        facts.extend(teacher.and_then(|teacher| gap_closed(student, baseline, teacher)));
    }
    facts.extend(teacher.and_then(|teacher| smaller(student, teacher)));
    facts
}

fn reached(row: &SummaryRow) -> Option<Fact> {
    let (value, spread) = accuracy(&row.accuracy)?;
    let n = seeds(row.accuracy.len());
    let detail = match spread {
        Some(sd) => format!("accuracy of {}, mean of {n} ±\u{a0}{sd}", row.model),
        None => format!("accuracy of {}, {n}", row.model),
    };
    Some(Fact { value, unit: "%", label: row.label.clone(), detail })
}

fn gain(student: &SummaryRow, baseline: &SummaryRow) -> Option<Fact> {
    let difference = student.mean_accuracy()? - baseline.mean_accuracy()?;
    let label = if student.model == baseline.model {
        "against the same model trained alone".to_string()
    } else {
        format!("against {}", baseline.label)
    };
    let sign = if difference < 0.0 { "\u{2212}" } else { "+" };
    let value = format!("{sign}{:.2}", difference.abs() * 100.0);
    Some(Fact { value, unit: "points", label, detail: trust(difference, student, baseline) })
}

/// Whether a difference of means stands out from the differences between seeds.
fn trust(difference: f64, a: &SummaryRow, b: &SummaryRow) -> String {
    let (Some(a), Some(b)) = (stats::sample_sd(&a.accuracy), stats::sample_sd(&b.accuracy)) else {
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
fn gap_closed(student: &SummaryRow, baseline: &SummaryRow, teacher: &SummaryRow) -> Option<Fact> {
    let gap = teacher.mean_accuracy()? - baseline.mean_accuracy()?;
    let part = (student.mean_accuracy()? - baseline.mean_accuracy()?) / gap;
    if gap < 0.005 || part < 0.0 {
        return None;
    }
    let detail = format!("{:.2} points lie between training alone and the teacher", gap * 100.0);
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
