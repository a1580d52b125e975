//! What makes vectors of texts: an encoder, or a static model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::subject::tokens::{tokenizer_for, tokenizer_of};
use crate::cli::AdapterFlags;
use crate::data::Split;
use crate::data::text::{TextSet, Texts, Tokenizer};
use crate::gpu::Gpu;
use crate::models::InputSpec;
use crate::models::saved::{self, Overrides, Saved};
use crate::report::count;
use crate::sentences::statics::StaticModel;
use crate::sentences::{Rows, encode};
use crate::{Error, Result};

/// Makes vectors of texts.
pub trait Embedder {
    /// A vector (N, D) of the first text of each sample.
    fn vectors(&self, texts: &Texts) -> Result<Rows>;

    /// Its architecture.
    fn model(&self) -> String;

    /// Numbers that were learned.
    fn params(&self) -> usize;

    /// What it runs on.
    fn runs_on(&self) -> String;
}

/// Opens a folder of transformers, sentence-transformers or model2vec, or a file. An encoder's texts have at most `longest` tokens, where
/// that is less than it takes. Only an encoder needs an adapter.
pub fn open(adapter: &AdapterFlags, path: &Path, longest: Option<usize>) -> Result<Box<dyn Embedder>> {
    if StaticModel::is_folder(path) {
        return Ok(Box::new(Table::open(path)?));
    }
    let saved = saved::open(path, &Overrides::default())?;
    Ok(Box::new(Encoder::new(adapter, path, saved, longest)?))
}

/// An encoder on an adapter.
pub struct Encoder {
    path: PathBuf,
    saved: Saved,
    tokenizer: Tokenizer,
    longest: usize,
    gpu: Gpu,
}

impl Encoder {
    /// The network that was opened from `path`.
    ///
    /// # Errors
    /// [`Error::File`] for one that reads no texts, or comes without a tokenizer, and those of opening an adapter.
    pub fn new(adapter: &AdapterFlags, path: &Path, saved: Saved, longest: Option<usize>) -> Result<Self> {
        let InputSpec::Tokens { longest: most, .. } = saved.network.input() else {
            return Err(Error::file(path, format!("it takes {}, not texts", saved.network.input())));
        };
        let tokenizer = tokenizer_for(path, &saved)?;
        let longest = longest.unwrap_or(most).min(most);
        Ok(Self { path: path.to_path_buf(), saved, tokenizer, longest, gpu: adapter.open()? })
    }
}

impl Embedder for Encoder {
    fn vectors(&self, texts: &Texts) -> Result<Rows> {
        let firsts = Texts::new(texts.name(), texts.firsts().to_vec());
        let set = TextSet::tokenized(&firsts, Split::Test, &self.tokenizer, self.longest)?;
        if set.cut() > 0 {
            let (cut, longest) = (count(set.cut() as u64), self.longest);
            log::warn!("{cut} texts of {} have more than {longest} tokens and were cut", texts.name());
        }
        encode(&self.gpu, &self.saved.network, &Arc::new(set))
            .map_err(|e| Error::file(&self.path, format!("vectors of {}: {e}", texts.name())))
    }

    fn model(&self) -> String {
        self.saved.network.name.clone()
    }

    fn params(&self) -> usize {
        self.saved.network.params.trainable_elements()
    }

    fn runs_on(&self) -> String {
        format!("{} ({})", self.gpu.caps().name, self.gpu.caps().backend)
    }
}

/// A static model.
pub struct Table {
    model: StaticModel,
    tokenizer: Tokenizer,
}

impl Table {
    /// That of a folder.
    ///
    /// # Errors
    /// Those of [`StaticModel::open_folder`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { model: StaticModel::open_folder(path)?, tokenizer: tokenizer_of(path)? })
    }
}

impl Embedder for Table {
    fn vectors(&self, texts: &Texts) -> Result<Rows> {
        self.model.encode_texts(texts.firsts(), |text| self.tokenizer.bare(text))
    }

    fn model(&self) -> String {
        format!(
            "static model of {} tokens, {} numbers each",
            count(self.model.rows().len() as u64),
            self.model.dims()
        )
    }

    fn params(&self) -> usize {
        self.model.rows().values().len()
    }

    fn runs_on(&self) -> String {
        "the CPU".into()
    }
}
