//! Sentences as token numbers.

use crate::{Error, Result};

/// Token numbers of sentences, the one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sentences {
    ids: Vec<u32>,
    /// Where each ends in `ids`.
    ends: Vec<usize>,
}

impl Sentences {
    /// Sentences of `ids`; `offsets` says where each begins, and last where the last one ends.
    ///
    /// # Errors
    /// [`Error::Shape`] for offsets that fall, do not begin at 0 or do not end with the ids.
    pub fn new(ids: Vec<u32>, offsets: &[usize]) -> Result<Self> {
        let rises = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let Some((0, ends)) = offsets.split_first().map(|(first, ends)| (*first, ends)) else {
            return Err(Error::shape(
                "sentences",
                "offsets that begin with 0",
                format!("{:?}", offsets.first()),
            ));
        };
        let last = ends.last().copied().unwrap_or(0);
        if !rises || last != ids.len() {
            let got = if rises { format!("{last} as the last") } else { "some that fall".to_string() };
            return Err(Error::shape("sentences", format!("offsets that rise to {}", ids.len()), got));
        }
        Ok(Self { ids, ends: ends.to_vec() })
    }

    /// Adds a sentence.
    pub fn push(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.ids.extend(ids);
        self.ends.push(self.ids.len());
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

    /// The token numbers of all sentences.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The token numbers of a sentence.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&[u32]> {
        let end = *self.ends.get(at)?;
        let first = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ids.get(first..end)
    }

    /// The sentences in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// How often each of `tokens` tokens is there.
    ///
    /// # Errors
    /// [`Error::Config`] for a number that is no token's.
    pub fn counts(&self, tokens: usize) -> Result<Vec<u64>> {
        let mut counts = vec![0; tokens];
        for id in &self.ids {
            *counts.get_mut(*id as usize).ok_or_else(|| unknown(*id, tokens))? += 1;
        }
        Ok(counts)
    }
}

/// A number that no token has.
pub(super) fn unknown(id: u32, tokens: usize) -> Error {
    let message =
        format!("has token {id}, and there are {tokens}; use the tokenizer that belongs to these vectors");
    Error::config("a sentence", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found_by_number() {
        let mut sentences = Sentences::default();
        for ids in [&[3, 1][..], &[], &[1]] {
            sentences.push(ids.iter().copied());
        }
        assert_eq!(
            (sentences.get(0), sentences.get(1), sentences.get(2)),
            (Some(&[3, 1][..]), Some(&[][..]), Some(&[1][..]))
        );
        assert_eq!((sentences.get(3), sentences.len(), sentences.iter().count()), (None, 3, 3));
        assert_eq!(sentences.counts(4).unwrap(), [0, 2, 0, 1]);
        assert!(sentences.counts(3).unwrap_err().to_string().contains("has token 3, and there are 3"));
        assert_eq!(Sentences::new(vec![3, 1, 1], &[0, 2, 2, 3]).unwrap(), sentences);
        for offsets in [&[][..], &[1, 3], &[0, 2, 1, 3], &[0, 2], &[0, 4]] {
            assert!(Sentences::new(vec![3, 1, 1], offsets).is_err(), "{offsets:?}");
        }
    }
}
