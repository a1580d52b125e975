//! Texts as models read them: a [`Source`] of tokens.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::texts::{as_many, finite, named};
use super::{SCORE, TOKENS};
use crate::data::holdout::{holdout_count, stratified};
use crate::data::{Field, LABELS, Row, Source, Split, View};
use crate::files::hex;
use crate::{Error, Result};

/// Texts by the numbers of their tokens, with their classes or scores where they have some.
///
/// ```
/// use limbeck::data::text::TextSet;
/// use limbeck::data::{Source, Split};
///
/// // Tokens of a vocabulary of 100, at most 8 a text.
/// let set = TextSet::new("mine", Split::Train, [100, 8], [vec![1, 5, 7, 2], vec![1, 9, 2]])?;
/// let set = set.with_labels(vec![1, 0], vec!["bad".into(), "good".into()])?;
/// assert_eq!(set.lengths(), Some(&[4, 3][..]));
/// # Ok::<(), limbeck::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TextSet {
    name: String,
    split: Split,
    vocabulary: usize,
    longest: usize,
    /// Of all texts, one behind the other.
    tokens: Vec<i32>,
    /// (N + 1): where each begins.
    starts: Vec<usize>,
    /// (N): tokens of each.
    lengths: Vec<u32>,
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
    scores: Option<Vec<f32>>,
    /// (N): which were cut; empty where none was.
    cut: Vec<bool>,
}

impl TextSet {
    /// Texts whose tokens are known: numbers below `vocabulary`, at most `longest` a text, with whatever the model has around a
    /// text, such as `[CLS]` and `[SEP]`. `name` is for people.
    ///
    /// # Errors
    /// [`Error::Config`] for a token that is not below `vocabulary`, and a text of more tokens than `longest`.
    pub fn new(
        name: impl Into<String>,
        split: Split,
        [vocabulary, longest]: [usize; 2],
        texts: impl IntoIterator<Item = Vec<u32>>,
    ) -> Result<Self> {
        let name = name.into();
        let (mut tokens, mut starts, mut lengths) = (Vec::new(), vec![0], Vec::new());
        for (at, text) in texts.into_iter().enumerate() {
            let refuse = |message: String| Err(Error::config(format!("text {at} of {name}"), message));
            if text.len() > longest || text.len() > i32::MAX as usize {
                return refuse(format!("expected at most {longest} tokens, got {}", text.len()));
            }
            for &token in &text {
                match i32::try_from(token) {
                    Ok(number) if (token as usize) < vocabulary => tokens.push(number),
                    _ => return refuse(format!("expected tokens below {vocabulary}, got {token}")),
                }
            }
            lengths.push(text.len() as u32);
            starts.push(tokens.len());
        }
        let (labels, class_names, scores) = (None, Vec::new(), None);
        Ok(Self {
            name,
            split,
            vocabulary,
            longest,
            tokens,
            starts,
            lengths,
            labels,
            class_names,
            scores,
            cut: Vec::new(),
        })
    }

    /// With the class of each text, below the number of names.
    ///
    /// # Errors
    /// [`Error::Config`] for another number of labels than of texts, and a label that has no name.
    pub fn with_labels(self, labels: Vec<u32>, class_names: Vec<String>) -> Result<Self> {
        as_many(&self.name, self.len(), "labels", labels.len())?;
        named(&self.name, &labels, &class_names)?;
        Ok(Self { labels: Some(labels), class_names, ..self })
    }

    /// With the score of each text.
    ///
    /// # Errors
    /// [`Error::Config`] for another number of scores than of texts, and one that is not finite.
    pub fn with_scores(self, scores: Vec<f32>) -> Result<Self> {
        as_many(&self.name, self.len(), "scores", scores.len())?;
        finite(&self.name, &scores)?;
        Ok(Self { scores: Some(scores), ..self })
    }

    #[cfg(feature = "text")]
    pub(super) fn with_cut(self, cut: Vec<bool>) -> Self {
        Self { cut, ..self }
    }

    /// Which part of the data it is.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Tokens that there are.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The most tokens that a text may have.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Texts that had more tokens than that, and were cut.
    pub fn cut(&self) -> usize {
        self.cut.iter().filter(|cut| **cut).count()
    }

    /// The tokens of text `index`; `None` past the end.
    pub fn tokens(&self, index: usize) -> Option<&[i32]> {
        self.tokens.get(self.range(index)?)
    }

    /// The tokens of all texts, one behind the other.
    pub fn all_tokens(&self) -> &[i32] {
        &self.tokens
    }

    /// (N): class numbers, where there are classes.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Name of each class; none without labels.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// (N): scores, where there are some.
    pub fn scores(&self) -> Option<&[f32]> {
        self.scores.as_deref()
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        Some(*self.starts.get(index)?..*self.starts.get(index.checked_add(1)?)?)
    }

    /// The texts at `indices`, in that order; an index may repeat.
    ///
    /// # Errors
    /// [`Error::Config`] for an index past the end.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        let mut part = Self {
            name: self.name.clone(),
            tokens: Vec::new(),
            starts: vec![0],
            lengths: Vec::with_capacity(indices.len()),
            labels: None,
            class_names: self.class_names.clone(),
            scores: None,
            cut: indices.iter().filter_map(|&at| self.cut.get(at).copied()).collect(),
            ..*self
        };
        for &index in indices {
            let Some(tokens) = self.tokens(index) else {
                let message =
                    format!("index {index} is past the end: {} has {} texts", self.name, self.len());
                return Err(Error::config("subset", message));
            };
            part.tokens.extend_from_slice(tokens);
            part.starts.push(part.tokens.len());
            part.lengths.push(tokens.len() as u32);
        }
        // The indices are checked.
        part.labels = self.labels.as_ref().map(|labels| indices.iter().map(|&at| labels[at]).collect());
        part.scores = self.scores.as_ref().map(|scores| indices.iter().map(|&at| scores[at]).collect());
        Ok(part)
    }

    /// Keeps the first `n` texts.
    pub fn truncate(&mut self, n: usize) {
        let n = n.min(self.lengths.len());
        self.lengths.truncate(n);
        self.cut.truncate(n);
        self.starts.truncate(n + 1);
        self.tokens.truncate(self.starts.last().copied().unwrap_or(0));
        self.labels.iter_mut().for_each(|labels| labels.truncate(n));
        self.scores.iter_mut().for_each(|scores| scores.truncate(n));
    }

    /// `n` texts (all, when there are fewer), each class in proportion, chosen by `seed`, in their original order.
    ///
    /// # Errors
    /// Those of [`TextSet::subset`].
    pub fn sample(&self, n: usize, seed: u64) -> Result<Self> {
        let chosen = self.chosen(n.min(self.len()), seed);
        self.subset(&(0..self.len()).filter(|&at| chosen[at]).collect::<Vec<_>>())
    }

    /// Splits off a test part of `ceil(fraction * len)` texts, each class in proportion: (train, test). Depends on nothing but the
    /// labels, `fraction` and `seed`; both parts keep the original order.
    ///
    /// # Errors
    /// [`Error::Config`] for a fraction outside (0, 1), and for a part that would be empty.
    pub fn split_holdout(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let held_out = self.chosen(holdout_count(&self.name, self.len(), fraction)?, seed);
        let (test, train): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(|&at| held_out[at]);
        let part = |indices: &[usize], split| Ok(Self { split, ..self.subset(indices)? });
        Ok((part(&train, Split::Train)?, part(&test, Split::Test)?))
    }

    /// Marks `count` texts, of each class its share.
    fn chosen(&self, count: usize, seed: u64) -> Vec<bool> {
        match &self.labels {
            Some(labels) => stratified(labels, self.class_names.len(), count, seed),
            None => stratified(&vec![0; self.len()], 1, count, seed),
        }
    }
}

impl Source for TextSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn fields(&self) -> Vec<Field> {
        let labels = self.labels.as_ref().map(|_| Field::label(LABELS));
        let scores = self.scores.as_ref().map(|_| Field::f32(SCORE, [1]));
        [Field::packed(TOKENS)].into_iter().chain(labels).chain(scores).collect()
    }

    fn lengths(&self) -> Option<&[u32]> {
        Some(&self.lengths)
    }

    fn occurring(&self, field: &str) -> Option<Vec<usize>> {
        (field == TOKENS).then(|| {
            let mut seen = vec![false; self.vocabulary];
            // Tokens are numbers below the vocabulary.
            self.tokens.iter().for_each(|&token| seen[token as usize] = true);
            (0..self.vocabulary).filter(|&token| seen[token]).collect()
        })
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> Result<()> {
        let Some(tokens) = self.tokens(id) else {
            let message = format!("text {id} is past the end: there are {}", self.len());
            return Err(Error::config(format!("texts {}", self.name), message));
        };
        row.i32(TOKENS)?.copy_from_slice(tokens);
        if let Some(labels) = &self.labels {
            row.i32(LABELS)?[0] = labels[id] as i32;
        }
        if let Some(scores) = &self.scores {
            row.f32(SCORE)?[0] = scores[id];
        }
        Ok(())
    }

    /// sha256 over tokens, labels and scores: equal for equal contents, whatever they are called and wherever they are from.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"limbeck texts 1\0");
        for n in [self.len(), self.vocabulary, self.class_names.len()] {
            hash.update((n as u64).to_le_bytes());
        }
        let mut add = |values: &[u8]| {
            hash.update((values.len() as u64).to_le_bytes());
            hash.update(values);
        };
        add(bytemuck::cast_slice(&self.lengths));
        add(bytemuck::cast_slice(&self.tokens));
        add(bytemuck::cast_slice(self.labels.as_deref().unwrap_or_default()));
        add(bytemuck::cast_slice(self.scores.as_deref().unwrap_or_default()));
        hex(&hash.finalize())
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
