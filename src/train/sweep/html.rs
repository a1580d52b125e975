//! A sweep as a page, in the style of a run's report.

use super::Sweep;
use super::rows::{cells, columns, footnotes, others, overview};
use crate::report::escape;
use crate::report::page::{document, section};

/// Notes keep away from the table that they belong to.
const NOTES: &str = "table + p { margin-top: 1em; }\n";

pub fn page(sweep: &Sweep) -> String {
    let mut body = String::new();
    let rows = overview(sweep);
    if let Some((header, rows)) = rows.split_first() {
        body += &section("Methods and pairs", &sweep.about(), &table(header, rows));
    }
    for pair in &sweep.pairs {
        let rows: Vec<Vec<String>> = pair.methods.iter().map(|runs| cells(pair, runs).to_vec()).collect();
        let mut inner = table(&columns(&pair.metric()), &rows);
        if let Some((header, rows)) = others(pair).as_deref().and_then(<[_]>::split_first) {
            inner += "<p>Measured besides, with the gain over the student alone:</p>\n";
            inner += &table(header, rows);
        }
        for note in footnotes(pair) {
            inner += &format!("<p>{}</p>\n", escape(&note));
        }
        let about = pair.student_params().map_or(String::new(), |n| format!("A student of {n} parameters."));
        body += &section(&escape(&pair.name), &about, &inner);
    }
    document(&sweep.title, &sweep.made, NOTES, &body)
}

/// The first cell of a row heads it. The others carry their column's name, which a phone shows instead of the header.
fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let heads = header.iter().enumerate().map(|(i, name)| match i {
        0 => format!("<th>{}</th>", escape(name)),
        _ => format!("<th class=\"n\">{}</th>", escape(name)),
    });
    let cell = |(i, cell): (usize, &String)| match (i, header.get(i)) {
        (0, _) | (_, None) => format!("<th scope=\"row\">{}</th>", escape(cell)),
        (_, Some(name)) => {
            format!("<td class=\"n\" data-name=\"{}\"><span>{}</span></td>", escape(name), escape(cell))
        }
    };
    let row = |cells: &Vec<String>| {
        format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    let (heads, rows): (String, String) = (heads.collect(), rows.iter().map(row).collect());
    format!("<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody>\n</table>\n")
}
