//! What a folder's `config.json` says of its encoder.

use std::path::PathBuf;

use super::json::{Json, short};
use super::names::Kind;
use crate::Result;
use crate::models::config::MAX_INPUT;
use crate::ops::unary::Function;

/// An encoder's sizes, and what its classes are called.
pub(super) struct Config {
    pub kind: Kind,
    pub vocabulary: usize,
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    pub inner: usize,
    /// Rows of the table of positions that texts use.
    pub positions: usize,
    /// Rows before these, which RoBERTa has for padding.
    pub skipped: usize,
    pub types: usize,
    pub activation: Function,
    pub eps: f32,
    pub problem: Option<String>,
    json: Json,
}

impl Config {
    /// Reads the file.
    pub fn read(path: PathBuf) -> Result<Self> {
        let json = Json::read(path)?;
        let kind = match json.text("model_type") {
            Some("bert") => Kind::Bert,
            Some("distilbert") => Kind::DistilBert,
            Some("roberta" | "xlm-roberta" | "camembert") => Kind::Roberta,
            other => {
                let message = format!(
                    "model_type {}: limbeck reads bert, distilbert, roberta, xlm-roberta and camembert",
                    other.map_or("is not said".into(), |name| format!("\"{}\"", name.escape_debug()))
                );
                return Err(json.error(message));
            }
        };
        let [width, layers, heads, inner, activation] = match kind {
            Kind::DistilBert => ["dim", "n_layers", "n_heads", "hidden_dim", "activation"],
            _ => {
                ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"]
            }
        };
        check(&json)?;
        let padding = json.get("pad_token_id").and_then(serde_json::Value::as_u64).unwrap_or(1) as usize;
        let skipped = if kind == Kind::Roberta { padding.saturating_add(1) } else { 0 };
        let rows = json.size("max_position_embeddings")?;
        let positions = rows.checked_sub(skipped).filter(|n| *n > 0).ok_or_else(|| {
            json.error(format!("max_position_embeddings: expected more than {skipped}, got {rows}"))
        })?;
        Ok(Self {
            kind,
            vocabulary: json.size_up_to("vocab_size", MAX_INPUT)?,
            layers: json.size(layers)?,
            width: json.size(width)?,
            heads: json.size(heads)?,
            inner: json.size(inner)?,
            positions,
            skipped,
            types: if kind == Kind::DistilBert { 2 } else { json.size("type_vocab_size")? },
            activation: function(&json, activation)?,
            eps: eps(&json)?,
            problem: json.text("problem_type").map(String::from),
            json,
        })
    }

    /// Names of so many classes: those of `id2label` where it names all, or else numbers.
    pub fn classes(&self, count: usize) -> Vec<String> {
        let labels = self.json.get("id2label").and_then(serde_json::Value::as_object);
        let label = |class: usize| labels?.get(&class.to_string())?.as_str().map(String::from);
        let all: Option<Vec<String>> = (0..count).map(label).collect();
        all.unwrap_or_else(|| (0..count).map(|class| class.to_string()).collect())
    }

    /// What the file says of what the network is for, such as `BertForSequenceClassification`.
    pub fn architecture(&self) -> Option<&str> {
        self.json.get("architectures")?.get(0)?.as_str()
    }

    /// An error of the file.
    pub fn error(&self, message: String) -> crate::Error {
        self.json.error(message)
    }
}

/// Refuses what would be computed otherwise.
fn check(json: &Json) -> Result<()> {
    if let Some(kind) = json.text("position_embedding_type").filter(|kind| *kind != "absolute") {
        let message =
            format!("position_embedding_type \"{}\": limbeck reads absolute ones", kind.escape_debug());
        return Err(json.error(message));
    }
    match ["is_decoder", "add_cross_attention"].into_iter().find(|key| json.is_on(key)) {
        Some(key) => {
            Err(json.error(format!("{key} is on: expected an encoder, whose tokens see all others")))
        }
        None => Ok(()),
    }
}

fn function(json: &Json, key: &str) -> Result<Function> {
    match json.text(key) {
        None | Some("gelu") => Ok(Function::Gelu),
        Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Ok(Function::GeluTanh),
        Some("relu") => Ok(Function::Relu),
        Some(other) => {
            let other = other.escape_debug();
            Err(json.error(format!("{key} \"{other}\": limbeck has gelu, gelu_new and relu")))
        }
    }
}

fn eps(json: &Json) -> Result<f32> {
    let Some(value) = json.get("layer_norm_eps") else { return Ok(1e-12) };
    let eps = value.as_f64().filter(|eps| (0.0..=1.0).contains(eps));
    eps.map(|eps| eps as f32).ok_or_else(|| {
        json.error(format!("layer_norm_eps: expected a number from 0 to 1, got {}", short(value)))
    })
}
