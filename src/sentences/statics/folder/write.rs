//! Writing a folder that model2vec, its Rust reader and sentence-transformers open.

use std::path::Path;

use half::f16;
use serde::Serialize;

use super::{CONFIG, EMBEDDINGS, MODULES, README, TENSORS, TOKENIZER};
use crate::files::{Data, Metadata, StoredTensor, write_atomic, write_safetensors};
use crate::sentences::Rows;
use crate::sentences::statics::{StaticModel, vocabulary::LONGEST};
use crate::{Error, Result};

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// Two bytes a number.
    #[default]
    F16,
    /// Four bytes a number.
    F32,
    /// A byte a number, with one scale for all, the largest number being 127. The scale is not stored: lengths of sentences
    /// are gone, cosines stay. model2vec opens it, sentence-transformers does not.
    I8,
}

/// What a folder says beside the numbers.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// How numbers are stored.
    pub store: Store,
    /// The encoder that the model was made of, as the card names it.
    pub base_model: Option<String>,
    /// The share of a token that counts half, of the recipe's weights.
    pub sif_coefficient: Option<f64>,
}

/// `config.json`, as model2vec 0.10 writes it.
#[derive(Serialize)]
struct Config<'a> {
    model_type: &'a str,
    architectures: [&'a str; 1],
    tokenizer_name: &'a str,
    apply_pca: usize,
    sif_coefficient: Option<f64>,
    hidden_dim: usize,
    seq_length: u32,
    normalize: bool,
    pooling: &'a str,
    max_length: usize,
    embedding_dtype: &'a str,
}

/// An entry of `modules.json`.
#[derive(Serialize)]
struct Module<'a> {
    idx: usize,
    name: &'a str,
    path: &'a str,
    r#type: &'a str,
}

impl StaticModel {
    /// Writes the model as a folder of `model.safetensors`, `tokenizer.json`, `config.json`, `modules.json` and a card: the layout of
    /// model2vec 0.10, which model2vec-rs and sentence-transformers 5 and 6 open, too. The folder is made where there is none.
    ///
    /// # Errors
    /// [`Error::File`] where it can't be written, [`Error::Config`] for numbers that are too large for f16.
    pub fn save_folder(&self, folder: impl AsRef<Path>, options: &SaveOptions) -> Result<()> {
        let folder = folder.as_ref();
        let (dtype, data) = options.store.of(self.rows())?;
        let shape = vec![self.rows().len(), self.dims()];
        let tensor = StoredTensor::new(EMBEDDINGS, shape, data);
        write_safetensors(folder.join(TENSORS), &[tensor], &Metadata::new())?;
        let base_model = options.base_model.as_deref().unwrap_or("unknown");
        let config = Config {
            model_type: "model2vec",
            architectures: ["StaticModel"],
            tokenizer_name: base_model,
            apply_pca: self.dims(),
            sif_coefficient: options.sif_coefficient,
            hidden_dim: self.dims(),
            seq_length: 1_000_000,
            normalize: self.is_normalized(),
            pooling: "mean",
            max_length: LONGEST,
            embedding_dtype: dtype,
        };
        let mut modules = vec![
            Module { idx: 0, name: "0", path: ".", r#type: "sentence_transformers.models.StaticEmbedding" },
            Module {
                idx: 1,
                name: "1",
                path: "1_Normalize",
                r#type: "sentence_transformers.models.Normalize",
            },
        ];
        modules.truncate(1 + usize::from(self.is_normalized()));
        write(&folder.join(TOKENIZER), self.vocabulary().json())?;
        write(&folder.join(CONFIG), &json(&folder.join(CONFIG), &config)?)?;
        write(&folder.join(MODULES), &json(&folder.join(MODULES), &modules)?)?;
        write(&folder.join(README), self.card(folder, base_model).as_bytes())
    }

    /// The model card: YAML that the tools read, and how to use the folder.
    fn card(&self, folder: &Path, base_model: &str) -> String {
        let name = folder.file_name().map_or("static model".into(), |name| name.to_string_lossy());
        // A JSON string is a YAML string.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "---\n\
             base_model: {}\n\
             library_name: model2vec\n\
             model_name: {}\n\
             tags:\n\
             - embeddings\n\
             - static-embeddings\n\
             - sentence-transformers\n\
             ---\n\n\
             # {name}\n\n\
             {} token vectors of {} numbers, distilled from {base_model} by limbeck. A sentence is the mean of its tokens' vectors.\n\n\
             ```python\n\
             from model2vec import StaticModel\n\n\
             vectors = StaticModel.from_pretrained(\"path/of/this/folder\").encode([\"a sentence\"])\n\
             ```\n\n\
             `sentence_transformers.SentenceTransformer(\"path/of/this/folder\")` opens it, too.\n",
            quoted(base_model),
            quoted(&name),
            self.rows().len(),
            self.dims(),
        )
    }
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, style);
    value.serialize(&mut writer).map_err(|e| Error::file(path, format!("can't be written: {e}")))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |writer| writer.write_all(bytes))
}

impl Store {
    /// The type's name in numpy, and the numbers.
    fn of(self, rows: &Rows) -> Result<(&'static str, Data<'_>)> {
        let largest = rows.values().iter().fold(0f32, |most, v| most.max(v.abs()));
        Ok(match self {
            Self::F32 => ("float32", rows.values().into()),
            Self::F16 if largest > f16::MAX.to_f32() => {
                let message = format!(
                    "f16 holds numbers up to {}, and the largest is {largest}; take f32 or i8",
                    f16::MAX
                );
                return Err(Error::config("store", message));
            }
            Self::F16 => {
                let halves: Vec<f16> = rows.values().iter().map(|v| f16::from_f32(*v)).collect();
                ("float16", halves.into())
            }
            Self::I8 => {
                let scale = if largest > 0.0 { f64::from(largest) / 127.0 } else { 1.0 };
                let byte = |v: &f32| (f64::from(*v) / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
                ("int8", rows.values().iter().map(byte).collect::<Vec<_>>().into())
            }
        })
    }
}
