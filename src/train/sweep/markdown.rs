//! A sweep as Markdown.

use super::rows::{cells, columns, footnotes, others, overview};
use super::{PairRuns, Sweep};

pub fn page(sweep: &Sweep) -> String {
    let mut text = format!("# {}\n\n{}\n\n", line(&sweep.title), line(&sweep.made));
    text += &format!("{}\n\n", line(&sweep.about()));
    let rows = overview(sweep);
    if let Some((header, rows)) = rows.split_first() {
        text += &table(header, rows);
    }
    for pair in &sweep.pairs {
        text += &details(pair);
    }
    text
}

fn details(pair: &PairRuns) -> String {
    let mut text = format!("\n## {}\n\n", line(&pair.name));
    let rows: Vec<Vec<String>> = pair.methods.iter().map(|runs| cells(pair, runs).to_vec()).collect();
    text += &table(&columns(&pair.metric()), &rows);
    if let Some((header, rows)) = others(pair).as_deref().and_then(<[_]>::split_first) {
        text += "\nMeasured besides, with the gain over the student alone:\n\n";
        text += &table(header, rows);
    }
    for note in footnotes(pair) {
        text += &format!("\n- {}\n", line(&note));
    }
    text
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|c| line(c)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = row(header);
    text += &format!("|---{}|\n", "|---:".repeat(header.len() - 1));
    rows.iter().for_each(|cells| text += &row(cells));
    text
}

/// Text that stays within its line and cell.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}
