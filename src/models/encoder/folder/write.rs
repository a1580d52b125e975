//! Writing an encoder as a folder.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::names::{Kind, POSITIONS, TYPES};
use super::{CLASSES, WEIGHTS};
use crate::files::{self, Metadata, NamedTensor, StoredTensor};
use crate::models::encoder::words::HEAD;
use crate::models::encoder::{Pooling, Shape, TextHead, shape_of};
use crate::models::{Head, InputSpec, Network};
use crate::ops::unary::Function;
use crate::{Error, Result};

/// Writes `network`, whose outputs have these names, with the `tokenizer.json` that its tokens are of.
///
/// # Errors
/// [`Error::Config`] for a network that is no encoder, [`Error::File`] where a file can't be written, for a tokenizer that is no JSON, and
/// where another kind of network is in the way.
pub(in crate::models) fn save(
    dir: &Path,
    network: &Network,
    names: &[String],
    tokenizer: Option<&[u8]>,
) -> Result<()> {
    let shape = shape_of(network)?;
    let InputSpec::Tokens { vocabulary, longest } = network.input() else {
        return Err(Error::config("model", "expected an encoder of texts"));
    };
    let tokenizer = tokenizer.map(|bytes| Tokenizer::of(dir, bytes)).transpose()?;
    let kind = if shape.head == TextHead::Relu { Kind::DistilBert } else { Kind::Bert };
    let words = matches!(network.head(), Head::Tokens(_));
    let sentences = shape.head == TextHead::Linear && !words;
    let modules = dir.join("modules.json");
    if !sentences && modules.exists() {
        let message = "is of a model of sentence vectors, and another model is to be written beside it; choose another folder";
        return Err(Error::file(modules, message));
    }
    let mut config = sizes(&shape, kind, vocabulary);
    let more = labels(network.head(), &shape, kind, names);
    config.extend(more);
    let padding = tokenizer.as_ref().and_then(|tokenizer| tokenizer.padding).unwrap_or(0);
    config.insert("pad_token_id".into(), json!(padding));
    let (own, head): (Vec<NamedTensor>, Vec<NamedTensor>) = tensors(network, kind)?
        .into_iter()
        .partition(|tensor| !(sentences && tensor.name.starts_with("classifier.")));
    write_tensors(&dir.join(WEIGHTS[0]), &own, |name| named(name, kind, sentences))?;
    if let Some(tokenizer) = tokenizer {
        files::write_atomic(dir.join("tokenizer.json"), |to| to.write_all(tokenizer.bytes))?;
        write_json(&dir.join("tokenizer_config.json"), &tokenizer.config(longest, kind))?;
    }
    if sentences {
        write_modules(dir, &shape, longest, &head)?;
    }
    write_json(&dir.join("config.json"), &Value::Object(config))
}

/// A parameter's name in the file.
fn named(name: &str, kind: Kind, sentences: bool) -> String {
    let whole = ["classifier.", "pre_classifier.", HEAD].iter().any(|head| name.starts_with(head));
    let prefix = if sentences || whole { "" } else { kind.prefix() };
    match kind {
        Kind::DistilBert => format!("{prefix}{}", Kind::distilled(name)),
        _ => format!("{prefix}{name}"),
    }
}

/// The parameters; DistilBERT's positions have the type of single texts in them.
fn tensors(network: &Network, kind: Kind) -> Result<Vec<NamedTensor>> {
    let mut all = network.params.named();
    if kind == Kind::DistilBert {
        let types = all.iter().position(|tensor| tensor.name == TYPES).map(|at| all.remove(at));
        let positions = all.iter_mut().find(|tensor| tensor.name == POSITIONS);
        if let (Some(types), Some(positions)) = (types, positions) {
            let width = types.shape.last().copied().unwrap_or(1).max(1);
            for row in positions.data.chunks_mut(width) {
                row.iter_mut().zip(&types.data).for_each(|(value, more)| *value += more);
            }
        }
    }
    Ok(all)
}

fn write_tensors(path: &Path, tensors: &[NamedTensor], name: impl Fn(&str) -> String) -> Result<()> {
    let stored: Vec<StoredTensor<'_>> = tensors
        .iter()
        .map(|tensor| StoredTensor { name: Cow::Owned(name(&tensor.name)), ..StoredTensor::from(tensor) })
        .collect();
    // transformers asks whose tensors they are.
    let metadata = Metadata::from([("format".to_string(), "pt".to_string())]);
    files::write_safetensors(path, &stored, &metadata)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    files::write_atomic(path, |to| writeln!(to, "{value:#}"))
}

/// Sizes and settings, under the names of the kind.
fn sizes(shape: &Shape, kind: Kind, vocabulary: usize) -> Map<String, Value> {
    let Shape { layers, width, heads, inner, positions, types, eps, dropout, .. } = *shape;
    let activation = match shape.activation {
        Function::GeluTanh => "gelu_new",
        Function::Relu => "relu",
        _ => "gelu",
    };
    let value = match kind {
        Kind::DistilBert => json!({
            "model_type": "distilbert", "dim": width, "n_layers": layers, "n_heads": heads, "hidden_dim": inner,
            "activation": activation, "dropout": dropout, "attention_dropout": 0.0, "seq_classif_dropout": dropout,
        }),
        // The shortest digits of an f32, as a number of JSON.
        _ => json!({
            "model_type": "bert", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
            "intermediate_size": inner, "hidden_act": activation, "type_vocab_size": types,
            "layer_norm_eps": eps.to_string().parse::<f64>().unwrap_or(1e-12), "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": 0.0,
        }),
    };
    let mut all = value.as_object().cloned().unwrap_or_default();
    all.insert("vocab_size".into(), json!(vocabulary));
    all.insert("max_position_embeddings".into(), json!(positions));
    all
}

/// What the network is for, and what its outputs are called.
fn labels(head: Head, shape: &Shape, kind: Kind, names: &[String]) -> Map<String, Value> {
    let family = if kind == Kind::DistilBert { "DistilBert" } else { "Bert" };
    let purpose = match (head, shape.head) {
        (Head::Tokens(_), _) => "ForMaskedLM",
        (_, TextHead::Linear) => "Model",
        _ => "ForSequenceClassification",
    };
    let mut all = Map::new();
    all.insert("architectures".into(), json!([format!("{family}{purpose}")]));
    let problem = match head {
        Head::Classes(_) => CLASSES,
        Head::Tokens(_) => return all,
        _ if shape.head == TextHead::Linear => return all,
        _ => "regression",
    };
    let ids: Map<String, Value> =
        names.iter().enumerate().map(|(id, name)| (id.to_string(), json!(name))).collect();
    let labels: Map<String, Value> =
        names.iter().enumerate().map(|(id, name)| (name.clone(), json!(id))).collect();
    all.insert("problem_type".into(), json!(problem));
    all.insert("id2label".into(), Value::Object(ids));
    all.insert("label2id".into(), Value::Object(labels));
    all
}

/// What sentence-transformers reads: how tokens become a text's vector.
fn write_modules(dir: &Path, shape: &Shape, longest: usize, head: &[NamedTensor]) -> Result<()> {
    let mut modules: Vec<Value> = Vec::new();
    let mut add = |path: &str, name: &str| {
        let id = modules.len();
        let kind = format!("sentence_transformers.models.{name}");
        modules.push(json!({"idx": id, "name": id.to_string(), "path": path, "type": kind}));
    };
    add("", "Transformer");
    add("1_Pooling", "Pooling");
    let (mean, cls) = (shape.pooling == Pooling::Mean, shape.pooling == Pooling::Cls);
    let pooling = json!({
        "word_embedding_dimension": shape.width, "pooling_mode_mean_tokens": mean, "pooling_mode_cls_token": cls,
        "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false,
    });
    write_json(&dir.join("1_Pooling/config.json"), &pooling)?;
    if let Some(weight) = head.iter().find(|tensor| tensor.name == "classifier.weight") {
        add("2_Dense", "Dense");
        let dense = json!({
            "in_features": shape.width, "out_features": weight.shape.first().copied().unwrap_or(0), "bias": true,
            "activation_function": "torch.nn.modules.linear.Identity",
        });
        write_json(&dir.join("2_Dense/config.json"), &dense)?;
        let file = dir.join("2_Dense").join(WEIGHTS[0]);
        write_tensors(&file, head, |name| name.replacen("classifier.", "linear.", 1))?;
    }
    if shape.normalize {
        let path = format!("{}_Normalize", if head.is_empty() { 2 } else { 3 });
        add(&path, "Normalize");
    }
    write_json(
        &dir.join("sentence_bert_config.json"),
        &json!({"max_seq_length": longest, "do_lower_case": false}),
    )?;
    write_json(&dir.join("modules.json"), &Value::Array(modules))
}

/// A `tokenizer.json`.
struct Tokenizer<'a> {
    bytes: &'a [u8],
    /// The special tokens: what transformers calls each, and its text.
    special: Vec<(&'static str, String)>,
    /// The number of the padding token.
    padding: Option<u64>,
}

/// What transformers calls special tokens, and what they are in BERT's and in RoBERTa's vocabularies.
const SPECIAL: [(&str, [&str; 2]); 5] = [
    ("cls_token", ["[CLS]", "<s>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("pad_token", ["[PAD]", "<pad>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];

impl<'a> Tokenizer<'a> {
    fn of(dir: &Path, bytes: &'a [u8]) -> Result<Self> {
        let all: Value = serde_json::from_slice(bytes)
            .map_err(|e| Error::file(dir.join("tokenizer.json"), format!("expected JSON: {e}")))?;
        let added = all.get("added_tokens").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let find = |text: &str| {
            added.iter().find(|token| token.get("content").and_then(Value::as_str) == Some(text))
        };
        let mut special = Vec::new();
        for (name, texts) in SPECIAL {
            special
                .extend(texts.iter().find(|text| find(text).is_some()).map(|text| (name, text.to_string())));
        }
        let padding = special.iter().find(|(name, _)| *name == "pad_token").and_then(|(_, text)| find(text));
        let padding = padding.and_then(|token| token.get("id")).and_then(Value::as_u64);
        Ok(Self { bytes, special, padding })
    }

    /// `tokenizer_config.json`, by which transformers opens the tokenizer as it is.
    fn config(&self, longest: usize, kind: Kind) -> Value {
        let inputs: &[&str] = match kind {
            Kind::DistilBert => &["input_ids", "attention_mask"],
            _ => &["input_ids", "token_type_ids", "attention_mask"],
        };
        let mut all = Map::new();
        all.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        all.insert("model_max_length".into(), json!(longest));
        all.insert("model_input_names".into(), json!(inputs));
        all.extend(self.special.iter().map(|(name, text)| (name.to_string(), json!(text))));
        Value::Object(all)
    }
}
