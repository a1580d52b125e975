//! Opening a folder, of model2vec's layout or of sentence-transformers'.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CONFIG, EMBEDDINGS, MAPPING, MODULES, NESTED, TENSORS, TOKENIZER, WEIGHT, WEIGHTS};
use crate::files::{TensorReader, read};
use crate::sentences::Rows;
use crate::sentences::statics::{StaticModel, Vocabulary};
use crate::{Error, Result};

impl StaticModel {
    /// Whether a folder is of a static model, as far as one can see: it has a table of token vectors, or says so where its numbers can't
    /// be read. Whether it is whole, [`StaticModel::open_folder`] says.
    pub fn is_folder(folder: impl AsRef<Path>) -> bool {
        let folder = folder.as_ref();
        let table =
            |file: TensorReader| [EMBEDDINGS, WEIGHT].into_iter().any(|name| file.shape(name).is_some());
        let says = |name: &str, word: &str| {
            std::fs::read_to_string(folder.join(name)).is_ok_and(|text| text.contains(word))
        };
        folder.join(NESTED).is_dir()
            || TensorReader::open(folder.join(TENSORS)).is_ok_and(table)
            || (says(CONFIG, "model2vec") || says(MODULES, "StaticEmbedding"))
                && folder.join(TENSORS).exists()
    }

    /// Opens a folder that model2vec, sentence-transformers (a `StaticEmbedding`) or [`StaticModel::save_folder`] wrote.
    ///
    /// Numbers of f16, f32 and i8 are read. Where a model has fewer rows than tokens (`mapping`), or weights of tokens, each token gets
    /// a row of its own.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that is none of these, and for a file in it that is damaged or does not fit the others.
    pub fn open_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let (tensors, tokenizer) = files(folder)?;
        let vocabulary = Vocabulary::read(&tokenizer, &read(&tokenizer)?)?;
        let file = TensorReader::open(&tensors)?;
        let name = [EMBEDDINGS, WEIGHT].into_iter().find(|name| file.shape(name).is_some());
        let name = name.ok_or_else(|| {
            let names: Vec<_> = file.tensors().take(4).map(|(name, _)| format!("{name:?}")).collect();
            let message =
                format!("expected a tensor {EMBEDDINGS:?} or {WEIGHT:?}, found {}", names.join(", "));
            Error::file(&tensors, message)
        })?;
        let mut rows = table(&file, name)?;
        let tokens = vocabulary.len();
        if let Some(mapping) = numbers(&file, MAPPING, tokens)? {
            rows = mapped(&tensors, &rows, &mapping)?;
        }
        // sentence-transformers pads tables of some tokenizers; their last rows are no token's.
        if rows.len() < tokens || (name == EMBEDDINGS && rows.len() > tokens) {
            let message = format!(
                "tensor {name:?}: expected a row for each of the {tokens} tokens of {}, found {}",
                tokenizer.display(),
                rows.len()
            );
            return Err(Error::file(&tensors, message));
        }
        let (width, mut values) = (rows.width(), rows.values().to_vec());
        drop(rows);
        values.truncate(tokens * width);
        if let Some(weights) = numbers(&file, WEIGHTS, tokens)? {
            for (row, weight) in values.chunks_exact_mut(width).zip(weights) {
                row.iter_mut().for_each(|v| *v *= weight);
            }
        }
        let rows = Rows::new(width, values)
            .map_err(|e| Error::file(&tensors, format!("rows times weights: {e}")))?;
        Ok(Self::new(rows, vocabulary)?.normalized(normalize(folder)?))
    }
}

/// The tensors and the tokenizer of a folder.
fn files(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    if !folder.is_dir() {
        let found = if folder.exists() { "a file" } else { "nothing" };
        let message =
            format!("expected a folder of a static model, found {found}; name the folder with {TENSORS}");
        return Err(Error::file(folder, message));
    }
    for place in [folder.to_path_buf(), folder.join(NESTED)] {
        if place.join(TENSORS).is_file() {
            return Ok((place.join(TENSORS), place.join(TOKENIZER)));
        }
    }
    let message = format!(
        "has no {TENSORS}, and {NESTED} neither: expected a static model of model2vec or sentence-transformers"
    );
    Err(Error::file(folder, message))
}

/// A tensor (rows, width).
fn table(file: &TensorReader, name: &str) -> Result<Rows> {
    let shape = file.shape(name).unwrap_or_default();
    let &[rows, width] = shape else {
        let message = format!("tensor {name:?}: expected two axes (tokens, width), found shape {shape:?}");
        return Err(Error::file(file.path(), message));
    };
    if rows == 0 || width == 0 {
        let message =
            format!("tensor {name:?}: expected a row of one number at least, found shape {shape:?}");
        return Err(Error::file(file.path(), message));
    }
    let mut values = Vec::new();
    file.read(name, 0, rows * width, &mut values)?;
    Rows::new(width, values)
}

/// A tensor (tokens), where there is one of this name.
fn numbers(file: &TensorReader, name: &str, tokens: usize) -> Result<Option<Vec<f32>>> {
    match file.shape(name) {
        None => Ok(None),
        Some(&[count]) if count == tokens => {
            let mut values = Vec::new();
            file.read(name, 0, tokens, &mut values)?;
            Ok(Some(values))
        }
        Some(shape) => {
            let message =
                format!("tensor {name:?}: expected one for each of {tokens} tokens, found shape {shape:?}");
            Err(Error::file(file.path(), message))
        }
    }
}

/// The row of each token.
fn mapped(path: &Path, rows: &Rows, mapping: &[f32]) -> Result<Rows> {
    let mut values = Vec::with_capacity(mapping.len().saturating_mul(rows.width()).min(1 << 28));
    for (token, number) in mapping.iter().enumerate() {
        let whole = *number >= 0.0 && number.fract() == 0.0;
        let row = rows.row(*number as usize).filter(|_| whole).ok_or_else(|| {
            let message =
                format!("tensor {MAPPING:?}: token {token} has row {number}, and there are {}", rows.len());
            Error::file(path, message)
        })?;
        values.extend_from_slice(row);
    }
    Rows::new(rows.width(), values)
}

/// Whether a folder's sentences have length 1: as `config.json` says, or by a module that makes them so.
fn normalize(folder: &Path) -> Result<bool> {
    let config = folder.join(CONFIG);
    if config.is_file()
        && let Some(normalize) = parse(&config)?.get("normalize")
    {
        return normalize.as_bool().ok_or_else(|| {
            Error::file(&config, format!("normalize: expected true or false, found {normalize}"))
        });
    }
    let modules = folder.join(MODULES);
    if !modules.is_file() {
        return Ok(false);
    }
    let modules = parse(&modules)?;
    let is_normalize =
        |module: &Value| module["type"].as_str().is_some_and(|name| name.ends_with("Normalize"));
    Ok(modules.as_array().is_some_and(|modules| modules.iter().any(is_normalize)))
}

fn parse(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path)?)
        .map_err(|e| Error::file(path, format!("expected JSON: {e}; get or write it again")).because(e))
}
