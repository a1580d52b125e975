//! The strip: for each variant a dot for each seed, the mean, and the spread, on one scale.
//!
//! Positions are percentages, so that the strip fills any width while its text keeps its size.

use std::fmt::Write;

use super::{Report, SummaryRow};
use crate::report::{Axis, accuracy, escape, percent, stats};

/// All variants that have an accuracy; empty when none has.
pub fn strip(report: &Report, palette: &[(&str, String)]) -> String {
    let rows: Vec<_> = report.rows.iter().filter(|r| r.mean_accuracy().is_some()).collect();
    let extent = |row: &&SummaryRow| {
        let (mean, sd) = (row.mean_accuracy().unwrap_or(0.0), stats::sample_sd(&row.accuracy).unwrap_or(0.0));
        [mean - sd, mean + sd]
            .into_iter()
            .chain(row.accuracy.iter().copied())
            .map(|v| v * 100.0)
            .collect::<Vec<_>>()
    };
    let Some(axis) = Axis::linear(rows.iter().flat_map(extent), 5) else { return String::new() };
    let mut html = String::from("<div class=\"strip\" role=\"list\">\n");
    for row in rows {
        let class = palette.iter().find(|(label, _)| *label == row.label).map_or("", |(_, class)| class);
        let (mean, spread) = accuracy(&row.accuracy).unwrap_or_default();
        let spread = spread.map(|sd| format!(" <small>± {sd}</small>")).unwrap_or_default();
        let _ = writeln!(
            html,
            "<div class=\"variant {class}\" role=\"listitem\"><div class=\"who\"><b>{}</b> <span>{}</span></div>\
             <svg>{}</svg><div class=\"value\">{mean}{spread}</div></div>",
            escape(&row.label),
            escape(&row.model),
            track(row, &axis)
        );
    }
    html.push_str("<div class=\"variant scale\"><div class=\"who\"></div><svg>");
    for (value, label) in &axis.ticks {
        let _ = write!(html, "<text x=\"{:.2}%\" y=\"16\">{label}</text>", axis.at(*value) * 100.0);
    }
    html.push_str("</svg><div class=\"value\">%</div></div>\n</div>\n");
    html
}

fn track(row: &SummaryRow, axis: &Axis) -> String {
    let at = |fraction: f64| format!("{:.2}%", axis.at(fraction * 100.0) * 100.0);
    let mut svg = String::new();
    for (value, _) in &axis.ticks {
        let x = format!("{:.2}%", axis.at(*value) * 100.0);
        let _ = write!(svg, "<line class=\"rule\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/>");
    }
    let mean = row.mean_accuracy().unwrap_or(0.0);
    if let Some(sd) = stats::sample_sd(&row.accuracy) {
        let (from, to) = (at(mean - sd), at(mean + sd));
        let _ = write!(svg, "<line class=\"spread\" x1=\"{from}\" x2=\"{to}\" y1=\"24\" y2=\"24\"/>");
    }
    for (i, &value) in row.accuracy.iter().enumerate() {
        // A little up and down, so that seeds of equal accuracy don't hide one another.
        let y = if row.accuracy.len() == 1 { 24 } else { [24, 19, 29][i % 3] };
        let _ = write!(
            svg,
            "<circle cx=\"{}\" cy=\"{y}\" r=\"5\"><title>seed {} of {}: {} %</title></circle>",
            at(value),
            i + 1,
            row.accuracy.len(),
            percent(value)
        );
    }
    if row.accuracy.len() > 1 {
        let x = at(mean);
        let _ = write!(svg, "<line class=\"mean\" x1=\"{x}\" x2=\"{x}\" y1=\"12\" y2=\"36\">");
        let _ = write!(svg, "<title>mean: {} %</title></line>", percent(mean));
    }
    svg
}
