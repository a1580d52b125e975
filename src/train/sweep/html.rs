//! A sweep as a page, in the style of a run's report.

use super::{COLUMNS, Sweep, cells, failures, overview};
use crate::train::report::escape;
use crate::train::report::page::{document, section};

pub fn page(sweep: &Sweep) -> String {
    let mut body = String::new();
    let about =
        "Top-1 accuracy on the test set in percent, last epoch: mean and sample deviation over seeds.";
    let rows = overview(sweep);
    if let Some((header, rows)) = rows.split_first() {
        body += &section("Methods and pairs", about, &table(header, rows));
    }
    for pair in &sweep.pairs {
        let rows: Vec<Vec<String>> = pair.methods.iter().map(|runs| cells(pair, runs).to_vec()).collect();
        let mut inner = table(&COLUMNS.map(String::from), &rows);
        for failure in failures(pair) {
            inner += &format!("<p>{}</p>\n", escape(&failure));
        }
        let about = format!("A student of {} parameters.", pair.student_params);
        body += &section(&escape(&pair.name), &about, &inner);
    }
    document(&sweep.title, &sweep.made, "", &body)
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String], tag: &str| {
        let cells = cells.iter().enumerate().map(|(i, cell)| {
            let class = if i == 0 { "" } else { " class=\"n\"" };
            format!("<{tag}{class}>{}</{tag}>", escape(cell))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows: String = rows.iter().map(|cells| row(cells, "td")).collect();
    format!("<table>\n<thead>{}</thead>\n<tbody>{rows}</tbody>\n</table>\n", row(header, "th"))
}
