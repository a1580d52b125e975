//! Results as one self-contained page, in the style of the training report.

use std::fmt::Write;

use super::bars;
use super::benchmark::Suite;
use super::compare::{Compared, caution};
use super::results::{AdapterResults, Results, Row};
use super::roofline;
use crate::report::page::{self, document, section};
use crate::report::{Environment, escape, three_digits, time};

const STYLE: &str = include_str!("style.css");

/// The page; `compared` is empty where there is nothing to compare with.
pub fn page(results: &Results, compared: &[Compared]) -> String {
    let mut body = String::new();
    for adapter in &results.adapters {
        let name = if results.adapters.len() > 1 { format!(": {}", adapter.label()) } else { String::new() };
        body.push_str(&ceilings(adapter));
        let about = "One point a kernel: up is faster; on the slope memory is the limit, under the roof arithmetic. \
                     Points above the slope keep their operands in a cache. Point at one for its name.";
        body.push_str(&section(&escape(&format!("Roofline{name}")), about, &roofline::figure(adapter)));
        let about = "Milliseconds of each op in one training step, a pass each.";
        let bars: String = adapter.breakdowns.iter().map(bars::figure).collect();
        let bars = if bars.is_empty() { bars } else { format!("<div class=\"charts\">\n{bars}</div>\n") };
        body.push_str(&section(&escape(&format!("Where a step's time goes{name}")), about, &bars));
    }
    body.push_str(&comparison(compared));
    for adapter in &results.adapters {
        for suite in Suite::ALL {
            let rows: Vec<&Row> = adapter.rows.iter().filter(|r| r.suite == suite).collect();
            let title = format!("{}: {}", suite.name(), adapter.label());
            body.push_str(&section(&escape(&title), about_table(suite), &table(&rows)));
        }
        body.push_str(&section("Left out", "", &notes(adapter)));
    }
    body.push_str(&section("How this was made", "", &page::environment(&environment(results))));
    let names: Vec<String> = results.adapters.iter().map(AdapterResults::label).collect();
    document("Benchmark", &names.join(", "), STYLE, &body)
}

fn about_table(suite: Suite) -> &'static str {
    match suite {
        Suite::Kernels => {
            "Median of one run; ± half the distance between the quartiles. FMA and copy: per cent of this adapter's own \
             ceilings. Error: the largest against the f64 reference, as a share of |reference| + its rms."
        }
        Suite::Train => "Steps with their uploads, from the host's view.",
        Suite::Overhead => "What everything costs beside the kernels.",
    }
}

fn environment(results: &Results) -> Environment {
    let drivers: Vec<&str> = results.adapters.iter().map(|a| a.driver.as_str()).collect();
    Environment {
        driver: drivers.join(", "),
        command: results.command.clone(),
        date: results.date.clone(),
        version: results.version.clone(),
        ..Environment::default()
    }
}

fn ceilings(adapter: &AdapterResults) -> String {
    let ceilings = &adapter.ceilings;
    let kernels = adapter.rows.iter().filter(|r| r.suite == Suite::Kernels).count();
    let tile = |value: String, unit: &str, label: &str, detail: &str| {
        format!(
            "<div><strong>{value}<em>{unit}</em></strong><b>{label}</b><span>{}</span></div>\n",
            escape(detail)
        )
    };
    let clock = format!("by {}", ceilings.clock.name());
    let tiles = [
        tile(three_digits(ceilings.gflops), "GFLOP/s", "f32 multiply-adds", &clock),
        tile(three_digits(ceilings.gbs), "GB/s", "copy, read and written", &clock),
        tile(
            three_digits(ceilings.ridge()),
            "FLOP/byte",
            "where the two meet",
            "left of it memory is the limit",
        ),
        tile(kernels.to_string(), "", "kernels measured", &adapter.label()),
    ];
    format!("<div class=\"facts\">\n{}</div>\n", tiles.concat())
}

fn table(rows: &[&Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let columns = ["Time", "±, %", "GFLOP/s", "GB/s", "FMA, %", "Copy, %", "Images/s", "Error", "Clock"];
    let used = |cells: &[String; 9]| cells.iter().map(|c| !c.is_empty()).collect::<Vec<_>>();
    let all: Vec<[String; 9]> = rows.iter().map(|row| cells(row)).collect();
    let shown: Vec<bool> = (0..9).map(|c| all.iter().any(|cells| used(cells)[c])).collect();
    let mut html = String::from("<table class=\"bench\">\n<thead><tr><th>Case");
    for (name, _) in columns.iter().zip(&shown).filter(|(_, shown)| **shown) {
        let _ = write!(html, "<th class=\"n\">{name}");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (row, cells) in rows.iter().zip(&all) {
        let class = if row.wrong { " class=\"wrong\"" } else { "" };
        let _ = write!(
            html,
            "<tr{class}><th scope=\"row\"><small>{}</small> {}</th>",
            escape(&row.group),
            escape(&row.name)
        );
        for ((cell, name), _) in cells.iter().zip(columns).zip(&shown).filter(|(_, shown)| **shown) {
            let _ = write!(html, "<td class=\"n\" data-name=\"{name}\"><span>{cell}</span></td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

fn cells(row: &Row) -> [String; 9] {
    let number = |value: Option<f64>| value.map_or(String::new(), three_digits);
    let error = match row.error {
        _ if row.wrong && row.error.is_none() => "not finite".to_string(),
        Some(error) => format!("{error:.1e}"),
        None => String::new(),
    };
    [
        time(row.median_ms),
        format!("{:.0}", row.spread_percent()),
        number(row.gflops),
        number(row.gbs),
        number(row.percent_of_fma),
        number(row.percent_of_copy),
        number(row.images_per_second),
        error,
        row.clock.name().to_string(),
    ]
}

fn notes(adapter: &AdapterResults) -> String {
    let mut html = String::new();
    for note in &adapter.notes {
        let class = if note.failed { " class=\"wrong\"" } else { "" };
        let _ = writeln!(html, "<p{class}><b>{}</b>: {}</p>", escape(&note.case), escape(&note.why));
    }
    html
}

fn comparison(compared: &[Compared]) -> String {
    let Some(first) = compared.first() else { return String::new() };
    let several = compared.iter().any(|one| one.adapters != first.adapters);
    let who = caution(compared).join("; ");
    let about = format!("{who}. Ratio of medians, 95 % interval; below 1 is faster.");
    let mut html = String::from(
        "<table class=\"bench\">\n<thead><tr><th>Case<th class=\"n\">Now<th class=\"n\">Then<th class=\"n\">Ratio\
         <th class=\"n\">Interval<th class=\"n\">Verdict</tr></thead>\n<tbody>\n",
    );
    for case in compared {
        let ratio = &case.ratio;
        let cells = [
            ("Now", time(case.median_ms[0])),
            ("Then", time(case.median_ms[1])),
            ("Ratio", three_digits(ratio.ratio)),
            ("Interval", format!("{} to {}", three_digits(ratio.low), three_digits(ratio.high))),
            ("Verdict", format!("<b class=\"{0}\">{0}</b>", ratio.verdict.name())),
        ];
        let adapter =
            if several { format!(" <small>{}</small>", escape(&case.adapters[0])) } else { String::new() };
        let _ = write!(html, "<tr><th scope=\"row\">{}{adapter}</th>", escape(&case.case));
        for (name, value) in cells {
            let _ = write!(html, "<td class=\"n\" data-name=\"{name}\"><span>{value}</span></td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    section("Against an earlier run", &about, &html)
}
