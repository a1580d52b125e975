//! Text as label files hold it, and as messages show it.

use std::path::Path;

use super::traps::{Trap, Traps};
use crate::{Error, Result, files};

/// Reads a small text file whole.
///
/// # Errors
/// [`Error::File`] for a file that is not there, is empty, over `most` bytes, or no UTF-8.
pub(super) fn small_text(
    path: &Path,
    what: &str,
    most: u64,
    place: &str,
    traps: &mut Traps,
) -> Result<String> {
    let (_, length) = files::open_as(path, what)?;
    if length > most {
        return Err(Error::file(path, format!("expected {what} of at most {most} bytes, found {length}")));
    }
    let bytes = files::read(path)?;
    let text = text(&bytes, place, traps).map_err(|why| Error::file(path, why))?;
    Ok(text.to_string())
}

/// A text file in UTF-8 without its byte order mark; its line ends are counted.
pub(super) fn text<'t>(bytes: &'t [u8], place: &str, traps: &mut Traps) -> Result<&'t str, String> {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => {
            traps.add(Trap::ByteOrderMark, || place.to_string());
            rest
        }
        None => bytes,
    };
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err("expected UTF-8, found UTF-16; save it as UTF-8".into());
    }
    if bytes.contains(&b'\r') {
        traps.add(Trap::CarriageReturn, || place.to_string());
    }
    std::str::from_utf8(bytes).map_err(|e| format!("expected UTF-8 text, byte {} is not", e.valid_up_to()))
}

/// A number of a label: finite, and of a size that images have.
pub(super) fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value.abs() < 1e7 => Ok(value),
        _ => Err(format!("expected a number, found \"{}\"", short(text))),
    }
}

/// The beginning of a text, for messages.
pub(super) fn short(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}..") } else { start }
}

/// A path under `root` as messages have it, with `/` on every system.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// The folder that a file is in: `.` for a name alone, which has an empty one.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What an error says, without the path that messages have before it.
pub(super) fn why(path: &Path, error: &Error) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{}: ", path.display())).map(str::to_string).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Scratch, message};

    #[test]
    fn texts_lose_their_mark_and_others_are_refused() {
        let mut traps = Traps::default();
        assert_eq!(text(b"\xef\xbb\xbfa\r\nb", "x", &mut traps), Ok("a\r\nb"));
        assert_eq!((traps.count(Trap::ByteOrderMark), traps.count(Trap::CarriageReturn)), (1, 1));
        assert!(text(b"\xff\xfea\0", "x", &mut traps).unwrap_err().contains("UTF-16"));
        assert!(text(b"ab\xff", "x", &mut traps).unwrap_err().contains("byte 2"));
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(number("-1.5e2"), Ok(-150.0));
        for bad in ["nan", "inf", "1e400", "1e8", "", "0x1", "1,5"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn folders_have_a_name() {
        for (file, folder) in [("a.yaml", "."), ("./a.yaml", "."), ("x/a.yaml", "x"), ("/a.yaml", "/")] {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder), "{file}");
        }
    }

    #[test]
    fn texts_are_read_up_to_a_limit_and_errors_lose_the_path() {
        let dir = Scratch::new();
        let path = dir.write("a.txt", "12345");
        let read = |most: u64| small_text(&path, "a list", most, "a.txt", &mut Traps::default());
        assert_eq!(read(5).unwrap(), "12345");
        let error = read(4).unwrap_err();
        assert_eq!(why(&path, &error), "expected a list of at most 4 bytes, found 5");
        assert_eq!(why(Path::new("b.txt"), &error), message::<()>(Err(error)));
    }
}
