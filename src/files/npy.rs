//! NumPy's format for an array: `.npy`, version 1.0, f32, row by row.

use std::path::Path;

use super::write_atomic;
use crate::{Error, Result};

/// The header and the length are together a multiple of this.
const ALIGNMENT: usize = 64;

/// Writes `values` as rows of `width`, so that `path` holds what it held before, or all of the new.
///
/// # Errors
/// [`Error::Config`] for values that are no whole rows; [`Error::File`] where the file can't be written.
pub fn write_npy(path: impl AsRef<Path>, values: &[f32], width: usize) -> Result<()> {
    if width == 0 || !values.len().is_multiple_of(width) {
        let message = format!("expected rows of {width} numbers, got {} numbers", values.len());
        return Err(Error::config("npy", message));
    }
    let header = header(values.len() / width, width);
    write_atomic(path, |to| {
        to.write_all(&header)?;
        values.iter().try_for_each(|value| to.write_all(&value.to_le_bytes()))
    })
}

fn header(rows: usize, width: usize) -> Vec<u8> {
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version, the length of what follows; spaces and a newline fill it up.
    let (begin, spare) = (10, 1);
    let whole = (begin + dictionary.len() + spare).next_multiple_of(ALIGNMENT);
    let padded = format!("{dictionary:<width$}\n", width = whole - begin - spare);
    let length = u16::try_from(padded.len()).unwrap_or(u16::MAX).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, padded.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    /// The bytes that numpy.save (2.4) writes of numpy.array([[1, -2, .5], [0, 3, 4]], dtype="f4").
    #[test]
    fn files_are_those_of_numpy() {
        let dir = Scratch::new();
        let path = dir.file("a.npy");
        write_npy(&path, &[1.0, -2.0, 0.5, 0.0, 3.0, 4.0], 3).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert!(bytes.starts_with(header) && bytes.len() == 128 + 24 && bytes[127] == b'\n');
        assert!(bytes[header.len()..127].iter().all(|byte| *byte == b' '));
        assert_eq!(bytes[128..136], [0, 0, 128, 63, 0, 0, 0, 192]);
        assert!(write_npy(&path, &[1.0; 5], 3).unwrap_err().to_string().contains("rows of 3"));
    }
}
