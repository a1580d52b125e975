//! Vectors as a tensor, words as text.

use std::io::BufReader;
use std::path::Path;

use super::super::lines::{Lines, shown};
use super::gather::{Gather, Place};
use crate::files::{TensorReader, open_as};
use crate::{Error, Result};

/// The tensor's name.
pub(super) const TENSOR: &str = "embeddings";
/// The words in the metadata, a JSON list.
pub(super) const WORDS: &str = "words";
/// The words in a file of their own.
const WORDS_FILE: &str = "words.txt";
/// Numbers that are read at once.
const AT_ONCE: usize = 1 << 18;

/// Reads a table.
pub(super) fn read(path: &Path, most: Option<usize>) -> Result<Gather> {
    let file = TensorReader::open(path)?;
    let Some(shape) = file.shape(TENSOR) else {
        let names: Vec<_> = file.tensors().take(4).map(|(name, _)| shown(name)).collect();
        let message =
            format!("expected a tensor {TENSOR:?} (words, width), found {}; rename it", names.join(", "));
        return Err(Error::file(path, message));
    };
    let &[rows, width] = shape else {
        let message = format!("tensor {TENSOR:?}: expected two axes (words, width), found shape {shape:?}");
        return Err(Error::file(path, message));
    };
    if width == 0 {
        return Err(Error::file(path, format!("tensor {TENSOR:?}: expected a width of 1 at least, found 0")));
    }
    let wanted = most.unwrap_or(rows).min(rows);
    let mut rows_of = RowsOf { file: &file, rows, width, values: Vec::new(), first: 0 };
    let mut gather = Gather::new(path, width, most);
    gather.reserve(wanted)?;
    match file.metadata().get(WORDS) {
        Some(words) => in_metadata(path, words, &mut rows_of, &mut gather)?,
        None => beside(path, &mut rows_of, &mut gather)?,
    }
    Ok(gather)
}

/// Rows of the tensor, one after the other.
struct RowsOf<'a> {
    file: &'a TensorReader,
    rows: usize,
    width: usize,
    /// Rows from `first` on.
    values: Vec<f32>,
    first: usize,
}

impl RowsOf<'_> {
    /// Adds a row, which the tensor has.
    fn add(&mut self, number: usize, word: &str, gather: &mut Gather) -> Result<()> {
        if self.values.len() <= (number - self.first) * self.width {
            let count = (AT_ONCE / self.width).max(1).min(self.rows - number);
            self.values.clear();
            self.file.read(TENSOR, number * self.width, count * self.width, &mut self.values)?;
            self.first = number;
        }
        let row = self.values.chunks_exact(self.width).nth(number - self.first).unwrap_or_default();
        gather.push(word, Place::Row(number), row)
    }
}

fn in_metadata(path: &Path, words: &str, rows: &mut RowsOf<'_>, gather: &mut Gather) -> Result<()> {
    let words: Vec<String> = serde_json::from_str(words).map_err(|e| {
        let message = format!("metadata {WORDS:?}: expected a JSON list of words: {e}");
        Error::file(path, message).because(e)
    })?;
    expect_as_many(path, &format!("metadata {WORDS:?}"), words.len(), rows.rows)?;
    for (number, word) in words.iter().enumerate() {
        if gather.is_full() {
            break;
        }
        rows.add(number, word, gather)?;
    }
    Ok(())
}

/// One word a line; a line for each row, so that an empty one is an empty word.
fn beside(path: &Path, rows: &mut RowsOf<'_>, gather: &mut Gather) -> Result<()> {
    let list = path.with_file_name(WORDS_FILE);
    if !list.exists() {
        let message = format!("has no words: expected metadata {WORDS:?}, or a file {WORDS_FILE} beside it");
        return Err(Error::file(path, message));
    }
    let (file, _) = open_as(&list, "a list of words")?;
    let mut lines = Lines::new(&list, BufReader::new(file));
    let (mut found, mut empty) = (0, 0);
    while !gather.is_full()
        && let Some((_, word)) = lines.next()?
    {
        if found + empty >= rows.rows && word.is_empty() {
            // Empty lines at the end.
            empty += 1;
            continue;
        }
        found += 1;
        if found <= rows.rows {
            rows.add(found - 1, word, gather)?;
        }
    }
    if gather.is_full() { Ok(()) } else { expect_as_many(&list, "the list", found, rows.rows) }
}

fn expect_as_many(path: &Path, what: &str, words: usize, rows: usize) -> Result<()> {
    if words == rows {
        return Ok(());
    }
    let message = format!("{what}: expected a word for each of the {rows} rows of {TENSOR:?}, found {words}");
    Err(Error::file(path, message))
}
