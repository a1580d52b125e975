//! Encoders as folders, as transformers and sentence-transformers write and read them.
//!
//! Read are BERT, MiniLM and TinyBERT (`model_type` bert), DistilBERT, RoBERTa and XLM-RoBERTa, in f32, f16 or bf16: `config.json`,
//! `model.safetensors` or `pytorch_model.bin`, and what sentence-transformers puts beside them. What is not BERT's becomes it: a
//! DistilBERT gets types of zeros, and a RoBERTa loses the positions of padding. A folder is of
//!
//! - sentence vectors, `numbers`, where it has a `modules.json`, which says how they are pooled, whether a linear layer follows, and
//!   whether they are of length 1; and where it has an encoder alone, whose tokens' mean is then taken, as sentence-transformers does.
//!   Of a linear layer's numbers with `problem_type` single_label_classification in `config.json` they are `logits`;
//! - the words that stand at places that are asked for, `logits`, where it has BERT's `cls.predictions`, DistilBERT's `vocab_projector` or
//!   RoBERTa's `lm_head`, and no `modules.json`;
//! - a classifier, `logits`, where it has a layer `classifier` behind BERT's `pooler` or DistilBERT's `pre_classifier`; for
//!   `problem_type` regression, or a single class, it gives `numbers`.
//!
//! Dropout is off however the folder was trained.

mod config;
mod json;
mod modules;
mod names;
mod write;

use std::path::{Path, PathBuf};

use super::words::HEAD;
use super::{Pooling, Shape, TextHead};
use crate::files::{self, NamedTensor};
use crate::models::{Head, InputSpec, ModelConfig, Network, outline};
use crate::ops::unary::Function;
use crate::{Error, Result};
use config::Config;
use json::Json;
use modules::Modules;
use names::{DECODER, Kind, TRANSFORM, TYPES};
pub(super) use names::{POSITIONS, TABLE};

pub(in crate::models) use write::save;

/// Files of weights, the first that is there.
pub(in crate::models) const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// The problem of a classifier that sentence-transformers opens.
const CLASSES: &str = "single_label_classification";

/// An opened folder.
pub(in crate::models) struct Folder {
    pub network: Network,
    /// Names of the outputs.
    pub names: Vec<String>,
}

/// What a folder holds, before a network is made of it.
struct Parts {
    config: Config,
    modules: Option<Modules>,
    /// Under limbeck's names.
    tensors: Vec<NamedTensor>,
    /// The file of the encoder's weights.
    weights: PathBuf,
    encoder: PathBuf,
}

/// Reads a folder's network, with names for its outputs where `names` has them.
///
/// # Errors
/// [`Error::File`] naming the file, and the key or tensor in it, that is missing, damaged or of something else.
pub(in crate::models) fn open(dir: &Path, names: Option<&[String]>) -> Result<Folder> {
    let mut parts = Parts::read(dir)?;
    let (config, shape) = parts.network()?;
    let InputSpec::Tokens { longest, .. } = config.input else {
        return Err(Error::file(dir, "expected an encoder of texts"));
    };
    let width = config.head.width();
    let own = match config.head {
        Head::Classes(_) => parts.config.classes(width),
        Head::Tokens(_) => Vec::new(),
        _ => (0..width).map(|n| n.to_string()).collect(),
    };
    let expected = own.len();
    let names = names.map_or(own, <[String]>::to_vec);
    if names.len() != expected {
        let message = format!("it gives {width} {}, not {}", config.head.noun(), names.len());
        return Err(Error::file(dir, message));
    }
    let mut network =
        outline(&shape.name(longest), &config, None).map_err(|e| Error::file(&parts.weights, e))?;
    let what = format!("{} as {}", parts.weights.display(), network.name);
    network.params.load(&parts.tensors)?.strict(&what)?;
    Ok(Folder { network, names })
}

/// What a folder has for networks of this family, under their names: also what other heads read.
///
/// # Errors
/// As [`open`].
pub(in crate::models) fn tensors_of(dir: &Path) -> Result<Vec<NamedTensor>> {
    Ok(Parts::read(dir)?.tensors)
}

/// The files of a folder that its network is made of.
pub(in crate::models) fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let modules = Modules::read(dir)?;
    let encoder = modules.as_ref().map_or(dir, |modules| &modules.encoder);
    let mut all = vec![encoder.join("config.json"), weights(encoder)?];
    if let Some(modules) = &modules {
        all.push(dir.join("modules.json"));
        if let Some(dense) = &modules.dense {
            all.push(weights(dense)?);
        }
    }
    Ok(all)
}

/// The file of a folder's weights.
fn weights(dir: &Path) -> Result<PathBuf> {
    let found = WEIGHTS.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let parts = dir.join("model.safetensors.index.json");
        let message = if parts.is_file() {
            "its weights are in several files; write them as one with transformers, save_pretrained(max_shard_size=\"100GB\")"
        } else {
            "expected model.safetensors or pytorch_model.bin in this folder, found neither"
        };
        Error::file(dir, message)
    })
}

impl Parts {
    fn read(dir: &Path) -> Result<Self> {
        let modules = Modules::read(dir)?;
        let encoder = modules.as_ref().map_or(dir, |modules| &modules.encoder).to_path_buf();
        let config = Config::read(encoder.join("config.json"))?;
        let file = weights(&encoder)?;
        let mut tensors = config.kind.rename(files::read_weights(&file)?.0);
        tie_words(&file, &mut tensors)?;
        cut_positions(&mut tensors, config.skipped);
        if config.kind == Kind::DistilBert {
            let data = vec![0.0; config.types * config.width];
            tensors.push(NamedTensor { name: TYPES.into(), shape: vec![config.types, config.width], data });
        }
        if let Some(dense) = modules.as_ref().and_then(|modules| modules.dense.as_ref()) {
            for tensor in files::read_weights(weights(dense)?)?.0 {
                let name = tensor.name.replacen("linear.", "classifier.", 1);
                tensors.push(NamedTensor { name, ..tensor });
            }
        }
        Ok(Self { config, modules, tensors, weights: file, encoder })
    }

    /// What the network is; leaves out the tensors that it does not read.
    fn network(&mut self) -> Result<(ModelConfig, Shape)> {
        let (head, kind) = self.head()?;
        if !matches!(head, Head::Tokens(_)) {
            self.tensors.retain(|tensor| !tensor.name.starts_with(HEAD));
        }
        if kind != TextHead::Pooler {
            self.tensors.retain(|tensor| !tensor.name.starts_with("pooler."));
        }
        let Config { vocabulary, layers, width, heads, inner, positions, types, activation, eps, .. } =
            self.config;
        let (pooling, normalize) = match &self.modules {
            Some(modules) => (modules.pooling, modules.normalize),
            None if kind == TextHead::Linear => (Pooling::Mean, false),
            None => (Pooling::Cls, false),
        };
        let (head_kind, dropout) = (kind, 0.0);
        let shape = Shape {
            layers,
            width,
            heads,
            inner,
            positions,
            types,
            pooling,
            head: head_kind,
            normalize,
            activation,
            eps,
            dropout,
        };
        let input = InputSpec::Tokens { vocabulary, longest: self.longest()? };
        Ok((ModelConfig { input, head }, shape))
    }

    /// What the network gives, and how.
    fn head(&self) -> Result<(Head, TextHead)> {
        let has = |part: &str| self.tensors.iter().any(|tensor| tensor.name.starts_with(part));
        if self.modules.is_none() && has(TRANSFORM) {
            return self.words();
        }
        let classifier = self.tensors.iter().find(|tensor| tensor.name == "classifier.weight");
        let Some(classifier) = classifier else {
            return Ok((Head::Numbers(self.config.width), TextHead::Linear));
        };
        let count = classifier.shape.first().copied().unwrap_or(0);
        let problem = self.config.problem.as_deref();
        if self.modules.is_some() {
            let head = if problem == Some(CLASSES) { Head::Classes(count) } else { Head::Numbers(count) };
            return Ok((head, TextHead::Linear));
        }
        let other = self.config.architecture().filter(|name| !name.ends_with("ForSequenceClassification"));
        let kind = match (has("pooler."), has("pre_classifier.")) {
            (true, _) if other.is_none() => TextHead::Pooler,
            (_, true) if other.is_none() => TextHead::Relu,
            _ => {
                let message = format!(
                    "it is a {}, with a classifier that limbeck does not have: expected one of whole texts, as \
                     BertForSequenceClassification",
                    other.unwrap_or("network without a pooler").escape_debug()
                );
                return Err(self.config.error(message));
            }
        };
        match problem {
            Some("regression") => Ok((Head::Numbers(count), kind)),
            None if count == 1 => Ok((Head::Numbers(1), kind)),
            None | Some(CLASSES) => Ok((Head::Classes(count), kind)),
            Some(other) => {
                let other = other.escape_debug();
                Err(self.config.error(format!("problem_type {other}: limbeck has {CLASSES} and regression")))
            }
        }
    }

    /// That of a masked language model.
    fn words(&self) -> Result<(Head, TextHead)> {
        let head = Head::Tokens(self.config.vocabulary);
        match (self.config.kind, self.config.activation) {
            (Kind::DistilBert, _) => Ok((head, TextHead::Relu)),
            (Kind::Bert, _) | (Kind::Roberta, Function::Gelu) => Ok((head, TextHead::Linear)),
            (Kind::Roberta, _) => {
                let message = "its layers have another activation than gelu, which its lm_head has: limbeck has one for both";
                Err(self.config.error(message.into()))
            }
        }
    }

    /// Most tokens of a text.
    fn longest(&self) -> Result<usize> {
        let positions = self.config.positions;
        let said = |file: &str, key: &str| -> Result<Option<usize>> {
            let Some(json) = Json::read_if_there(self.encoder.join(file))? else { return Ok(None) };
            let number = json.get(key).and_then(serde_json::Value::as_u64);
            Ok(number.and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=positions).contains(n)))
        };
        let own = said("sentence_bert_config.json", "max_seq_length")?;
        Ok(own.or(said("tokenizer_config.json", "model_max_length")?).unwrap_or(positions))
    }
}

/// Leaves out a second copy of the table of words, by which words are predicted; it must be one.
fn tie_words(file: &Path, tensors: &mut Vec<NamedTensor>) -> Result<()> {
    let Some(at) = tensors.iter().position(|tensor| tensor.name == DECODER) else { return Ok(()) };
    let decoder = tensors.swap_remove(at);
    let table = tensors.iter().find(|tensor| tensor.name == TABLE);
    if table.is_none_or(|table| table.data == decoder.data) {
        return Ok(());
    }
    let message = format!(
        "{DECODER} is another table than {TABLE}: limbeck has one for both, as BERT has (tie_word_embeddings)"
    );
    Err(Error::file(file, message))
}

/// Leaves out the first rows of the table of positions.
fn cut_positions(tensors: &mut [NamedTensor], rows: usize) {
    let Some(table) = tensors.iter_mut().find(|tensor| tensor.name == POSITIONS) else { return };
    if let &[there, width] = &table.shape[..]
        && rows <= there
    {
        table.data.drain(..rows * width);
        table.shape[0] = there - rows;
    }
}

#[cfg(test)]
mod damaged_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
