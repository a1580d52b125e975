//! What a file is, by its first bytes.

use std::path::Path;

use super::{Format, text};
use crate::{Error, Result};

/// Bytes that are looked at.
pub(super) const START: u64 = 1 << 16;

/// How a file begins, what it is then, and what to do.
const OTHERS: [(&[u8], &str, &str); 12] = [
    (b"\x1f\x8b", "packed with gzip", "unpack it with `gunzip`"),
    (b"PK\x03\x04", "a zip archive", "unpack it with `unzip` and name the file that was in it"),
    (b"BZh", "packed with bzip2", "unpack it with `bunzip2`"),
    (b"\xfd7zXZ\0", "packed with xz", "unpack it with `unxz`"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it with `unzstd`"),
    (
        b"\xba\x16\x4f\x2f",
        "fastText's own .bin, which holds a whole model",
        "use the .vec that fastText wrote beside it",
    ),
    (
        b"\x93NUMPY",
        "an array of NumPy, without words",
        "save it as safetensors `embeddings`, and the words as words.txt beside it",
    ),
    (b"\x89HDF\r\n", "an HDF5 file", "write it as word2vec's text or binary file"),
    (b"\x80\x02", PICKLE.0, PICKLE.1),
    (b"\x80\x03", PICKLE.0, PICKLE.1),
    (b"\x80\x04", PICKLE.0, PICKLE.1),
    (b"\x80\x05", PICKLE.0, PICKLE.1),
];
const PICKLE: (&str, &str) = ("a pickle of Python", "load it in gensim and call `save_word2vec_format`");

/// Refuses what is known and no file of word vectors.
pub(super) fn refuse_others(path: &Path, start: &[u8]) -> Result<()> {
    // A text may begin with the letters.
    let is_text = |magic: &[u8]| magic == b"BZh" && start.get(4..10) != Some(b"1AY&SY");
    match OTHERS.into_iter().find(|(magic, ..)| start.starts_with(magic) && !is_text(magic)) {
        None => Ok(()),
        Some((_, what, then)) => {
            Err(Error::file(path, format!("expected word vectors, found a file that is {what}; {then}")))
        }
    }
}

/// The format of a file of `length` bytes which begins with `start`.
///
/// # Errors
/// [`Error::File`] for a file that can't be any of them.
pub(super) fn format(path: &Path, start: &[u8], length: u64) -> Result<Format> {
    if is_safetensors(start, length) {
        return Ok(Format::Safetensors);
    }
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = std::str::from_utf8(first).ok().and_then(text::header);
    let Some((_, width)) = header else {
        // fastText's first .bin began with no number of its own.
        if start.iter().take(1024).any(|byte| *byte == 0) {
            let message = "expected word vectors, found a file that is neither text nor has a header of words and width; check \
                           that this is the file you meant (of fastText's files use the .vec)";
            return Err(Error::file(path, message));
        }
        return Ok(Format::Glove);
    };
    let rest = start.get(first.len() + 1..).unwrap_or_default();
    Ok(match is_text(rest, width) {
        Some(true) => Format::Vec,
        Some(false) => Format::Word2vec,
        None if Format::of_name(path) == Some(Format::Word2vec) => Format::Word2vec,
        None => Format::Vec,
    })
}

/// Whether it is a length that the file has room for, and then JSON.
fn is_safetensors(start: &[u8], length: u64) -> bool {
    match start.split_first_chunk() {
        Some((json, rest)) => {
            rest.first() == Some(&b'{') && u64::from_le_bytes(*json).saturating_add(8) <= length
        }
        None => false,
    }
}

/// Whether what follows a header is text: none where it may be both.
fn is_text(rest: &[u8], width: usize) -> Option<bool> {
    let mut lines = rest.split(|byte| *byte == b'\n');
    let row = lines.find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    // The word may be in any encoding.
    if text::width(&String::from_utf8_lossy(row)) == width {
        return Some(true);
    }
    if rest.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        return Some(false);
    }
    // A character that is cut off by the end of `rest` is fine.
    let is_utf8 = std::str::from_utf8(rest).err().is_none_or(|e| e.error_len().is_none());
    is_utf8.then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, bytes: &[u8]) -> Format {
        format(Path::new(name), bytes, bytes.len() as u64).unwrap()
    }

    #[test]
    fn content_decides() {
        assert_eq!(of("x.bin", b"the 0.5 1\n"), Format::Glove);
        assert_eq!(of("x.bin", b"1 2 3\n"), Format::Glove);
        assert_eq!(of("x.bin", b"2 2\nthe 0.5 1 \n"), Format::Vec);
        assert_eq!(of("x.bin", b"\xef\xbb\xbf2 2\r\n\nthe 0.5 1 \n"), Format::Vec);
        assert_eq!(of("x.txt", b"1 1\nthe \0\0\x80\x3f"), Format::Word2vec);
        assert_eq!(of("x.txt", b"\x02\0\0\0\0\0\0\0{}"), Format::Safetensors);
        for bytes in [b"\x03\0\0\0\0\0\0\0{}", b"\x0a\0\0\0\x05\0\0\0\0\0"] {
            let message = format(Path::new("x.safetensors"), bytes, 10).unwrap_err().to_string();
            assert!(message.contains("neither text nor has a header"), "{message}");
        }
    }

    #[test]
    fn names_decide_where_content_does_not() {
        // Latin 1 and a ragged row, or a word and a number of four letters.
        for (name, format) in [("x.bin", Format::Word2vec), ("x.vec", Format::Vec), ("x", Format::Vec)] {
            assert_eq!(of(name, b"1 2\nth\xe9 \xe9abc\xe9abc"), format, "{name}");
        }
        // Damaged, but text.
        assert_eq!(of("x.bin", "2 3\nthé 1 2\n".as_bytes()), Format::Vec);
    }
}
