//! The report's page: its sections in order.

use std::fmt::Write;

use super::palette::palette;
use super::{TrainingReport, chart, headline, strip};
use crate::report::page::{document, environment, paragraph, section};
use crate::report::{bytes, escape, grouped, seeds, three_digits};

/// The whole page.
pub fn page(report: &TrainingReport) -> String {
    let palette = palette(report);
    let figures = chart::figures(report, &palette);
    let curves = if figures.is_empty() {
        String::new()
    } else {
        format!("{}<div class=\"charts\">\n{figures}</div>\n", legend(report, &palette))
    };
    let about = "A dot is a seed, the upright line their mean, the bar one standard deviation to each side.";
    let reached = section(&escape(&report.metric.title()), about, &strip::strip(report, &palette));
    let about = if report.curves.len() > palette.len() {
        "A strong line is the mean over seeds, light lines are the seeds. Point at a line for its values."
    } else {
        "Point at a line for its values."
    };
    let body = [
        facts(report),
        reached,
        section("Training", about, &curves),
        section("Models", "", &summary(report, &palette)),
        report.sections.iter().map(|own| section(&escape(&own.title), &own.about, &own.html)).collect(),
        section("Notes", "", &report.notes.iter().map(|n| paragraph(n)).collect::<String>()),
        section("How this was made", "", &environment(&report.environment)),
    ];
    document(&report.title, &report.subtitle, "", &body.concat())
}

fn facts(report: &TrainingReport) -> String {
    let mut html = String::new();
    for fact in headline::facts(report) {
        let _ = writeln!(
            html,
            "<div><strong>{}<em>{}</em></strong><b>{}</b><span>{}</span></div>",
            escape(&fact.value),
            fact.unit,
            escape(&fact.label),
            escape(&fact.detail)
        );
    }
    if html.is_empty() { html } else { format!("<div class=\"facts\">\n{html}</div>\n") }
}

fn legend(report: &TrainingReport, palette: &[(&str, String)]) -> String {
    let mut html = String::from("<ul class=\"legend\">\n");
    for (label, class) in palette.iter().filter(|(label, _)| report.curves.iter().any(|c| c.label == *label))
    {
        let key = format!(
            "<svg class=\"{class}\" viewBox=\"0 0 22 8\"><path class=\"line mean {class}\" d=\"M2 4H20\"/></svg>"
        );
        let _ = writeln!(html, "<li>{key}{}</li>", escape(label));
    }
    html.push_str("</ul>\n");
    html
}

fn summary(report: &TrainingReport, palette: &[(&str, String)]) -> String {
    if report.rows.is_empty() {
        return String::new();
    }
    let metric = escape(&report.metric.heading());
    let mut html = format!(
        "<table>\n<thead><tr><th>Variant<th>Model<th>Role<th class=\"n\">Parameters<th class=\"n\">Weights\
         <th class=\"n\">{metric}<th class=\"n\">Seeds<th class=\"n\">ms per step</tr></thead>\n<tbody>\n"
    );
    for row in &report.rows {
        let class = palette.iter().find(|(label, _)| *label == row.label).map_or("", |(_, class)| class);
        let measured = match report.metric.mean_and_spread(&row.values) {
            Some((mean, Some(sd))) => format!("{mean} <small>± {sd}</small>"),
            Some((mean, None)) => mean,
            None => "–".to_string(),
        };
        let cells = [
            ("Model", escape(&row.model)),
            ("Role", row.role.name().to_string()),
            ("Parameters", grouped(row.params)),
            ("Weights", bytes(row.bytes)),
            (&*metric, measured),
            ("Seeds", seeds(row.values.len()).split(' ').next().unwrap_or_default().to_string()),
            ("ms per step", row.ms_per_step.filter(|v| v.is_finite()).map_or("–".to_string(), three_digits)),
        ];
        let _ = write!(html, "<tr class=\"{class}\"><th scope=\"row\"><i></i>{}</th>", escape(&row.label));
        for (i, (name, value)) in cells.iter().enumerate() {
            let numeric = if i >= 2 { " class=\"n\"" } else { "" };
            let _ = write!(html, "<td{numeric} data-name=\"{name}\"><span>{value}</span></td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    html
}
