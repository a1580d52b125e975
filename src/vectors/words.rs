//! The words of a table, in one string.

use std::collections::HashMap;

/// Words by number, and their numbers by word. Each is there once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words {
    /// All of them, without a break.
    text: String,
    /// Where each ends in `text`.
    ends: Vec<usize>,
    numbers: HashMap<String, usize>,
}

impl Words {
    /// Adds a word as the last one, or says which number it has already.
    ///
    /// # Errors
    /// The number of the same word, where it is there.
    pub fn push(&mut self, word: &str) -> Result<usize, usize> {
        if let Some(number) = self.numbers.get(word) {
            return Err(*number);
        }
        let number = self.ends.len();
        self.numbers.insert(word.to_string(), number);
        self.text.push_str(word);
        self.ends.push(self.text.len());
        Ok(number)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word of a number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let first = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(first..end)
    }

    /// The number of a word.
    #[must_use]
    pub fn find(&self, word: &str) -> Option<usize> {
        self.numbers.get(word).copied()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|number| self.get(number))
    }
}

/// Words that come again are left out.
impl<'a> FromIterator<&'a str> for Words {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        let mut all = Self::default();
        for word in words {
            let _ = all.push(word);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_there_once() {
        let mut words = Words::default();
        assert_eq!(
            [words.push("of"), words.push(""), words.push("ö"), words.push("of")],
            [Ok(0), Ok(1), Ok(2), Err(0)]
        );
        assert_eq!((words.len(), words.get(1), words.get(2), words.get(3)), (3, Some(""), Some("ö"), None));
        assert_eq!((words.find("ö"), words.find("x")), (Some(2), None));
        assert_eq!(words.iter().collect::<Vec<_>>(), ["of", "", "ö"]);
    }
}
