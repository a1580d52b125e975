//! Pairs of words, and how alike people find them.

use std::io::BufReader;
use std::path::Path;

use super::super::WordVectors;
use super::super::lines::{Lines, shown};
use super::look_up;
use crate::files::open_as;
use crate::report::{self, cosine};
use crate::{Error, Result};

/// A set of pairs with scores, as WordSim-353 and SimLex-999 are.
#[derive(Debug, Clone, PartialEq)]
pub struct WordPairs {
    name: String,
    pairs: Vec<(String, String, f64)>,
}

/// How well cosines order pairs of words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Spearman's rank correlation of cosines and scores, -1 to 1.
    pub rho: f64,
    /// Pairs with both words in the table: what was measured.
    pub found: usize,
    /// All pairs of the set.
    pub pairs: usize,
}

/// What messages call such a file.
const WHAT: &str = "a file of word pairs";

impl WordPairs {
    /// Reads a text of lines `word word score`, the fields separated by tabs, semicolons, commas or spaces: by the first of these
    /// that the first line has. That line may name the fields instead. The score is the first field behind the words that is a number
    /// in the first row (SimLex-999 has the kind of word before it); what comes after it is not looked at. Empty lines and
    /// lines that begin with `#` are passed over, quotes around a field are taken away.
    ///
    /// # Errors
    /// [`Error::File`] for a file that can't be read or has no pairs, and for a line that is none, which it names.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut lines = Lines::new(path, BufReader::new(open_as(path, WHAT)?.0));
        let (mut separator, mut column, mut pairs) = (None, None, Vec::new());
        while let Some((number, line)) = lines.next()? {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let is_first = separator.is_none();
            let separator = *separator.get_or_insert_with(|| Separator::of(line));
            let fields = separator.split(line);
            column = column.or_else(|| first_number(&fields));
            match column.ok_or(3).and_then(|column| pair(&fields, column)) {
                Ok(pair) => pairs.push(pair),
                // The names of the fields.
                Err(_) if is_first && column.is_none() && fields.len() > 2 => {}
                Err(at) => {
                    let field = fields.get(at - 1).map_or("nothing".to_string(), |field| shown(field));
                    let expected = if at > 2 { "a number" } else { "a word" };
                    let message = format!(
                        "line {number}: expected two words and a score ({}), found {field} where field {at}, {expected}, \
                         should be; mend the line, or begin it with #",
                        separator.name()
                    );
                    return Err(Error::file(path, message));
                }
            }
        }
        if pairs.is_empty() {
            return Err(Error::file(
                path,
                "expected lines of two words and a score, found none; get the file again",
            ));
        }
        Ok(Self { name: stem(path), pairs })
    }

    /// What the set is called: its file's name without the extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Words and score of each pair, as the file has them.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String, f64)] {
        &self.pairs
    }
}

/// A file's name without the extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is between the fields of a line.
#[derive(Debug, Clone, Copy)]
enum Separator {
    Char(char),
    Spaces,
}

impl Separator {
    fn of(line: &str) -> Self {
        ['\t', ';', ','].into_iter().find(|c| line.contains(*c)).map_or(Separator::Spaces, Separator::Char)
    }

    fn split(self, line: &str) -> Vec<&str> {
        match self {
            Separator::Char(c) => line.split(c).map(unquoted).collect(),
            Separator::Spaces => line.split_whitespace().map(unquoted).collect(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Separator::Char('\t') => "separated by tabs",
            Separator::Char(';') => "separated by semicolons",
            Separator::Char(_) => "separated by commas",
            Separator::Spaces => "separated by spaces",
        }
    }
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

fn number(field: &str) -> Option<f64> {
    field.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Where the score is, in a first row.
fn first_number(fields: &[&str]) -> Option<usize> {
    fields.iter().skip(2).position(|field| number(field).is_some()).map(|at| at + 2)
}

/// The pair of a line, or which field is none, from 1.
fn pair(fields: &[&str], column: usize) -> Result<(String, String, f64), usize> {
    let word = |at: usize| fields.get(at).filter(|word| !word.is_empty()).ok_or(at + 1);
    let score = fields.get(column).and_then(|field| number(field)).ok_or(column + 1);
    Ok((word(0)?.to_string(), word(1)?.to_string(), score?))
}

/// Spearman's rank correlation of the cosines of pairs with their scores, equal ones at their mean rank. Pairs with a word
/// that is not in the table are left out and counted. None where fewer than two are left, and where all cosines or all
/// scores are equal.
#[must_use]
pub fn spearman(vectors: &WordVectors, pairs: &WordPairs) -> Option<Similarity> {
    let row = |word: &str| vectors.row(look_up(vectors, word)?);
    let found = pairs.pairs.iter().filter_map(|(a, b, score)| Some((cosine(row(a)?, row(b)?), *score)));
    let (cosines, scores): (Vec<f64>, Vec<f64>) = found.unzip();
    let rho = report::spearman(&cosines, &scores)?;
    Some(Similarity { rho, found: cosines.len(), pairs: pairs.pairs.len() })
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
