//! word2vec's binary file.

use std::io::{BufRead, Read};
use std::path::Path;

use super::super::lines::shown;
use super::gather::{Gather, Place};
use super::text::{expect_room, header};
use crate::files::read_error;
use crate::{Error, Result};

/// Bytes of a first line.
const MOST_HEADER: u64 = 256;
/// Bytes of a word: longer ones are what comes of reading numbers as text.
const MOST_WORD: u64 = 1 << 16;

/// Reads a file of `length` bytes.
pub(super) fn read(
    path: &Path,
    mut reader: impl BufRead,
    length: u64,
    most: Option<usize>,
) -> Result<Gather> {
    let first = until(path, &mut reader, b'\n', MOST_HEADER)?.unwrap_or_default();
    let first = String::from_utf8_lossy(&first);
    let Some((words, width)) = header(&first) else {
        let message = format!(
            "expected a first line with the numbers of words and of a vector's numbers, found {}; check that this is \
             word2vec's binary file",
            shown(&first)
        );
        return Err(Error::file(path, message));
    };
    // A space ends each word.
    expect_room(path, (words, width), length.saturating_sub(first.len() as u64 + 1), (4, 1))?;
    let mut gather = Gather::new(path, width, most);
    gather.reserve(words)?;
    let (mut bytes, mut row) = (vec![0; 4 * width], Vec::with_capacity(width));
    for number in 0..words {
        if gather.is_full() {
            return Ok(gather);
        }
        add(path, &mut reader, number, (&mut bytes, &mut row), &mut gather)?;
    }
    let end = after_newlines(path, &mut reader)?;
    if !gather.is_full() && !end.is_empty() {
        let message = format!(
            "expected the end of the file after {words} words, as the header says, found {} more bytes at least; mend the \
             header, or get the file again",
            end.len()
        );
        return Err(Error::file(path, message));
    }
    Ok(gather)
}

/// Adds one row.
fn add(
    path: &Path,
    reader: &mut impl BufRead,
    number: usize,
    (bytes, row): (&mut [u8], &mut Vec<f32>),
    gather: &mut Gather,
) -> Result<()> {
    let place = Place::Row(number);
    after_newlines(path, reader)?;
    let Some(word) = until(path, reader, b' ', MOST_WORD)? else {
        let message = format!(
            "{place}: expected a word and a space, found neither in what is left of {MOST_WORD} bytes; the file is cut off \
             or its header says another width than {}",
            gather.width()
        );
        return Err(Error::file(path, message));
    };
    let text = String::from_utf8_lossy(&word);
    if text.as_bytes() != word {
        gather.unreadable(&text, place);
    }
    reader.read_exact(bytes).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            let message =
                format!("the file ends within {place}, {}; it is cut off, get it again", shown(&text));
            Error::file(path, message).because(e)
        }
        _ => read_error(path, &e),
    })?;
    row.clear();
    row.extend(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)));
    gather.push(&text, place, row)
}

/// What is in front of `end`, which is taken as well; none where it does not come within `most` bytes.
fn until(path: &Path, reader: &mut impl BufRead, end: u8, most: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(most).read_until(end, &mut bytes).map_err(|e| read_error(path, &e))?;
    Ok((bytes.pop() == Some(end)).then_some(bytes))
}

/// Passes over line feeds; some of what comes then.
fn after_newlines<'a>(path: &Path, reader: &'a mut impl BufRead) -> Result<&'a [u8]> {
    while reader.fill_buf().map_err(|e| read_error(path, &e))?.first() == Some(&b'\n') {
        reader.consume(1);
    }
    reader.fill_buf().map_err(|e| read_error(path, &e))
}
