//! From a file's text to its lines and cells.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use super::TextFormat;
use crate::{Error, Result};

/// A row of a table.
pub(super) struct Record<'c> {
    /// Its first line in the file, from 1.
    pub line: usize,
    pub cells: Vec<Cow<'c, str>>,
}

/// An error of a line.
pub(super) fn at_line(path: &Path, line: usize, message: impl std::fmt::Display) -> Error {
    Error::file(path, format!("line {line}: {message}"))
}

/// A file's bytes as text, without a byte order mark.
pub(super) fn decode<'b>(path: &Path, bytes: &'b [u8], latin1: bool) -> Result<Cow<'b, str>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) && !latin1 {
        return Err(Error::file(path, "expected UTF-8 text, found UTF-16; save it as UTF-8"));
    }
    let line = |at: usize| 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return Err(at_line(
            path,
            line(at),
            "has a zero byte, which no text has; is the file something else?",
        ));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) if latin1 => Ok(bytes.iter().map(|&byte| char::from(byte)).collect()),
        Err(e) => {
            let at = e.valid_up_to();
            let message = format!(
                "expected UTF-8, found the byte 0x{:02x}; save the file as UTF-8, or say that it is Latin-1",
                bytes.get(at).copied().unwrap_or(0)
            );
            Err(at_line(path, line(at), message))
        }
    }
}

/// The lines of a text with their numbers, from 1.
fn lines(content: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(content.lines())
}

/// The rows of a table, or of what is as good as one. Empty lines of tables are left out.
pub(super) fn records<'c>(
    path: &'c Path,
    content: &'c str,
    format: TextFormat,
) -> Box<dyn Iterator<Item = Result<Record<'c>>> + 'c> {
    let full = lines(content).filter(|(_, text)| !text.trim().is_empty());
    match format {
        TextFormat::Csv => Box::new(csv_records(path, content)),
        TextFormat::Tsv => {
            Box::new(full.map(|(line, text)| {
                Ok(Record { line, cells: text.split('\t').map(Cow::Borrowed).collect() })
            }))
        }
        TextFormat::Trec => Box::new(full.map(move |(line, text)| {
            let parts = text.split_once(':').and_then(|(coarse, rest)| {
                let (fine, question) = rest.split_once(' ')?;
                Some(vec![coarse.into(), fine.into(), question.trim().into()])
            });
            let wrong = || at_line(path, line, "expected COARSE:fine and a question behind it");
            Ok(Record { line, cells: parts.ok_or_else(wrong)? })
        })),
        TextFormat::Lines | TextFormat::JsonLines => {
            Box::new(lines(content).map(|(line, text)| Ok(Record { line, cells: vec![text.into()] })))
        }
    }
}

fn csv_reader(content: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(content.as_bytes())
}

fn csv_records<'c>(path: &'c Path, content: &'c str) -> impl Iterator<Item = Result<Record<'c>>> {
    let mut reader = csv_reader(content);
    let mut read = csv::StringRecord::new();
    std::iter::from_fn(move || match reader.read_record(&mut read) {
        Err(e) => Some(Err(Error::file(path, e))),
        Ok(false) => None,
        Ok(true) => {
            let (line, byte) = read.position().map_or((0, 0), |at| (at.line() as usize, at.byte() as usize));
            let is_last = reader.position().byte() as usize >= content.len();
            if is_last && is_open(content.get(byte..).unwrap_or_default()) {
                return Some(Err(at_line(path, line, "a quote (\") is opened and never closed")));
            }
            Some(Ok(Record { line, cells: read.iter().map(|cell| Cow::Owned(cell.to_string())).collect() }))
        }
    })
}

/// Whether a quote of this last row is still open: then a line more is no row of its own.
fn is_open(row: &str) -> bool {
    row.contains('"') && csv_reader(&format!("{row}\n\"x")).records().count() == 1
}

/// The objects of a file of JSON lines, with their lines. Empty lines are left out.
pub(super) fn objects<'c>(
    path: &'c Path,
    content: &'c str,
) -> impl Iterator<Item = Result<(usize, Map<String, Value>)>> + 'c {
    lines(content).filter(|(_, text)| !text.trim().is_empty()).map(move |(line, text)| {
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok((line, object)),
            Ok(_) => {
                Err(at_line(path, line, "expected an object such as {\"text\": \"..\"}; each line is one"))
            }
            Err(e) => {
                Err(at_line(path, line, format!("expected an object of JSON, all of it in this line: {e}")))
            }
        }
    })
}
