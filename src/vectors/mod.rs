//! Word vectors: a table of words and their vectors, and a smaller one that keeps what it knows.
//!
//! A [`WordVectors`] is read from the files of GloVe, word2vec and fastText, and written back to them: [`files`]. A [`Recipe`] makes
//! it smaller: [`shrink`]. What a table knows, and what a smaller one keeps of it: [`measure`].

pub mod files;
mod lines;
pub mod measure;
pub mod shrink;
mod words;

pub use shrink::Recipe;
pub use words::Words;

use crate::{Error, Result};

/// Words and a vector for each, the rows of a table (words, width) of f32.
///
/// Files have the most frequent words first, and what takes the first rows of a table relies on it.
#[derive(Debug, Clone, PartialEq)]
pub struct WordVectors {
    words: Words,
    width: usize,
    values: Vec<f32>,
}

impl WordVectors {
    /// A table of `words` rows of `width` numbers, row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] for no words, a width of 0 and another number of values, and [`Error::Config`] for a value that
    /// is not finite, which is named by its word.
    pub fn new(words: Words, width: usize, values: Vec<f32>) -> Result<Self> {
        let fits = words.len().checked_mul(width) == Some(values.len());
        if !fits || values.is_empty() {
            let expected = format!("words x width values, at least one of each: {} words", words.len());
            return Err(Error::shape(
                "word vectors",
                expected,
                format!("{} values, width {width}", values.len()),
            ));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let word = words.get(at / width).unwrap_or_default();
            let message = format!(
                "the vector of {word:?}, row {}, has {} at {}: expected finite numbers",
                at / width,
                values.get(at).copied().unwrap_or_default(),
                at % width
            );
            return Err(Error::config("word vectors", message));
        }
        Ok(Self { words, width, values })
    }

    /// The number of words.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // A table has a word at least.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The words, in the order of the rows.
    #[must_use]
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// All vectors, row by row: (words, width).
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The vector of a row.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<&[f32]> {
        self.values.chunks_exact(self.width).nth(at)
    }

    /// The row of a word.
    #[must_use]
    pub fn find(&self, word: &str) -> Option<usize> {
        self.words.find(word)
    }

    /// The rows at length 1, in f32 after a division in f64; a row of zeros stays one. Their products are cosines.
    #[must_use]
    pub fn unit(&self) -> Vec<f32> {
        let mut values = self.values.clone();
        for row in values.chunks_exact_mut(self.width) {
            let length = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            }
        }
        values
    }

    /// The same words with other vectors, of any width.
    ///
    /// # Errors
    /// As [`WordVectors::new`].
    pub fn with_values(&self, width: usize, values: Vec<f32>) -> Result<Self> {
        Self::new(self.words.clone(), width, values)
    }

    /// The first `count` words, or all where there are fewer.
    ///
    /// # Errors
    /// [`Error::Shape`] for a count of 0.
    pub fn first(&self, count: usize) -> Result<Self> {
        let count = count.min(self.len());
        let words = self.words.iter().take(count).collect();
        Self::new(words, self.width, self.values.iter().copied().take(count * self.width).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(words: &[&str], width: usize, values: &[f32]) -> Result<WordVectors> {
        WordVectors::new(words.iter().copied().collect(), width, values.to_vec())
    }

    #[test]
    fn rows_are_found_by_word_and_number() {
        let vectors = table(&["a", "ä b", "c"], 2, &[3.0, 4.0, 0.0, 0.0, -2.0, 0.0]).unwrap();
        assert_eq!((vectors.len(), vectors.width(), vectors.find("ä b")), (3, 2, Some(1)));
        assert_eq!((vectors.row(2), vectors.row(3)), (Some(&[-2.0, 0.0][..]), None));
        assert_eq!(vectors.unit(), [0.6, 0.8, 0.0, 0.0, -1.0, 0.0]);
        let first = vectors.first(2).unwrap();
        assert_eq!((first.words().iter().collect::<Vec<_>>(), first.values().len()), (vec!["a", "ä b"], 4));
        assert_eq!(first.find("c"), None);
        assert_eq!(vectors.first(9).unwrap(), vectors);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(table(&["a"], 2, &[1.0]).unwrap_err().to_string().contains("1 values, width 2"));
        assert!(table(&[], 2, &[]).is_err() && table(&["a"], 0, &[]).is_err());
        let message = table(&["a", "b"], 2, &[1.0, 2.0, 3.0, f32::NAN]).unwrap_err().to_string();
        assert!(message.contains("\"b\", row 1, has NaN at 1"), "{message}");
        assert!(table(&["a"], 1, &[1.0]).unwrap().first(0).is_err());
    }
}
