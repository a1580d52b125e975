//! Reading a file of texts.

use std::borrow::Cow;
use std::path::Path;

use super::json::json_rows;
use super::labels::{classes, short};
use super::records::{at_line, decode};
use super::table::table_rows;
use super::{TextFormat, TextOptions, Texts};
use crate::{Error, Result, files};

/// What a column of texts may be called.
pub(super) const TEXT: [&str; 3] = ["text", "sentence", "sentence1"];
/// What columns of second texts, classes and scores are called.
pub(super) const OTHERS: [&str; 3] = ["sentence2", "label", "score"];

/// What a line gives.
pub(super) struct Row<'c> {
    pub line: usize,
    pub text: Cow<'c, str>,
    pub second: Option<Cow<'c, str>>,
    pub label: Option<Cow<'c, str>>,
    pub score: Option<Cow<'c, str>>,
}

/// Reads the texts of a file. An empty text stays one; how many there are is logged, and [`Texts::empty_texts`] says it.
///
/// # Errors
/// [`Error::File`], as a rule with the line: a file that is not there, empty, not UTF-8 (or Latin-1, where that is asked for) or
/// with zero bytes; a column that is not there; rows of a table with another number of columns than its header (of a csv: than
/// its first row) has; labels that are missing, or none of the classes; and scores that are no finite numbers.
pub fn read(path: impl AsRef<Path>, options: &TextOptions) -> Result<Texts> {
    let path = path.as_ref();
    let bytes = files::read(path)?;
    let latin1 = options.latin1 || options.format == Some(TextFormat::Trec);
    let content = decode(path, &bytes, latin1)?;
    let first_line = content.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let format = options.format.unwrap_or_else(|| TextFormat::of(path, first_line));
    let limit = options.limit.unwrap_or(usize::MAX);
    let rows = match format {
        TextFormat::JsonLines => json_rows(path, &content, options, limit)?,
        _ => table_rows(path, &content, format, options, limit)?,
    };
    let Some(first) = rows.first() else {
        return Err(Error::file(path, format!("expected texts ({format}), found no line with one")));
    };
    let (has_second, has_label, has_score) =
        (first.second.is_some(), first.label.is_some(), first.score.is_some());

    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let (mut firsts, mut seconds, mut labels, mut scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut empty = None;
    for Row { line, text, second, label, score } in rows {
        if text.trim().is_empty() || second.as_deref().is_some_and(|second| second.trim().is_empty()) {
            empty.get_or_insert(line);
        }
        firsts.push(text.into_owned());
        seconds.extend(second.map(Cow::into_owned));
        labels.extend(label.map(|label| (line, label)));
        if let Some(score) = score {
            scores.push(number(path, line, &score)?);
        }
    }
    let mut texts = Texts::new(name, firsts);
    if has_second {
        texts = texts.with_seconds(seconds)?;
    }
    if has_label {
        let (labels, names) = classes(path, &labels, options.classes.as_deref())?;
        texts = texts.with_labels(labels, names)?;
    }
    if has_score {
        texts = texts.with_scores(scores)?;
    }
    if let Some(line) = empty {
        let count = texts.empty_texts();
        log::warn!(
            "{}: {count} of {} texts are empty, the first in line {line}",
            path.display(),
            texts.len()
        );
    }
    Ok(texts)
}

fn number(path: &Path, line: usize, text: &str) -> Result<f32> {
    match text.trim().parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => {
            Err(at_line(path, line, format!("expected a score, a finite number, found \"{}\"", short(text))))
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
