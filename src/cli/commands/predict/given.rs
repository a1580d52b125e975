//! Which texts are meant: those that are said, and those of files.

use std::path::{Path, PathBuf};

use crate::data::text::{TextOptions, Texts, read};
use crate::{Error, Result};

/// What a file of texts may end in.
const ENDINGS: [&str; 6] = ["txt", "csv", "tsv", "jsonl", "ndjson", "json"];

/// The texts in order: of a file that is there, or is called as files of texts are, those in it by `columns`; all else is a text
/// itself.
///
/// # Errors
/// Those of [`read`], and [`Error::Config`] for what is no UTF-8, for more than two columns, and where some samples are pairs of texts
/// and others are not.
pub fn texts(given: &[PathBuf], columns: &[String]) -> Result<Texts> {
    let column = |at: usize| columns.get(at).map(|name| name.as_str().into());
    if columns.len() > 2 {
        let message = format!("expected one column, or two of pairs, got {}", columns.len());
        return Err(Error::config("--columns", message));
    }
    let options = TextOptions { text: column(0), second: column(1), ..Default::default() };
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for path in given {
        if is_file(path) {
            let texts = read(path, &options)?;
            firsts.extend_from_slice(texts.firsts());
            seconds.extend_from_slice(texts.seconds().unwrap_or_default());
        } else {
            let text = path.to_str().ok_or_else(|| {
                Error::config("texts", format!("expected UTF-8, got \"{}\"", path.display()))
            })?;
            firsts.push(text.to_string());
        }
    }
    let texts = Texts::new("texts", firsts);
    if seconds.is_empty() { Ok(texts) } else { texts.with_seconds(seconds) }
}

/// Whether a file is meant: what ends as one and has no blanks is missed where it is not there.
fn is_file(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let called = ending.is_some_and(|ending| ENDINGS.contains(&&*ending));
    path.is_file() || (called && !path.to_string_lossy().contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    #[test]
    fn texts_are_said_or_read() {
        let dir = Scratch::new();
        dir.write("lines.txt", "one\n\nthree\n");
        dir.write("pairs.csv", "sentence1,sentence2\na,b\n");
        dir.write("table.csv", "title,body\nt,b\n");
        let of = |given: &[PathBuf], columns: &[&str]| {
            texts(given, &columns.iter().map(|c| c.to_string()).collect::<Vec<_>>())
        };
        let both = of(&["see notes.txt".into(), dir.file("lines.txt"), ".".into()], &[]).unwrap();
        assert_eq!(both.firsts(), ["see notes.txt", "one", "", "three", "."]);
        let pairs = of(&[dir.file("pairs.csv")], &[]).unwrap();
        assert_eq!((pairs.firsts(), pairs.seconds()), (&["a".to_string()][..], Some(&["b".to_string()][..])));
        assert_eq!(of(&[dir.file("table.csv")], &["body"]).unwrap().firsts(), ["b"]);
        let mixed = of(&[dir.file("pairs.csv"), "alone".into()], &[]).unwrap_err().to_string();
        assert!(mixed.contains("as many second texts as texts, 2, got 1"), "{mixed}");
        assert!(of(&["notes.txt".into()], &[]).unwrap_err().to_string().contains("notes.txt"));
        assert!(of(&["a".into()], &["1", "2", "3"]).unwrap_err().to_string().contains("got 3"));
    }
}
