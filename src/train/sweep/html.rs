//! A sweep as a page, in the style of a run's report.

use super::{COLUMNS, Sweep, cells, failures, overview};
use crate::train::report::{STYLE, escape};

pub fn page(sweep: &Sweep) -> String {
    let title = escape(&sweep.title);
    let mut body =
        format!("<header class=\"top\"><h1>{title}</h1>\n<p>{}</p></header>\n", escape(&sweep.made));
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
        body += &section(&pair.name, &about, &inner);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n{body}<footer>Made by limbeck. This page loads nothing.</footer>\n</main>\n\
         </body>\n</html>\n"
    )
}

fn section(title: &str, about: &str, inner: &str) -> String {
    format!(
        "<section>\n<header><h2>{}</h2><p>{}</p></header>\n{inner}</section>\n",
        escape(title),
        escape(about)
    )
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
