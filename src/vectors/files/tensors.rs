//! Vectors as tensors, words as text.
//!
//! The tensor `embeddings` (words, width) holds numbers, in a file of fewer bytes with `scales` (width) that belong to them. A file
//! of product codes has `codes` (words, parts), and `codebooks` (parts, centroids, width of a part) that they count in.

use std::io::BufReader;
use std::path::Path;

use super::super::lines::{Lines, shown};
use super::gather::{Gather, Place};
use crate::files::{TensorReader, open_as};
use crate::{Error, Result};

/// The tensor's name.
pub(in crate::vectors) const TENSOR: &str = "embeddings";
/// What its columns are multiplied by, where it holds whole numbers.
pub(in crate::vectors) const SCALES: &str = "scales";
/// Numbers of centroids, in its place.
pub(in crate::vectors) const CODES: &str = "codes";
/// The centroids.
pub(in crate::vectors) const CODEBOOKS: &str = "codebooks";
/// The words in the metadata, a JSON list.
pub(in crate::vectors) const WORDS: &str = "words";
/// The words in a file of their own.
const WORDS_FILE: &str = "words.txt";
/// Numbers that are read at once.
const AT_ONCE: usize = 1 << 18;

/// Reads a table.
pub(super) fn read(path: &Path, most: Option<usize>) -> Result<Gather> {
    let file = TensorReader::open(path)?;
    let tensor = if file.shape(CODES).is_some() { CODES } else { TENSOR };
    let Some(shape) = file.shape(tensor) else {
        let names: Vec<_> = file.tensors().take(4).map(|(name, _)| shown(name)).collect();
        let message =
            format!("expected a tensor {TENSOR:?} (words, width), found {}; rename it", names.join(", "));
        return Err(Error::file(path, message));
    };
    let &[rows, stored] = shape else {
        let message = format!("tensor {tensor:?}: expected two axes (words, width), found shape {shape:?}");
        return Err(Error::file(path, message));
    };
    if stored == 0 {
        return Err(Error::file(path, format!("tensor {tensor:?}: expected a width of 1 at least, found 0")));
    }
    let form = Form::of(path, &file, tensor, stored)?;
    let width = form.width(stored);
    let wanted = most.unwrap_or(rows).min(rows);
    let mut rows_of = RowsOf { file: &file, tensor, form, rows, stored, width, values: Vec::new(), first: 0 };
    let mut gather = Gather::new(path, width, most);
    gather.reserve(wanted)?;
    let of_row = file.bytes_of(tensor) / (rows as u64).max(1);
    gather.stored_as(of_row, file.bytes_of(CODEBOOKS) + file.bytes_of(SCALES));
    match file.metadata().get(WORDS) {
        Some(words) => in_metadata(path, words, &mut rows_of, &mut gather)?,
        None => beside(path, &mut rows_of, &mut gather)?,
    }
    Ok(gather)
}

/// Rows of the tensor, one after the other.
struct RowsOf<'a> {
    file: &'a TensorReader,
    tensor: &'static str,
    form: Form,
    rows: usize,
    /// Values of a row in the file, and numbers of a vector.
    stored: usize,
    width: usize,
    /// Rows from `first` on.
    values: Vec<f32>,
    first: usize,
}

impl RowsOf<'_> {
    /// Adds a row, which the tensor has.
    fn add(&mut self, number: usize, word: &str, gather: &mut Gather) -> Result<()> {
        if self.values.len() <= (number - self.first) * self.width {
            let count = (AT_ONCE / self.width.max(self.stored)).clamp(1, self.rows - number);
            self.values.clear();
            self.file.read(self.tensor, number * self.stored, count * self.stored, &mut self.values)?;
            self.form.decode(self.file.path(), number, &mut self.values)?;
            self.first = number;
        }
        let row = self.values.chunks_exact(self.width).nth(number - self.first).unwrap_or_default();
        gather.push(word, Place::Row(number), row)
    }
}

/// What the values of a file stand for.
enum Form {
    Numbers,
    /// Whole numbers, and what each column is multiplied by.
    Scaled(Vec<f32>),
    /// Numbers of centroids, with all of these, (parts, centroids, width of a part).
    Codes {
        books: Vec<f32>,
        count: usize,
        part: usize,
    },
}

impl Form {
    fn of(path: &Path, file: &TensorReader, tensor: &str, stored: usize) -> Result<Self> {
        let refuse = |message: String| Err(Error::file(path, message));
        let mut values = Vec::new();
        if tensor == CODES {
            let shape = file.shape(CODEBOOKS);
            let Some(&[parts, count, part]) = shape.filter(|shape| !shape.contains(&0)) else {
                return refuse(format!(
                    "tensor {CODEBOOKS:?}: expected (parts, centroids, width) beside {CODES:?}, found {shape:?}"
                ));
            };
            if parts != stored {
                return refuse(format!(
                    "tensor {CODES:?}: expected as many parts as {CODEBOOKS:?} has, {parts}, found {stored}"
                ));
            }
            file.read(CODEBOOKS, 0, parts * count * part, &mut values)?;
            return Ok(Self::Codes { books: values, count, part });
        }
        match file.shape(SCALES) {
            None => Ok(Self::Numbers),
            Some(&[width]) if width == stored => {
                file.read(SCALES, 0, width, &mut values)?;
                Ok(Self::Scaled(values))
            }
            Some(shape) => refuse(format!(
                "tensor {SCALES:?}: expected one for each of {stored} columns, found shape {shape:?}"
            )),
        }
    }

    /// Numbers of a vector, of so many values in the file.
    fn width(&self, stored: usize) -> usize {
        match self {
            Self::Numbers | Self::Scaled(_) => stored,
            Self::Codes { part, .. } => stored * part,
        }
    }

    /// Whole rows from the file, of which `first` is the first one's number, become vectors.
    fn decode(&self, path: &Path, first: usize, values: &mut Vec<f32>) -> Result<()> {
        match self {
            Self::Numbers => {}
            Self::Scaled(scales) => values.iter_mut().zip(scales.iter().cycle()).for_each(|(v, s)| *v *= s),
            Self::Codes { books, count, part } => {
                let parts = books.len() / (count * part);
                let mut decoded = Vec::with_capacity(values.len() * part);
                for (i, code) in values.iter().enumerate() {
                    let whole = code.fract() == 0.0;
                    let centroid = books
                        .get((i % parts * count + *code as usize) * part..)
                        .filter(|_| whole && (0.0..*count as f32).contains(code));
                    let Some(centroid) = centroid else {
                        let message = format!(
                            "tensor {CODES:?}: part {} of row {} is {code}, and there are {count} centroids",
                            i % parts,
                            first + i / parts
                        );
                        return Err(Error::file(path, message));
                    };
                    decoded.extend(centroid.iter().take(*part));
                }
                *values = decoded;
            }
        }
        Ok(())
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
    let message = format!("{what}: expected a word for each of the {rows} rows, found {words}");
    Err(Error::file(path, message))
}
