//! From what stands in a label column to class numbers.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::records::at_line;
use crate::Result;

/// More different labels than this are no classes.
const MOST_CLASSES: usize = 1 << 16;

/// The class number of each label, with the names of the classes: those that are `given`, in which a label may also be a number,
/// or else those that occur.
pub(super) fn classes(
    path: &Path,
    labels: &[(usize, Cow<'_, str>)],
    given: Option<&[String]>,
) -> Result<(Vec<u32>, Vec<String>)> {
    let names = match given {
        Some(names) => names.to_vec(),
        None => occurring(path, labels)?,
    };
    let numbers: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    let number = |(line, label): &(usize, Cow<'_, str>)| {
        let by_number = || label.parse::<u32>().ok().filter(|&number| (number as usize) < names.len());
        numbers.get(label.as_ref()).copied().or_else(by_number).ok_or_else(|| {
            let message = format!(
                "the label \"{}\" is none of the {} classes ({})",
                short(label),
                names.len(),
                some(&names)
            );
            at_line(path, *line, message)
        })
    };
    let labels = labels.iter().map(number).collect::<Result<_>>()?;
    Ok((labels, names))
}

/// The labels that occur, sorted: by number where all are whole numbers.
fn occurring(path: &Path, labels: &[(usize, Cow<'_, str>)]) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for (line, label) in labels {
        if label.is_empty() {
            return Err(at_line(path, *line, "has no label"));
        }
        names.insert(label.as_ref());
        if names.len() > MOST_CLASSES {
            let message = format!("is the {}th label that is new; is this column one of texts?", names.len());
            return Err(at_line(path, *line, message));
        }
    }
    let mut names: Vec<&str> = names.into_iter().collect();
    let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_some() {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or(0));
    }
    Ok(names.into_iter().map(str::to_string).collect())
}

/// The beginning of a text, for messages.
pub(super) fn short(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    let dots = if start.len() < text.len() { ".." } else { "" };
    format!("{}{dots}", start.escape_debug())
}

/// The first names of a list.
pub(super) fn some(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(8).map(|name| short(name)).collect();
    let more = if names.len() > first.len() { ", .." } else { "" };
    format!("{}{more}", first.join(", "))
}
