//! Smaller tables of words: fewer words, narrower vectors, fewer bytes a number.
//!
//! A [`Recipe`] is steps in order, as a user writes them: `words:10000+pca:16+int8`. A step gives another table; the last
//! one may say how numbers are stored. What comes out is a [`Small`]: the vectors that its bytes stand for, so that every
//! way is measured alike, by [`measure`](super::measure).

mod codes;
mod groups;
mod learned;
mod linear;
mod recipe;
mod store;

use learned::Learning;
pub use recipe::Recipe;

use std::path::Path;

use crate::Result;
use crate::files::{Metadata, StoredTensor, write_safetensors};
use crate::vectors::WordVectors;
use crate::vectors::files::{WORDS, words_as_json};

/// A table as a recipe made it.
#[derive(Debug, Clone)]
pub struct Small {
    /// What its bytes stand for. Vectors of another recipe differ in width, and in words where it took fewer.
    pub vectors: WordVectors,
    /// How its numbers are stored: `f32`, `f16`, `int8`, `codes`.
    pub form: &'static str,
    /// What is stored.
    tensors: Vec<StoredTensor<'static>>,
}

impl Small {
    /// Bytes of its numbers, without the words.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.data.bytes() as u64).sum()
    }

    /// Writes it as it is stored: a safetensors file with the words in its header, which
    /// [`files::read`](super::files::read) opens.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where it can't be written, and [`Error::Config`](crate::Error::Config) for more words than a
    /// header has room for.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let words = words_as_json(&self.vectors)?;
        let metadata = Metadata::from([("form".into(), self.form.into()), (WORDS.into(), words)]);
        write_safetensors(path, &self.tensors, &metadata)
    }
}
