//! Rows on their way from a file into a table.

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::lines::shown;
use super::super::{WordVectors, Words};
use crate::{Error, Result};

/// Where a word is in a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Of a text, from 1.
    Line(u64),
    /// From 0.
    Row(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(number) => write!(f, "line {number}"),
            Place::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// How often something odd was met, and where first.
#[derive(Debug, Default)]
struct Tally {
    count: usize,
    first: String,
}

impl Tally {
    fn add(&mut self, first: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = first();
        }
        self.count += 1;
    }

    /// "1 word", "2 words".
    fn of(&self, one: &str) -> String {
        format!("{} {one}{}", self.count, if self.count == 1 { "" } else { "s" })
    }
}

/// The rows so far.
#[derive(Debug)]
pub(super) struct Gather {
    path: PathBuf,
    width: usize,
    most: usize,
    words: Words,
    values: Vec<f32>,
    again: Tally,
    unreadable: Tally,
    empty: Tally,
    /// Bytes of a row as it is stored, and of what all rows share.
    stored: [u64; 2],
}

impl Gather {
    /// For rows of `width` numbers.
    pub fn new(path: &Path, width: usize, most: Option<usize>) -> Self {
        Self {
            path: path.to_path_buf(),
            width,
            most: most.unwrap_or(usize::MAX),
            words: Words::default(),
            values: Vec::new(),
            again: Tally::default(),
            unreadable: Tally::default(),
            empty: Tally::default(),
            stored: [4 * width as u64, 0],
        }
    }

    /// Says what a row takes where its numbers are not f32, and what all rows share.
    pub fn stored_as(&mut self, of_row: u64, shared: u64) {
        self.stored = [of_row, shared];
    }

    /// Makes room for the rows that a header speaks of, after it was checked against the file's length.
    ///
    /// # Errors
    /// [`Error::File`] where there is not enough memory.
    pub fn reserve(&mut self, rows: usize) -> Result<()> {
        let values = rows.min(self.most).saturating_mul(self.width);
        self.values.try_reserve_exact(values).map_err(|e| {
            let bytes = values.saturating_mul(4);
            let message =
                format!("its vectors need {bytes} bytes of memory, more than there are; read fewer words");
            Error::file(&self.path, message).because(e)
        })
    }

    /// Whether as many words are there as were asked for.
    pub fn is_full(&self) -> bool {
        self.words.len() >= self.most
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds a row. A word that is there already keeps the vector it has.
    ///
    /// # Errors
    /// [`Error::File`] for NaN and infinity.
    pub fn push(&mut self, word: &str, place: Place, row: &[f32]) -> Result<()> {
        if let Some(at) = row.iter().position(|value| !value.is_finite()) {
            let message = format!(
                "{place}, {}: number {} of {} is {}; expected finite numbers",
                shown(word),
                at + 1,
                self.width,
                row.get(at).copied().unwrap_or_default()
            );
            return Err(Error::file(&self.path, message));
        }
        match self.words.push(word) {
            Ok(_) => self.values.extend_from_slice(row),
            Err(_) => self.again.add(|| format!("{}, {place}", shown(word))),
        }
        Ok(())
    }

    /// Counts a word that is not UTF-8; `word` is what became of it.
    pub fn unreadable(&mut self, word: &str, place: Place) {
        self.unreadable.add(|| format!("{}, {place}", shown(word)));
    }

    /// Counts a line with nothing on it.
    pub fn empty(&mut self, place: Place) {
        self.empty.add(|| place.to_string());
    }

    /// The table, the bytes of its numbers, and what there is to say of it.
    ///
    /// # Errors
    /// [`Error::File`] for no words.
    pub fn finish(mut self) -> Result<(WordVectors, u64, Vec<String>)> {
        if self.words.is_empty() {
            return Err(Error::file(
                &self.path,
                "expected words and their vectors, found none; get the file again",
            ));
        }
        let mut notes = Vec::new();
        if self.again.count > 0 {
            let rows = self.again.of("row");
            notes.push(format!(
                "passed over {rows} of words that came before, the first: {}",
                self.again.first
            ));
        }
        if self.unreadable.count > 0 {
            let (words, first) = (self.unreadable.of("word"), &self.unreadable.first);
            notes.push(format!(
                "{words} not in UTF-8, what can't be read became \u{fffd}, the first: {first}"
            ));
        }
        if self.empty.count > 0 {
            notes.push(format!(
                "passed over {}, the first: {}",
                self.empty.of("empty line"),
                self.empty.first
            ));
        }
        self.values.shrink_to_fit();
        let [of_row, shared] = self.stored;
        let bytes = shared + of_row * self.words.len() as u64;
        Ok((WordVectors::new(self.words, self.width, self.values)?, bytes, notes))
    }
}
