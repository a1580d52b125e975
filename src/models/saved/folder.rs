//! Encoders of texts as folders, see [`encoder::folder`](crate::models::encoder::folder).

use std::path::Path;

use super::{ModelMetadata, Overrides, Saved};
use crate::files::{TensorReader, read_text};
use crate::models::{Network, encoder};
use crate::{Error, Result};

/// Opens a folder that transformers or sentence-transformers wrote.
pub(super) fn open(path: &Path, overrides: &Overrides) -> Result<Saved> {
    if !["config.json", "modules.json"].iter().any(|name| path.join(name).exists()) {
        let message = "expected a model's file, or a folder of an encoder with config.json; found a directory without it; name the file inside it";
        return Err(Error::file(path, message));
    }
    let own = [
        ("model", overrides.model.is_some()),
        ("input", overrides.input.is_some()),
        ("map", overrides.map.is_some()),
    ];
    if let Some((setting, _)) = own.into_iter().find(|(_, given)| *given) {
        return Err(Error::file(path, format!("a folder brings its own {setting}; leave out `{setting}`")));
    }
    let folder = encoder::folder::open(path, overrides.classes.as_deref())?;
    let file = path.join("tokenizer.json");
    let tokenizer = file.is_file().then(|| read_text(&file)).transpose()?.map(Into::into);
    let metadata = ModelMetadata { classes: folder.names, tokenizer, ..ModelMetadata::default() };
    Ok(Saved { network: folder.network, metadata })
}

/// The folder of the encoder whose weights this file holds: one that transformers wrote, with the `config.json` beside it, and no
/// network of limbeck's own.
pub(super) fn around(path: &Path) -> Option<&Path> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| folder.join("config.json").is_file())?;
    let own = || TensorReader::open(path).is_ok_and(|file| file.metadata().contains_key("limbeck.model"));
    (encoder::folder::WEIGHTS.contains(&name) && !own()).then_some(folder)
}

/// Writes an encoder of texts (`bert:..`) as a folder that transformers or sentence-transformers opens, with the `tokenizer.json` that
/// its metadata has.
///
/// A network of sentence vectors gets the `modules.json` of sentence-transformers; so does a classifier with `head=linear`, which
/// transformers has no class for: sentence-transformers gives its logits as a text's vector. One with `head=pooler` is a
/// `BertForSequenceClassification`, one with `head=relu` a `DistilBertForSequenceClassification`.
///
/// # Errors
/// [`Error::Config`] for a network that is no encoder, [`Error::File`] where a file can't be written, for a tokenizer that is no JSON, and
/// for a classifier where a model of sentence vectors is in the way.
pub fn save_folder(dir: impl AsRef<Path>, network: &Network, metadata: &ModelMetadata) -> Result<()> {
    let tokenizer = metadata.tokenizer.as_ref().map(|text| text.as_bytes());
    encoder::folder::save(dir.as_ref(), network, &metadata.classes, tokenizer)
}
