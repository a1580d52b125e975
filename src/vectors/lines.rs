//! Text files line by line, never whole in memory.

use std::io::{BufRead, Read};
use std::path::Path;

use crate::files::read_error;
use crate::{Error, Result};

/// Bytes of a line: a million numbers fit.
const MOST_BYTES: usize = 1 << 24;

/// Lines of a UTF-8 text, without their ends (`\n` or `\r\n`) and without a byte order mark.
pub(super) struct Lines<'a, R> {
    path: &'a Path,
    reader: R,
    line: Vec<u8>,
    /// Of the line given last, from 1.
    number: u64,
}

impl<'a, R: BufRead> Lines<'a, R> {
    /// Lines of what is open; messages name `path`.
    pub fn new(path: &'a Path, reader: R) -> Self {
        Self { path, reader, line: Vec::new(), number: 0 }
    }

    /// The next line and its number, from 1.
    ///
    /// # Errors
    /// [`Error::File`] for a line that is not UTF-8 or longer than 16 MiB, and where the file can't be read.
    pub fn next(&mut self) -> Result<Option<(u64, &str)>> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(MOST_BYTES as u64 + 2);
        if limited.read_until(b'\n', &mut self.line).map_err(|e| read_error(self.path, &e))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut line = self.line.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > MOST_BYTES {
            let message = format!(
                "line {} is longer than 16 MiB: expected a text of many lines; check that this is the file you meant",
                self.number
            );
            return Err(Error::file(self.path, message));
        }
        if self.number == 1 {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        let text = std::str::from_utf8(line).map_err(|e| {
            let at = e.valid_up_to();
            let byte = line.get(at).copied().unwrap_or_default();
            let message = format!(
                "line {}: expected UTF-8 text, found byte 0x{byte:02x} after {at} bytes of it; save the file as UTF-8 \
                 (`iconv -c -f utf-8 -t utf-8` drops what can't be read)",
                self.number
            );
            Error::file(self.path, message)
        })?;
        Ok(Some((self.number, text)))
    }
}

/// A word of a file, made safe and short for a message.
pub(super) fn shown(word: &str) -> String {
    let short: String = word.chars().take(60).collect();
    let dots = if short.len() < word.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends() {
        let text = "\u{feff}a b \r\n\n\u{feff}c\rd\n\ne".as_bytes();
        let mut lines = Lines::new(Path::new("x"), text);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            all.push((number, line.to_string()));
        }
        let expected = [(1, "a b "), (2, ""), (3, "\u{feff}c\rd"), (4, ""), (5, "e")];
        assert_eq!(all, expected.map(|(number, line)| (number, line.to_string())));
    }

    #[test]
    fn what_is_no_line_is_named_by_its_number() {
        let mut lines = Lines::new(Path::new("x"), &b"a\nb\xe9c\n"[..]);
        lines.next().unwrap();
        let message = lines.next().unwrap_err().to_string();
        let expected = "x: line 2: expected UTF-8 text, found byte 0xe9 after 1 bytes of it; save the file as UTF-8 (`iconv";
        assert!(message.starts_with(expected), "{message}");
        let mut endless = Lines::new(Path::new("x"), std::io::BufReader::new(std::io::repeat(b'a')));
        assert!(endless.next().unwrap_err().to_string().contains("line 1 is longer than 16 MiB"));
        assert_eq!(shown(&"ä\"".repeat(100)).chars().count(), 60 + 30 + 2 + 3);
    }
}
