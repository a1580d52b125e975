//! Writing tables.

use std::io::{self, Write};
use std::path::Path;

use super::super::WordVectors;
use super::super::lines::shown;
use super::{Format, tensors, text};
use crate::files::{Metadata, StoredTensor, write_atomic, write_safetensors};
use crate::{Error, Result};

/// Bytes of words that a safetensors header has room for, quotes and escapes included: readers refuse one above 100 MB.
const MOST_WORDS: usize = 99_000_000;

/// Writes a table, so that `path` holds what it held before, or all of the new. A f32 as text has as many digits as
/// it takes to be the same again.
///
/// # Errors
/// As [`expect_writable`], and [`Error::File`] where the file can't be written.
pub fn write(path: impl AsRef<Path>, vectors: &WordVectors, format: Format) -> Result<()> {
    let path = path.as_ref();
    expect_writable(vectors, format)?;
    match format {
        Format::Glove => write_atomic(path, |to| write_text(to, vectors)),
        Format::Vec => write_atomic(path, |to| {
            writeln!(to, "{} {}", vectors.len(), vectors.width())?;
            write_text(to, vectors)
        }),
        Format::Word2vec => write_atomic(path, |to| write_binary(to, vectors)),
        Format::Safetensors => {
            let shape = vec![vectors.len(), vectors.width()];
            let tensor = StoredTensor::new(tensors::TENSOR, shape, vectors.values());
            let metadata = Metadata::from([(tensors::WORDS.to_string(), words_as_json(vectors)?)]);
            write_safetensors(path, &[tensor], &metadata)
        }
    }
}

/// Refuses a table whose words would not come back from a file of this format: words with spaces from `vec` and `word2vec`,
/// where most programs take the first space for the word's end, and from `glove` such as end in a number.
///
/// # Errors
/// [`Error::Config`], which names the first such word and its row.
pub fn expect_writable(vectors: &WordVectors, format: Format) -> Result<()> {
    if format == Format::Safetensors {
        return words_as_json(vectors).map(drop);
    }
    let blank = |c: char| matches!(c, ' ' | '\0' | '\t'..='\r');
    for (row, word) in vectors.words().iter().enumerate() {
        let comes_back = match format {
            Format::Vec => !word.is_empty() && !word.contains(blank),
            Format::Word2vec => !word.is_empty() && !word.contains([' ', '\n']),
            Format::Glove if row == 0 => is_glove(vectors, word, true),
            _ => (!word.is_empty() && !word.contains(blank)) || is_glove(vectors, word, false),
        };
        if !comes_back {
            let message = format!(
                "{format} can't hold the word {}, row {row}, so that it can be read again; write safetensors",
                shown(word)
            );
            return Err(Error::config("format", message));
        }
    }
    Ok(())
}

/// Whether GloVe's text can have the word; the first line also says how long the vectors are.
fn is_glove(vectors: &WordVectors, word: &str, first: bool) -> bool {
    let width = vectors.width();
    let mut line = word.to_string();
    let numbers = vectors.values().get(..width).unwrap_or_default();
    for value in numbers {
        line.push_str(&format!(" {value:?}"));
    }
    let is_line = !word.contains('\n') && text::reads_back(&line, word, width);
    is_line && !(first && (word.starts_with('\u{feff}') || text::width(&line) != width))
}

/// The words for a safetensors header, where they fit.
pub(in crate::vectors) fn words_as_json(vectors: &WordVectors) -> Result<String> {
    let words: Vec<&str> = vectors.words().iter().collect();
    let json = serde_json::to_string(&words).map_err(|e| Error::config("format", &e).because(e))?;
    // Escaped once more in the header.
    let bytes = json.len() + json.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    if bytes > MOST_WORDS {
        let message = format!(
            "safetensors has room for {MOST_WORDS} bytes of words, these take {bytes}; write word2vec, or fewer words"
        );
        return Err(Error::config("format", message));
    }
    Ok(json)
}

/// Words and rows.
fn rows(vectors: &WordVectors) -> impl Iterator<Item = (&str, &[f32])> {
    vectors.words().iter().zip(vectors.values().chunks_exact(vectors.width()))
}

fn write_text(to: &mut dyn Write, vectors: &WordVectors) -> io::Result<()> {
    for (word, row) in rows(vectors) {
        to.write_all(word.as_bytes())?;
        // Not `Display`, which writes 1e30 and 1e-30 in thirty digits.
        row.iter().try_for_each(|value| write!(to, " {value:?}"))?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// A line feed ends each row, as word2vec itself writes it.
fn write_binary(to: &mut dyn Write, vectors: &WordVectors) -> io::Result<()> {
    writeln!(to, "{} {}", vectors.len(), vectors.width())?;
    for (word, row) in rows(vectors) {
        to.write_all(word.as_bytes())?;
        to.write_all(b" ")?;
        row.iter().try_for_each(|value| to.write_all(&value.to_le_bytes()))?;
        to.write_all(b"\n")?;
    }
    Ok(())
}
