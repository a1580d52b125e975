//! A table of token vectors with its tokenizer, and what sentences are to it.

use super::Vocabulary;
use crate::platform::parallel::{Cost, in_parallel};
use crate::sentences::{Rows, Sentences, texts};
use crate::{Error, Result};

/// Sentences that a core takes at once.
const SHARE: usize = 256;
/// What keeps a vector of zeros one, as in model2vec.
const LEAST: f64 = 1e-32;

/// Token vectors, and the tokenizer whose numbers count them.
#[derive(Debug, Clone, PartialEq)]
pub struct StaticModel {
    rows: Rows,
    vocabulary: Vocabulary,
    normalize: bool,
}

impl StaticModel {
    /// A model whose sentences have length 1.
    ///
    /// # Errors
    /// [`Error::Shape`] where there is not a row for each token.
    pub fn new(rows: Rows, vocabulary: Vocabulary) -> Result<Self> {
        if rows.len() != vocabulary.len() {
            let expected = format!("a row for each of {} tokens", vocabulary.len());
            return Err(Error::shape("a static model", expected, format!("{} rows", rows.len())));
        }
        Ok(Self { rows, vocabulary, normalize: true })
    }

    /// The same with sentences of length 1, or as long as their means are.
    #[must_use]
    pub fn normalized(self, normalize: bool) -> Self {
        Self { normalize, ..self }
    }

    /// A row (tokens, dims) for each token.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Numbers of a sentence's vector.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.rows.width()
    }

    /// The tokenizer.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Whether sentences have length 1.
    #[must_use]
    pub fn is_normalized(&self) -> bool {
        self.normalize
    }

    /// The vector of a sentence: the mean of its tokens' rows, divided by its length + 1e-32. Unknown tokens, and what is behind
    /// the first 512, do not count; without any that do it is 0.
    ///
    /// # Errors
    /// [`Error::Config`] for a number that is no token's.
    pub fn encode(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let mut vector = Vec::with_capacity(self.dims());
        self.encode_to(ids, &mut vector)?;
        Ok(vector)
    }

    /// Vectors (sentences, dims) of many sentences, on every core.
    ///
    /// # Errors
    /// As [`StaticModel::encode`].
    pub fn encode_all(&self, sentences: &Sentences) -> Result<Rows> {
        let lists: Vec<&[u32]> = sentences.iter().collect();
        self.each(&lists, |ids, vectors| self.encode_to(ids, vectors))
    }

    /// Vectors (texts, dims) of texts, on every core. `tokenize` gives the token numbers of a text, without anything put around
    /// it; it is not given more of a long text than counts.
    ///
    /// # Errors
    /// As [`StaticModel::encode`], and what `tokenize` fails with.
    pub fn encode_texts<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        tokenize: impl Fn(&str) -> Result<Vec<u32>> + Sync,
    ) -> Result<Rows> {
        self.each(texts, |text, vectors| {
            self.encode_to(&tokenize(self.vocabulary.start(text.as_ref()))?, vectors)
        })
    }

    fn each<T: Sync>(
        &self,
        items: &[T],
        work: impl Fn(&T, &mut Vec<f32>) -> Result<()> + Sync,
    ) -> Result<Rows> {
        let shares: Vec<&[T]> = items.chunks(SHARE).collect();
        let parts = in_parallel(Cost::Large, &shares, |items| {
            let mut vectors = Vec::with_capacity(items.len() * self.dims());
            items.iter().try_for_each(|item| work(item, &mut vectors)).map(|()| vectors)
        });
        Rows::new(self.dims(), parts.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    /// Appends the vector of a sentence.
    fn encode_to(&self, ids: &[u32], vectors: &mut Vec<f32>) -> Result<()> {
        let (first, dims) = (vectors.len(), self.dims());
        vectors.resize(first + dims, 0.0);
        let vector = vectors.get_mut(first..).unwrap_or_default();
        let mut count = 0u32;
        for id in self.vocabulary.counted(ids) {
            let row = self.rows.row(id as usize).ok_or_else(|| texts::unknown(id, self.rows.len()))?;
            vector.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
            count += 1;
        }
        let count = f64::from(count.max(1));
        let factor = if self.normalize {
            let squares: f64 = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            1.0 / (squares.sqrt() + LEAST * count)
        } else {
            1.0 / count
        };
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
        Ok(())
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
