//! The summary for a terminal: aligned by display width, so that wide characters and `±` don't shift columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{TrainingReport, headline};
use crate::report::{bytes, count, printable, seeds, three_digits};

/// Longer names are cut: a table that wraps can't be read.
const MAX_NAME: usize = 32;

/// Title, table, headline numbers; ends with a newline.
pub fn table(report: &TrainingReport) -> String {
    let mut out = String::new();
    for line in [&report.title, &report.subtitle] {
        if !line.is_empty() {
            out.push_str(&printable(line));
            out.push('\n');
        }
    }
    if !report.rows.is_empty() {
        out.push('\n');
        out.push_str(&aligned(&cells(report)));
    }
    let facts = headline::facts(report);
    if facts.len() > 1 {
        out.push('\n');
        for fact in facts {
            let space = if ["×", ""].contains(&fact.unit) { "" } else { " " };
            let line = format!("{}{space}{} {} ({})", fact.value, fact.unit, fact.label, fact.detail);
            out.push_str(&printable(&line).replace('\u{a0}', " "));
            out.push('\n');
        }
    }
    out
}

fn cells(report: &TrainingReport) -> Vec<[String; 8]> {
    let metric = format!("{} {}", report.metric.name, report.metric.sign());
    let header = ["variant", "model", "role", "params", "size", metric.trim(), "seeds", "ms/step"];
    let mut cells = vec![header.map(|name| printable(name).into_owned())];
    let measured: Vec<_> = report.rows.iter().map(|r| report.metric.mean_and_spread(&r.values)).collect();
    let widest = measured.iter().flatten().filter_map(|(_, sd)| Some(sd.as_ref()?.len())).max();
    for (row, measured) in report.rows.iter().zip(&measured) {
        let shown = match (measured, widest) {
            (Some((mean, Some(sd))), Some(width)) => format!("{mean} ± {sd:>width$}"),
            // As wide as a spread would be, so that the means stay in one column.
            (Some((mean, None)), Some(width)) => format!("{mean}{}", " ".repeat(width + 3)),
            (Some((mean, _)), None) => mean.clone(),
            (None, _) => "-".to_string(),
        };
        cells.push([
            cut(&row.label),
            cut(&row.model),
            row.role.name().to_string(),
            count(row.params),
            bytes(row.bytes),
            shown,
            seeds(row.values.len()).split(' ').next().unwrap_or_default().to_string(),
            row.ms_per_step.filter(|v| v.is_finite()).map_or("-".to_string(), three_digits),
        ]);
    }
    cells
}

fn aligned(cells: &[[String; 8]]) -> String {
    let widths: [usize; 8] =
        std::array::from_fn(|c| cells.iter().map(|row| row[c].width()).max().unwrap_or(0));
    let mut out = String::new();
    for (r, row) in cells.iter().enumerate() {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.width());
            let gap = if c == 0 { "" } else { "  " };
            // Names to the left, numbers to the right.
            let (before, after) = if c < 3 { ("", pad.as_str()) } else { (pad.as_str(), "") };
            line.extend([gap, before, cell, after]);
        }
        out.push_str(line.trim_end());
        out.push('\n');
        if r == 0 {
            out.push_str(&"─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
            out.push('\n');
        }
    }
    out
}

fn cut(name: &str) -> String {
    let name = printable(name);
    if name.width() <= MAX_NAME {
        return name.into_owned();
    }
    let mut out = String::new();
    for c in name.chars() {
        if out.width() + c.width().unwrap_or(0) >= MAX_NAME {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}
