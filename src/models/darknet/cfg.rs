//! The text of a darknet `.cfg`: sections of `key = value` lines, in order.
//!
//! Read as darknet does: lines that begin with `#` or `;` are comments, spaces inside a line mean nothing, a number ends at
//! the first character that can't belong to it, and of a key that is written twice the first counts.

use std::str::FromStr;

use crate::{Error, Result};

/// More sections than any network has.
const MOST_SECTIONS: usize = 10_000;

/// `[convolutional]` and the lines below it.
#[derive(Debug, Clone)]
pub struct Section {
    /// The word in brackets.
    pub kind: String,
    /// The line of the brackets, from 1.
    pub line: usize,
    /// What the file is called in messages.
    file: String,
    options: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: String,
    value: String,
    line: usize,
}

/// The sections of `text`; `file` is what messages call it.
///
/// # Errors
/// [`Error::File`] naming the line: one before the first section that sets something, one without `=`, a section whose
/// bracket is not closed, and no section at all.
pub fn parse(file: &str, text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    for (number, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = number + 1;
        let line: String = raw.chars().filter(|c| !c.is_whitespace()).collect();
        let fail = |message: String| Err(Error::file(file, format!("line {number}: {message}")));
        match line.chars().next() {
            None | Some('#' | ';') => {}
            Some('[') => {
                let Some(kind) = line[1..].split_once(']').map(|(kind, _)| kind.to_string()) else {
                    return fail(format!(
                        "expected a section such as [convolutional], got \"{}\"",
                        shown(raw)
                    ));
                };
                if sections.len() == MOST_SECTIONS {
                    return fail(format!("expected at most {MOST_SECTIONS} sections"));
                }
                let file = file.to_string();
                sections.push(Section { kind, line: number, file, options: Vec::new() });
            }
            Some(_) => {
                let Some((key, value)) = line.split_once('=') else {
                    return fail(format!("expected key=value, got \"{}\"", shown(raw)));
                };
                let Some(section) = sections.last_mut() else {
                    return fail(format!("\"{}\" comes before any section; the first is [net]", shown(raw)));
                };
                section.options.push(Entry { key: key.into(), value: value.into(), line: number });
            }
        }
    }
    if sections.is_empty() {
        return Err(Error::file(file, "expected sections such as [net] and [convolutional], found none"));
    }
    Ok(sections)
}

/// A line as messages show it.
fn shown(line: &str) -> String {
    let short: String = line.trim().chars().filter(|c| !c.is_control()).take(40).collect();
    short
}

/// The text of a file with these sections: of each key what counts, without comments.
pub fn text(sections: &[Section]) -> String {
    let mut text = String::new();
    for (index, section) in sections.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        text.push_str(&format!("{gap}[{}]\n", section.kind));
        for (place, Entry { key, value, .. }) in section.options.iter().enumerate() {
            if section.options[..place].iter().all(|before| before.key != *key) {
                text.push_str(&format!("{key}={value}\n"));
            }
        }
    }
    text
}

impl Section {
    /// Sets a key, in place of what it was.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        let value = value.to_string();
        match self.options.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.options.push(Entry { key: key.into(), value, line: self.line }),
        }
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        self.options.iter().find(|entry| entry.key == key)
    }

    /// A failure of this section, with its line.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::file(&self.file, format!("line {}: [{}]: {message}", self.line, self.kind))
    }

    /// The first of these keys that is set.
    pub fn any(&self, keys: &[&'static str]) -> Option<&'static str> {
        keys.iter().copied().find(|key| self.find(key).is_some())
    }

    /// Text as it stands, spaces left out.
    pub fn text<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.find(key).map_or(default, |entry| entry.value.as_str())
    }

    /// A whole number from `least`.
    ///
    /// # Errors
    /// [`Error::File`] with the line, for a value that begins with no number or with one outside the range.
    pub fn count(&self, key: &str, default: usize, least: usize) -> Result<usize> {
        self.number(key, default, |n: &i64| usize::try_from(*n).is_ok_and(|n| n >= least && n <= 1 << 20))
    }

    /// A finite number.
    ///
    /// # Errors
    /// As [`Section::count`].
    pub fn float(&self, key: &str, default: f32) -> Result<f32> {
        let Some(entry) = self.find(key) else { return Ok(default) };
        leading::<f32>(&entry.value).filter(|n| n.is_finite()).ok_or_else(|| self.wrong(entry, "a number"))
    }

    fn number(&self, key: &str, default: usize, fits: impl Fn(&i64) -> bool) -> Result<usize> {
        let Some(entry) = self.find(key) else { return Ok(default) };
        let found = leading::<i64>(&entry.value).filter(fits).and_then(|n| usize::try_from(n).ok());
        found.ok_or_else(|| self.wrong(entry, "a whole number that a network can have"))
    }

    /// Numbers with commas between; none where the key is not there.
    ///
    /// # Errors
    /// As [`Section::count`].
    pub fn list<T: FromStr>(&self, key: &str) -> Result<Vec<T>> {
        let Some(entry) = self.find(key) else { return Ok(Vec::new()) };
        let parts = entry.value.split(',').filter(|part| !part.is_empty()).take(MOST_SECTIONS);
        let all: Option<Vec<T>> = parts.map(leading).collect();
        all.ok_or_else(|| self.wrong(entry, "numbers with commas between"))
    }

    fn wrong(&self, Entry { key, value, line }: &Entry, expected: &str) -> Error {
        let message =
            format!("line {line}: [{}] {key}: expected {expected}, got \"{}\"", self.kind, shown(value));
        Error::file(&self.file, message)
    }
}

/// The number that a text begins with.
fn leading<T: FromStr>(text: &str) -> Option<T> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(text.len());
    // "1e" and "608x" begin with numbers, too.
    (1..=end).rev().filter(|&end| text.is_char_boundary(end)).find_map(|end| text[..end].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}# a comment\r\n[net]\r\nwidth = 6 4 0 pixels\nheight=32\n width=8\n\n[yolo]\n;mask=9\n\
                        mask = 0, 1,2 \nanchors = 10,14,  23.5,27\nignore_thresh = .7\nactivation = leaky\n";

    #[test]
    fn read_as_darknet_does() {
        let sections = parse("a.cfg", TEXT).unwrap();
        let [net, yolo] = &sections[..] else { panic!("{sections:?}") };
        assert_eq!((net.kind.as_str(), net.line, yolo.line), ("net", 2, 7));
        // Spaces mean nothing, what follows a number neither, and the first of two counts.
        assert_eq!(net.count("width", 1, 1).unwrap(), 640);
        assert_eq!(net.count("channels", 3, 1).unwrap(), 3);
        assert_eq!(yolo.list::<usize>("mask").unwrap(), [0, 1, 2]);
        assert_eq!(yolo.list::<f32>("anchors").unwrap(), [10.0, 14.0, 23.5, 27.0]);
        assert_eq!(yolo.float("ignore_thresh", 0.5).unwrap(), 0.7);
        assert_eq!(
            (yolo.text("activation", "logistic"), net.text("activation", "logistic")),
            ("leaky", "logistic")
        );
    }

    #[test]
    fn wrong_lines_are_named() {
        let message = |text: &str| parse("a.cfg", text).unwrap_err().to_string();
        assert!(message("width=3\n[net]").contains("line 1: \"width=3\" comes before any section"));
        assert!(message("[net]\nwidth").contains("line 2: expected key=value, got \"width\""));
        assert!(message("[net").contains("line 1: expected a section"));
        assert!(message("# nothing").contains("found none"));
        let sections = parse("a.cfg", "[net]\nwidth=wide\nheight=0\nmask=1,a\nrate=nan").unwrap();
        let width = sections[0].count("width", 1, 1).unwrap_err().to_string();
        assert!(
            width.contains("a.cfg") && width.contains("line 2: [net] width") && width.contains("\"wide\""),
            "{width}"
        );
        assert!(sections[0].count("height", 1, 1).unwrap_err().to_string().contains("line 3"));
        assert!(sections[0].list::<usize>("mask").is_err() && sections[0].float("rate", 1.0).is_err());
    }
}
