//! Words and numbers as text, with a header and without.

use std::io::BufRead;
use std::path::Path;

use super::super::lines::{Lines, shown};
use super::gather::{Gather, Place};
use crate::{Error, Result};

/// What is between a word and its numbers.
const SPACES: [char; 2] = [' ', '\t'];

/// The two numbers of a header, words and width; as large as a number can be where they are larger.
pub(super) fn header(line: &str) -> Option<(usize, usize)> {
    let number = |field: &str| {
        let digits = field.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| field.parse().unwrap_or(usize::MAX))
    };
    let mut fields = line.trim_end_matches('\r').split(SPACES).filter(|field| !field.is_empty());
    let both = (number(fields.next()?)?, number(fields.next()?)?);
    // What begins with a space is a row of an empty word.
    (fields.next().is_none() && !line.starts_with(SPACES)).then_some(both)
}

/// How many numbers a line has after its word.
pub(super) fn width(line: &str) -> usize {
    let fields = || line.split(SPACES).filter(|field| !field.trim().is_empty());
    let numbers = fields().rev().take_while(|field| field.trim_end().parse::<f32>().is_ok()).count();
    // What begins with a space has an empty word.
    let words = usize::from(!line.starts_with(SPACES));
    numbers.min(fields().count().saturating_sub(words))
}

/// What is wrong with a line.
enum Wrong<'a> {
    /// It has this many numbers.
    Numbers(usize),
    /// This field, counted from the first number, is none.
    Field(usize, &'a str),
}

/// The word of a line; its numbers, the last `row.len()` fields, are written to `row`.
fn split<'a>(line: &'a str, row: &mut [f32]) -> Result<&'a str, Wrong<'a>> {
    let line = line.trim_end_matches(SPACES);
    let (mut rest, wanted) = (line, row.len());
    for (at, value) in row.iter_mut().enumerate().rev() {
        // Something has to be in front of a number: the word, or the space after an empty one.
        let Some(space) = rest.rfind(SPACES) else { return Err(Wrong::Numbers(wanted - 1 - at)) };
        let field = rest.get(space + 1..).unwrap_or_default();
        rest = rest.get(..space).unwrap_or_default().trim_end_matches(SPACES);
        *value = field.parse().map_err(|_| {
            let found = line.split(SPACES).filter(|field| !field.is_empty()).count().saturating_sub(1);
            if found < wanted { Wrong::Numbers(found) } else { Wrong::Field(at + 1, field) }
        })?;
    }
    match rest.rsplit_once(SPACES) {
        Some((_, last)) if last.parse::<f32>().is_ok() => Err(Wrong::Numbers(width(line))),
        _ => Ok(rest),
    }
}

/// Whether a line of `width` numbers is read as a row of this word.
pub(super) fn reads_back(line: &str, word: &str, width: usize) -> bool {
    split(line, &mut vec![0.0; width]).is_ok_and(|read| read == word)
}

/// Rows of one width.
struct Rows<'a> {
    path: &'a Path,
    gather: Gather,
    row: Vec<f32>,
    /// Says where the width is from.
    from: String,
}

impl<'a> Rows<'a> {
    fn new(path: &'a Path, width: usize, from: String, most: Option<usize>) -> Self {
        Self { path, gather: Gather::new(path, width, most), row: vec![0.0; width], from }
    }

    fn add(&mut self, number: u64, line: &str) -> Result<()> {
        let word = split(line, &mut self.row).map_err(|wrong| {
            let word = line.split(SPACES).next().unwrap_or_default();
            let (width, from) = (self.row.len(), &self.from);
            let what = match wrong {
                Wrong::Numbers(found) => {
                    format!("expected {width} numbers after the word, as {from}, found {found}")
                }
                Wrong::Field(at, field) => {
                    format!("number {at} of {width} is {}; expected a number, as {from}", shown(field))
                }
            };
            let message =
                format!("line {number}, {}: {what}; get the file again, or mend the line", shown(word));
            Error::file(self.path, message)
        })?;
        self.gather.push(word, Place::Line(number), &self.row)
    }
}

fn is_empty(line: &str) -> bool {
    line.trim_matches(SPACES).is_empty()
}

/// A text without a header.
pub(super) fn read_glove(path: &Path, reader: impl BufRead, most: Option<usize>) -> Result<Gather> {
    let mut lines = Lines::new(path, reader);
    let mut rows: Option<Rows<'_>> = None;
    while rows.as_ref().is_none_or(|rows| !rows.gather.is_full())
        && let Some((number, line)) = lines.next()?
    {
        match &mut rows {
            Some(rows) if is_empty(line) => rows.gather.empty(Place::Line(number)),
            Some(rows) => rows.add(number, line)?,
            None if is_empty(line) => {}
            None => {
                let width = width(line);
                if width == 0 {
                    let message = format!(
                        "line {number}: expected a word and its numbers, found {}; check that this is the file you meant",
                        shown(line)
                    );
                    return Err(Error::file(path, message));
                }
                let new = rows.insert(Rows::new(path, width, format!("on line {number}"), most));
                // All before it were empty.
                (1..number).for_each(|number| new.gather.empty(Place::Line(number)));
                new.add(number, line)?;
            }
        }
    }
    Ok(rows.map_or_else(|| Gather::new(path, 1, most), |rows| rows.gather))
}

/// A text with a header, of `length` bytes.
pub(super) fn read_vec(
    path: &Path,
    reader: impl BufRead,
    length: u64,
    most: Option<usize>,
) -> Result<Gather> {
    let mut lines = Lines::new(path, reader);
    let first = lines.next()?.map_or("", |(_, line)| line);
    let Some((words, width)) = header(first) else {
        let message = format!(
            "line 1: expected the numbers of words and of a vector's numbers, found {}; a text without them is `glove`",
            shown(first)
        );
        return Err(Error::file(path, message));
    };
    expect_room(path, (words, width), length, (2, 0))?;
    let mut rows = Rows::new(path, width, "the header says".into(), most);
    rows.gather.reserve(words)?;
    let mut found = 0;
    while !rows.gather.is_full()
        && let Some((number, line)) = lines.next()?
    {
        if is_empty(line) {
            rows.gather.empty(Place::Line(number));
            continue;
        }
        if found == words {
            let message = format!(
                "line {number}: expected the end of the file after {words} words, as the header says, found {}; mend \
                 the header, or get the file again",
                shown(line.split(SPACES).next().unwrap_or_default())
            );
            return Err(Error::file(path, message));
        }
        found += 1;
        rows.add(number, line)?;
    }
    if found < words && !rows.gather.is_full() {
        let message = format!(
            "the header says {words} words, the file ends after {found}; it is cut off, get it again"
        );
        return Err(Error::file(path, message));
    }
    Ok(rows.gather)
}

/// Refuses a header, (words, width), of a file of `length` bytes that needs more: a number takes `bytes.0` at least, a row
/// `bytes.1` besides.
pub(super) fn expect_room(
    path: &Path,
    header: (usize, usize),
    length: u64,
    bytes: (u128, u128),
) -> Result<()> {
    let (words, width) = header;
    if words == 0 || width == 0 {
        let message =
            format!("the header says {words} words of {width} numbers; expected one of each at least");
        return Err(Error::file(path, message));
    }
    let needed =
        (words as u128).saturating_mul((width as u128).saturating_mul(bytes.0).saturating_add(bytes.1));
    if needed > u128::from(length) {
        let message = format!(
            "the header says {words} words of {width} numbers, which take {needed} bytes at least; the file has {length}: \
             it is cut off, get it again"
        );
        return Err(Error::file(path, message));
    }
    Ok(())
}
