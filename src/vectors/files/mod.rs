//! Files of word vectors, read and written.
//!
//! | [`Format`] | first line | then |
//! |---|---|---|
//! | `glove` | none of its own | a line for each word: the word and D numbers, as text |
//! | `vec` | `V D` | the same, for V words; fastText ends each line with a space |
//! | `word2vec` | `V D` | for each word its bytes, a space, D little-endian f32, and in most files a line feed |
//! | `safetensors` | | a tensor `embeddings` (V, D), and the words as a JSON list under `words` in the metadata, or one a line in a file `words.txt` beside it |
//!
//! A word of the texts is all in front of the last D numbers, spaces included, as GloVe's 840B file has them. D is that of
//! the header, in `glove` that of the first line. So a word of several parts can't end in a number: such a line counts as one
//! with too many numbers, and is refused. Lines of nothing but spaces are passed over. Texts have to be UTF-8; words of the
//! binary file that are not get U+FFFD for what can't be read, since training cuts words at bytes, and a note says how many.
//! A word that comes again keeps its first vector; a note says so. Rows are counted from 0, lines from 1.
//!
//! Texts are read line by line: what is in memory is the table. Sizes in headers are checked against the file's length
//! before memory is asked for.

mod binary;
mod gather;
mod guess;
mod tensors;
mod text;
mod write;

#[cfg(test)]
mod damaged_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{BufReader, Read as _, Seek};
use std::path::Path;
use std::str::FromStr;

pub(super) use tensors::{CODEBOOKS, CODES, SCALES, TENSOR, WORDS};
pub(super) use write::words_as_json;
pub use write::{expect_writable, write};

use super::WordVectors;
use crate::files::{open_as, read_error};
use crate::{Error, Result};

/// How a file holds words and vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text without a header, as GloVe writes it.
    Glove,
    /// Text with a header `V D`, as word2vec and fastText write it.
    Vec,
    /// word2vec's binary file.
    Word2vec,
    /// safetensors, with the words in its metadata.
    Safetensors,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 4] = [Format::Glove, Format::Vec, Format::Word2vec, Format::Safetensors];

    /// As users write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Glove => "glove",
            Format::Vec => "vec",
            Format::Word2vec => "word2vec",
            Format::Safetensors => "safetensors",
        }
    }

    /// The format that a file's name stands for: `.vec`, `.bin`, `.safetensors`, and `.txt` or `.glove` for GloVe.
    #[must_use]
    pub fn of_name(path: impl AsRef<Path>) -> Option<Self> {
        match path.as_ref().extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "glove" | "txt" => Some(Format::Glove),
            "vec" => Some(Format::Vec),
            "bin" => Some(Format::Word2vec),
            "safetensors" => Some(Format::Safetensors),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Format::name).join(", ");
            Error::config("format", format!("expected one of {names}, got {name:?}"))
        })
    }
}

/// How [`read`] reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// The file's format; otherwise it is told by what is in the file.
    pub format: Option<Format>,
    /// Reads the first words only, and does not look at what comes after them. Files have the most frequent words first.
    pub most_words: Option<usize>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Words and vectors.
    pub vectors: WordVectors,
    /// What the file is.
    pub format: Format,
    /// Bytes of the numbers as they are stored, of text as f32; without the words.
    pub bytes: u64,
    /// What a user should know of it, a sentence each: words that came again, empty lines, words that are not UTF-8.
    pub notes: Vec<String>,
}

/// What messages call such a file.
const WHAT: &str = "a file of word vectors";
/// The table's name in a folder.
pub(crate) const IN_FOLDER: &str = "vectors.safetensors";

/// Reads a file of word vectors, or a folder with `vectors.safetensors` and `words.txt`.
///
/// # Errors
/// [`Error::File`] for a file that can't be read, is packed or of another kind, is cut off or holds more than its header says,
/// has a line or a row of another width, a number that is none, NaN or infinity; it names the line or row, and the word.
/// [`Error::Config`] for a `most_words` of 0.
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Read> {
    let path = path.as_ref();
    if options.most_words == Some(0) {
        return Err(Error::config("most_words", "expected at least 1, got 0"));
    }
    if path.is_dir() {
        let file = path.join(IN_FOLDER);
        if !file.exists() {
            let message =
                format!("expected {WHAT}, or a folder with {IN_FOLDER} in it; name a file inside it");
            return Err(Error::file(path, message));
        }
        return read(file, options);
    }
    let (mut file, length) = open_as(path, WHAT)?;
    let mut start = Vec::new();
    (&mut file)
        .take(guess::START)
        .read_to_end(&mut start)
        .and_then(|_| file.rewind())
        .map_err(|e| read_error(path, &e))?;
    guess::refuse_others(path, &start)?;
    let format = match options.format {
        Some(format) => format,
        None => guess::format(path, &start, length)?,
    };
    let reader = BufReader::with_capacity(1 << 18, file);
    let gathered = match format {
        Format::Glove => text::read_glove(path, reader, options.most_words),
        Format::Vec => text::read_vec(path, reader, length, options.most_words),
        Format::Word2vec => binary::read(path, reader, length, options.most_words),
        Format::Safetensors => tensors::read(path, options.most_words),
    }?;
    let (vectors, bytes, notes) = gathered.finish()?;
    Ok(Read { vectors, format, bytes, notes })
}
