//! What a label file says, before it is known how large the image is and which classes there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::traps::{Trap, Traps};

/// An image that a part of a data set lists, with its labels.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// The image file.
    pub image: PathBuf,
    /// Its label file, for messages.
    pub labels: Option<Arc<Path>>,
    /// Width and height that the label file says.
    pub size: Option<[u32; 2]>,
    pub boxes: Vec<RawBox>,
}

/// A box as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawBox {
    pub place: Place,
    pub class: RawClass,
    pub at: At,
    /// Pixels of its mask, where they are given.
    pub area: Option<f64>,
    pub crowd: bool,
    pub difficult: bool,
}

/// Where in its file a box is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// This line, from 1.
    Line(u32),
    /// The annotation of this id.
    Id(i64),
}

impl At {
    /// As messages have it, after the file's name.
    pub(super) fn of(self, file: &str) -> String {
        match self {
            At::Line(line) => format!("{file}:{line}"),
            At::Id(id) => format!("{file} annotation {id}"),
        }
    }
}

/// Where a box is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// Centre x, centre y, width, height, in shares of the image.
    Shares([f64; 4]),
    /// Left, top, right, bottom, in pixels.
    Corners([f64; 4]),
    /// Left, top, width, height, in pixels.
    Pixels([f64; 4]),
}

/// A class as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawClass {
    Number(usize),
    Name(Arc<str>),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
