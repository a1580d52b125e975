//! Which class was taken for which.

use std::cmp::Reverse;
use std::fmt::Write;

use crate::report::{Section, count, escape};
use crate::tasks::detect::DetectionResult;

/// With more classes a matrix is wider than a page: the most frequent mix-ups are listed then.
const MOST_CLASSES: usize = 12;
/// How many shades tell a row's shares apart: classes s0 to s5 of the style.
const SHADES: f64 = 5.0;
/// Mix-ups of a list.
const LISTED: usize = 20;

/// A matrix with the row of what is there and the column of what was found.
pub fn section(result: &DetectionResult) -> Section {
    let names: Vec<String> = result.classes.iter().map(|class| escape(&class.class)).collect();
    let html = if names.is_empty() || result.confusion.cells.is_empty() {
        String::new()
    } else if names.len() <= MOST_CLASSES {
        matrix(&names, &result.confusion.rows())
    } else {
        list(&names, result)
    };
    let about = format!(
        "Boxes above a score of {}, at an overlap of one half: rows are what is there, columns what was found.",
        result.confusion.score
    );
    Section { title: "Which was taken for which".into(), about, html }
}

fn matrix(names: &[String], rows: &[Vec<usize>]) -> String {
    let mut html = String::from("<div class=\"matrix\"><table>\n<thead><tr><td></td>");
    for name in names.iter().map(String::as_str).chain(["missed"]) {
        let _ = write!(html, "<th class=\"n\" scope=\"col\">{name}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (row, name) in rows.iter().zip(names.iter().map(String::as_str).chain(["background"])) {
        let _ = write!(html, "<tr><th scope=\"row\">{name}</th>");
        let all = row.iter().sum::<usize>().max(1);
        for (column, times) in row.iter().enumerate() {
            // Nothing is there and nothing was found: that is not counted.
            let shown = if row.len() == rows.len() && name == "background" && column == names.len() {
                String::new()
            } else {
                count(*times as u64)
            };
            let share = *times as f64 / all as f64;
            let _ = write!(html, "<td class=\"n s{:.0}\">{shown}</td>", SHADES * share);
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
    html
}

fn list(names: &[String], result: &DetectionResult) -> String {
    let mut cells: Vec<_> = result.confusion.cells.iter().filter(|cell| cell.truth != cell.found).collect();
    cells.sort_by_key(|cell| Reverse(cell.count));
    let name = |class: Option<usize>, none: &'static str| {
        class.and_then(|class| names.get(class)).map_or(none, String::as_str)
    };
    let mut html =
        String::from("<table>\n<thead><tr><th>There<th>Found<th class=\"n\">Times</tr></thead>\n<tbody>\n");
    for cell in cells.into_iter().take(LISTED) {
        let (there, found) = (name(cell.truth, "background"), name(cell.found, "missed"));
        let times = count(cell.count as u64);
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{there}</th><td data-name=\"Found\"><span>{found}</span></td>\
             <td class=\"n\" data-name=\"Times\"><span>{times}</span></td></tr>"
        );
    }
    html.push_str("</tbody>\n</table>\n");
    html
}
