//! Opening files that a user names: every refusal says what was expected and what is there instead.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::{Error, Result, files};

/// Opens a regular file that is not empty; returns it with its length in bytes. `what` completes "expected ...".
///
/// # Errors
/// As [`files::open_as`].
pub(super) fn open(path: &Path, what: &str) -> Result<(BufReader<File>, u64)> {
    let (file, length) = files::open_as(path, what)?;
    Ok((BufReader::new(file), length))
}

/// Reads a text file of names, one a line; blank lines are skipped. `None` when there is no such file.
///
/// # Errors
/// A file over 1 MiB, one that is not UTF-8, or another number of names than `expected`.
pub(super) fn class_names(path: &Path, expected: usize) -> Result<Option<Vec<String>>> {
    if !path.exists() {
        return Ok(None);
    }
    let (mut reader, length) = open(path, "a text file of class names")?;
    if length > 1 << 20 {
        return Err(Error::file(path, format!("expected a short list of class names, found {length} bytes")));
    }
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|e| Error::file(path, format!("expected UTF-8 text: {e}")))?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.len() != expected {
        let message = format!(
            "expected {expected} class names, one a line, found {}; restore the file that came with the data, \
             or delete it to use the built-in names",
            names.len()
        );
        return Err(Error::file(path, message));
    }
    Ok(Some(names))
}

/// Refuses `bytes` of pixels over the limit `max_bytes`.
pub(super) fn within(path: &Path, bytes: u64, max_bytes: u64) -> Result<()> {
    if bytes > max_bytes {
        let message = format!(
            "holds {bytes} bytes of pixels, over the limit of {max_bytes} (LoadOptions::max_bytes); \
             use smaller images or fewer of them, or raise the limit"
        );
        return Err(Error::file(path, message));
    }
    Ok(())
}
