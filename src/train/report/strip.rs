//! The strip: for each variant a dot for each seed, the mean, and the spread, on one scale.
//!
//! Positions are percentages, so that the strip fills any width while its text keeps its size.

use std::fmt::Write;

use super::{SummaryRow, TrainingReport};
use crate::report::{Axis, Quantity, escape, stats};

/// All variants that were measured; empty when none was.
pub fn strip(report: &TrainingReport, palette: &[(&str, String)]) -> String {
    let metric = &report.metric;
    let rows: Vec<_> = report.rows.iter().filter(|r| r.mean().is_some()).collect();
    let extent = |row: &&SummaryRow| {
        let (mean, sd) = (row.mean().unwrap_or(0.0), stats::sample_sd(&row.values).unwrap_or(0.0));
        [mean - sd, mean + sd]
            .into_iter()
            .chain(row.values.iter().copied())
            .map(|v| metric.scaled(v))
            .collect::<Vec<_>>()
    };
    let Some(axis) = Axis::linear(rows.iter().flat_map(extent), 5) else { return String::new() };
    let mut html = String::from("<div class=\"strip\" role=\"list\">\n");
    for row in rows {
        let class = palette.iter().find(|(label, _)| *label == row.label).map_or("", |(_, class)| class);
        let (mean, spread) = metric.mean_and_spread(&row.values).unwrap_or_default();
        let spread = spread.map(|sd| format!(" <small>± {sd}</small>")).unwrap_or_default();
        let _ = writeln!(
            html,
            "<div class=\"variant {class}\" role=\"listitem\"><div class=\"who\"><b>{}</b> <span>{}</span></div>\
             <svg>{}</svg><div class=\"value\">{mean}{spread}</div></div>",
            escape(&row.label),
            escape(&row.model),
            track(row, metric, &axis)
        );
    }
    html.push_str("<div class=\"variant scale\"><div class=\"who\"></div><svg>");
    for (value, label) in &axis.ticks {
        let _ = write!(html, "<text x=\"{:.2}%\" y=\"16\">{label}</text>", axis.at(*value) * 100.0);
    }
    let _ = writeln!(html, "</svg><div class=\"value\">{}</div></div>\n</div>", metric.sign());
    html
}

fn track(row: &SummaryRow, metric: &Quantity, axis: &Axis) -> String {
    let at = |value: f64| format!("{:.2}%", axis.at(metric.scaled(value)) * 100.0);
    let shown = |value: f64| format!("{} {}", metric.shown(value), metric.sign()).trim_end().to_string();
    let mut svg = String::new();
    for (value, _) in &axis.ticks {
        let x = format!("{:.2}%", axis.at(*value) * 100.0);
        let _ = write!(svg, "<line class=\"rule\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/>");
    }
    let mean = row.mean().unwrap_or(0.0);
    if let Some(sd) = stats::sample_sd(&row.values) {
        let (from, to) = (at(mean - sd), at(mean + sd));
        let _ = write!(svg, "<line class=\"spread\" x1=\"{from}\" x2=\"{to}\" y1=\"24\" y2=\"24\"/>");
    }
    for (i, &value) in row.values.iter().enumerate() {
        // A little up and down, so that seeds of equal values don't hide one another.
        let y = if row.values.len() == 1 { 24 } else { [24, 19, 29][i % 3] };
        let _ = write!(
            svg,
            "<circle cx=\"{}\" cy=\"{y}\" r=\"5\"><title>seed {} of {}: {}</title></circle>",
            at(value),
            i + 1,
            row.values.len(),
            shown(value)
        );
    }
    if row.values.len() > 1 {
        let x = at(mean);
        let _ = write!(svg, "<line class=\"mean\" x1=\"{x}\" x2=\"{x}\" y1=\"12\" y2=\"36\">");
        let _ = write!(svg, "<title>mean: {}</title></line>", shown(mean));
    }
    svg
}
