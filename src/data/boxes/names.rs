//! Lists of class names.

use std::path::Path;

use super::text::{short, small_text};
use super::traps::Traps;
use crate::{Error, Result};

/// A list of names has at most so many bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The names of a file, one a line; empty lines at its end do not count.
///
/// # Errors
/// As [`small_text`], for an empty line between names, which would shift all numbers after it, and those of [`distinct`].
pub(super) fn read(path: &Path, place: &str, traps: &mut Traps) -> Result<Vec<String>> {
    let text = small_text(path, "a list of class names", MAX_BYTES, place, traps)?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_string()).collect();
    distinct(path, &names)?;
    Ok(names)
}

/// The names of classes in a file, one a line; empty lines at its end do not count.
///
/// # Errors
/// [`Error::File`] for a file that is not there, empty, too large or no UTF-8, and for names that are empty or there twice.
pub fn class_names(path: &Path) -> Result<Vec<String>> {
    read(path, &path.display().to_string(), &mut Traps::default())
}

/// Refuses names that are empty or there twice: classes are told apart, and those of two networks matched, by name.
pub(super) fn distinct(path: &Path, names: &[String]) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for (k, name) in names.iter().enumerate() {
        if name.is_empty() {
            let message = format!("class {k} (line {}) has no name; name it, or remove the line", k + 1);
            return Err(Error::file(path, message));
        }
        if let Some(first) = seen.insert(name, k) {
            let message = format!("classes {first} and {k} are both called \"{}\"; rename one", short(name));
            return Err(Error::file(path, message));
        }
    }
    match names.len() {
        0 => Err(Error::file(path, "expected at least one class name, found none")),
        1..=65_536 => Ok(()),
        n => Err(Error::file(path, format!("expected at most 65536 class names, found {n}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Scratch, message};

    #[test]
    fn names_are_lines_and_gaps_are_refused() {
        let dir = Scratch::new();
        let mut traps = Traps::default();
        let mut read = |text: &str| read(&dir.write("x.names", text), "x.names", &mut traps);
        assert_eq!(read("\u{feff}a b\r\nc \n\n").unwrap(), ["a b", "c"]);
        assert!(message(read("a\n\nb")).contains("class 1 (line 2)"));
        assert!(message(read("\na")).contains("class 0 (line 1)"));
        assert!(message(read("a\nb\na")).contains("classes 0 and 2"));
        assert!(message(read("")).contains("found an empty one"));
        assert!(message(read("\n \n")).contains("at least one class name"));
        assert!(message(read(&"x".repeat(2 << 20))).contains("at most"));
    }
}
