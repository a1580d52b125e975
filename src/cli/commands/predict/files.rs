//! Which files are meant: those that are named, those of a folder, those of a pattern.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The files in order; of a folder and of a pattern by name.
///
/// # Errors
/// [`Error::File`] for a folder or a pattern without images.
pub fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in given {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            all.extend(images(path, "*")?);
        } else if !path.exists() && name.contains(['*', '?']) {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            all.extend(images(folder.unwrap_or(Path::new(".")), &name)?);
        } else {
            all.push(path.clone());
        }
    }
    Ok(all)
}

/// The images of a folder whose names match, at least one, by name.
fn images(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let bad = |e: std::io::Error| {
        Error::file(folder, format!("expected a folder of images, but can't list it: {e}"))
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(bad)? {
        let path = entry.map_err(bad)?.path();
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if ENDINGS.contains(&ending.as_str()) && !name.starts_with('.') && matches(pattern, &name) {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        let message = format!("expected .png, .jpg or .jpeg images named {pattern}, found none");
        return Err(Error::file(folder, message));
    }
    Ok(found)
}

/// Whether `*` for any text and `?` for any letter make the pattern the name.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last * was, and what it stood for so far.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    #[test]
    fn folders_and_patterns_stand_for_their_images() {
        let dir = Scratch::new();
        for name in ["b.jpg", "a.png", "notes.txt", "c.JPEG"] {
            dir.write(name, "");
        }
        let names = |given: &str| {
            let found = expand(&[dir.file(given)])?;
            Ok::<_, Error>(
                found
                    .iter()
                    .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names("").unwrap(), ["a.png", "b.jpg", "c.JPEG"]);
        assert_eq!(names("?.jpg").unwrap(), ["b.jpg"]);
        assert_eq!(names("*.*p*g").unwrap(), ["a.png", "b.jpg"]);
        // What is named is taken as it is: whoever reads it says that it is not there.
        assert_eq!(names("none.png").unwrap(), ["none.png"]);
        assert!(names("*.gif").unwrap_err().to_string().contains("*.gif"));
    }

    #[test]
    fn patterns() {
        for (pattern, name, wanted) in [
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("**a", "bba", true),
            ("?", "", false),
            ("ab", "abc", false),
            ("*ab", "aab", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
