//! The texts of a table.

use std::borrow::Cow;
use std::path::Path;

use super::labels::some;
use super::read::{OTHERS, Row, TEXT};
use super::records::{Record, at_line, records};
use super::{Column, TextFormat, TextOptions};
use crate::Result;

/// Where in a row what is wanted stands.
struct Places {
    text: usize,
    second: Option<usize>,
    label: Option<usize>,
    score: Option<usize>,
}

pub(super) fn table_rows<'c>(
    path: &'c Path,
    content: &'c str,
    format: TextFormat,
    options: &TextOptions,
    limit: usize,
) -> Result<Vec<Row<'c>>> {
    let mut records = records(path, content, format).peekable();
    let (first_line, header) = match records.peek() {
        None => return Ok(Vec::new()),
        Some(Err(_)) => (1, None),
        Some(Ok(first)) => (first.line, is_header(first, format, options).then(|| names(first))),
    };
    if header.is_some() {
        records.next();
    } else {
        tell_of_no_header(path, first_line, records.peek(), format, options);
    }
    let mut columns = header.as_ref().map(Vec::len);
    let mut places = None;
    let mut rows = Vec::new();
    for record in records.take(limit) {
        let record = record?;
        let expected = *columns.get_or_insert(record.cells.len());
        let places = match &places {
            Some(places) => places,
            None => {
                let found = Places::find(path, first_line, header.as_deref(), expected, format, options)?;
                &*places.insert(found)
            }
        };
        // Of tables of tabs without a header some have more to say at the ends of some lines.
        let strict = header.is_some() || format == TextFormat::Csv;
        if strict && record.cells.len() != expected {
            let message = format!(
                "has {} columns, and line {first_line} has {expected}; is a quote or a separator missing?",
                record.cells.len()
            );
            return Err(at_line(path, record.line, message));
        }
        rows.push(places.row(path, &record)?);
    }
    Ok(rows)
}

/// Says that the first row of a table is none of names, where nobody knows.
fn tell_of_no_header(
    path: &Path,
    line: usize,
    first: Option<&Result<Record<'_>>>,
    format: TextFormat,
    options: &TextOptions,
) {
    let Some(Ok(first)) = first.filter(|_| options.header.is_none()) else { return };
    if matches!(format, TextFormat::Csv | TextFormat::Tsv) && first.cells.len() > 1 {
        log::warn!(
            "{}: line {line} ({}) is read as a text, as it names no column that is known ({}, {}); name the columns if it has \
             their names",
            path.display(),
            some(&names(first)),
            TEXT.join(", "),
            OTHERS.join(", ")
        );
    }
}

fn names(record: &Record<'_>) -> Vec<String> {
    record.cells.iter().map(|cell| cell.trim().to_string()).collect()
}

/// Whether this first row of a table is its header.
fn is_header(first: &Record<'_>, format: TextFormat, options: &TextOptions) -> bool {
    if !matches!(format, TextFormat::Csv | TextFormat::Tsv) {
        return false;
    }
    let wanted = [&options.text, &options.second, &options.label, &options.score];
    let by_name = wanted.into_iter().any(|column| matches!(column, Some(Column::Name(_))));
    let known =
        |cell: &Cow<'_, str>| TEXT.iter().chain(&OTHERS).any(|name| cell.trim().eq_ignore_ascii_case(name));
    options.header.unwrap_or(by_name || first.cells.iter().any(known))
}

impl Places {
    /// Where a table of so many columns has what is wanted.
    fn find(
        path: &Path,
        line: usize,
        header: Option<&[String]>,
        columns: usize,
        format: TextFormat,
        options: &TextOptions,
    ) -> Result<Self> {
        let named = |name: &str| {
            let found = header.and_then(|names| names.iter().position(|other| other == name));
            found.or_else(|| header?.iter().position(|other| other.eq_ignore_ascii_case(name)))
        };
        let place = |what: &str, column: &Column| {
            let found = match column {
                Column::Number(number) => Some(*number).filter(|&number| number < columns),
                Column::Name(name) => named(name),
            };
            found.ok_or_else(|| {
                let there = match header {
                    Some(names) => format!("there are {}", some(names)),
                    None => format!("there are {columns} columns, from 0, and no header"),
                };
                at_line(path, line, format!("no column {column} for the {what}; {there}"))
            })
        };
        let given = |what: &str, column: &Option<Column>| {
            column.as_ref().map(|column| place(what, column)).transpose()
        };
        let bare = header.is_none();
        let text = match (given("text", &options.text)?, TEXT.iter().find_map(|name| named(name))) {
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) if format == TextFormat::Trec => 2,
            (None, None) if bare || columns == 1 => 0,
            (None, None) => {
                let message =
                    format!("which column is the text? There are {}", some(header.unwrap_or_default()));
                return Err(at_line(path, line, message));
            }
        };
        let label = match given("label", &options.label)?.or_else(|| named("label")) {
            None if format == TextFormat::Trec => Some(0),
            None if bare
                && columns == 2
                && text == 0
                && options.second.is_none()
                && options.score.is_none() =>
            {
                Some(1)
            }
            found => found,
        };
        let second = given("second text", &options.second)?.or_else(|| named("sentence2"));
        let score = given("score", &options.score)?.or_else(|| named("score"));
        Ok(Self { text, second, label, score })
    }

    fn row<'c>(&self, path: &Path, record: &Record<'c>) -> Result<Row<'c>> {
        let (line, columns) = (record.line, record.cells.len());
        let cell = |place: usize| match record.cells.get(place) {
            Some(cell) => Ok(cell.clone()),
            None => Err(at_line(path, line, format!("has {columns} columns, and column {place} is needed"))),
        };
        let trimmed = |cell: Cow<'c, str>| match cell {
            Cow::Borrowed(cell) => Cow::Borrowed(cell.trim()),
            Cow::Owned(cell) => Cow::Owned(cell.trim().to_string()),
        };
        let label = self.label.map(cell).transpose()?.map(trimmed);
        let score = self.score.map(cell).transpose()?;
        let second = self.second.map(cell).transpose()?;
        Ok(Row { line, text: cell(self.text)?, second, label, score })
    }
}
