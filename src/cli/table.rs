//! Tables for a terminal, aligned by display width.

use std::fmt;

use unicode_width::UnicodeWidthStr;

use crate::report::printable;

/// Rows under a header: names to the left, numbers to the right.
pub struct Table {
    numeric: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns; those that begin with `>` hold numbers.
    pub fn new(columns: &[&str]) -> Self {
        let numeric = columns.iter().map(|c| c.starts_with('>')).collect();
        let mut table = Table { numeric, rows: Vec::new() };
        table.row(columns.iter().map(|c| c.trim_start_matches('>')));
        table
    }

    /// Adds a row: a cell for each column. Control characters from files go.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| printable(cell.as_ref()).into_owned()).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |c: usize| self.rows.iter().filter_map(|row| row.get(c)).map(|s| s.width()).max();
        let widths: Vec<usize> = (0..self.numeric.len()).map(|c| width(c).unwrap_or(0)).collect();
        for (r, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for ((cell, &width), &numeric) in row.iter().zip(&widths).zip(&self.numeric) {
                let pad = " ".repeat(width - cell.width());
                let (before, after) = if numeric { (pad.as_str(), "") } else { ("", pad.as_str()) };
                line.extend([before, cell, after, "  "]);
            }
            writeln!(f, "{}", line.trim_end())?;
            if r == 0 {
                let all = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
                writeln!(f, "{}", "─".repeat(all))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_aligned() {
        let mut table = Table::new(&["name", ">n"]);
        table.row(["日本", "1"]);
        table.row(["a\u{1b}[31m", "1234"]);
        let lines: Vec<String> = table.to_string().lines().map(String::from).collect();
        assert_eq!(lines, ["name       n", "────────────", "日本       1", "a [31m  1234"]);
    }
}
