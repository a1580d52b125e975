//! What a folder of sentence-transformers says of how vectors of texts are made.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::json::Json;
use crate::models::encoder::Pooling;
use crate::{Error, Result};

/// The steps from a text to its vector.
#[derive(Debug)]
pub(super) struct Modules {
    /// Where the encoder is.
    pub encoder: PathBuf,
    /// What a text's vector is.
    pub pooling: Pooling,
    /// The folder of a linear layer behind it.
    pub dense: Option<PathBuf>,
    /// Whether vectors are of length 1.
    pub normalize: bool,
}

impl Modules {
    /// Reads `modules.json`, where there is one.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let Some(json) = Json::read_if_there(dir.join("modules.json"))? else { return Ok(None) };
        let mut all = Vec::new();
        for module in json.list()? {
            all.push((kind(module), folder(&json, dir, module)?));
        }
        let names: Vec<&str> = all.iter().map(|(kind, _)| *kind).collect();
        let kinds: Vec<&str> = names.iter().copied().filter(|kind| *kind != "Dropout").collect();
        let dense = match kinds[..] {
            ["Transformer"] | ["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"] => false,
            ["Transformer", "Pooling", "Dense"] | ["Transformer", "Pooling", "Dense", "Normalize"] => true,
            _ => {
                let message = format!(
                    "its modules are {}: limbeck reads Transformer, Pooling, and behind them Dense and Normalize",
                    names.join(", ")
                );
                return Err(json.error(message));
            }
        };
        let find = |name: &str| all.iter().find(|(kind, _)| *kind == name).map(|(_, path)| path.clone());
        let pooling = find("Pooling").map(|path| pooling(&path)).transpose()?.unwrap_or_default();
        let encoder = find("Transformer").unwrap_or_else(|| dir.to_path_buf());
        let dense = if dense { find("Dense") } else { None };
        if let Some(path) = &dense {
            check_dense(path)?;
        }
        Ok(Some(Self { encoder, pooling, dense, normalize: kinds.last() == Some(&"Normalize") }))
    }
}

/// The last part of `sentence_transformers.models.Pooling`.
fn kind(module: &Value) -> &str {
    let name = module.get("type").and_then(Value::as_str).unwrap_or("(no type)");
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

/// Where a module is: below the folder, whatever the file says.
fn folder(json: &Json, dir: &Path, module: &Value) -> Result<PathBuf> {
    let path = module.get("path").and_then(Value::as_str).unwrap_or("");
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if Path::new(path).components().all(inside) {
        return Ok(dir.join(path));
    }
    Err(json.error(format!("path \"{}\": expected a folder inside this one", path.escape_debug())))
}

/// How a text's vector is made of its tokens.
fn pooling(dir: &Path) -> Result<Pooling> {
    let json = Json::read(dir.join("config.json"))?;
    let of = |mode: &str| match mode {
        "mean" | "pooling_mode_mean_tokens" => Some(Pooling::Mean),
        "cls" | "pooling_mode_cls_token" => Some(Pooling::Cls),
        _ => None,
    };
    let modes: Vec<String> = match json.get("pooling_mode") {
        Some(Value::Array(modes)) => modes.iter().map(|mode| mode.as_str().unwrap_or("?").into()).collect(),
        Some(mode) => vec![mode.as_str().unwrap_or("?").to_string()],
        None => json.keys().filter(|key| key.starts_with("pooling_mode_") && json.is_on(key)).collect(),
    };
    let known = match &modes[..] {
        [one] => of(one),
        _ => None,
    };
    known.ok_or_else(|| {
        let said = if modes.is_empty() { "nothing".into() } else { modes.join(" and ") };
        json.error(format!("it pools by {}: limbeck pools by mean or cls", said.escape_debug()))
    })
}

/// Refuses a linear layer that is more than that.
fn check_dense(dir: &Path) -> Result<()> {
    let json = Json::read(dir.join("config.json"))?;
    let function = json.text("activation_function").unwrap_or("Tanh");
    if !function.ends_with("Identity") {
        let function = function.escape_debug();
        return Err(json.error(format!("activation_function {function}: limbeck reads torch.nn.Identity")));
    }
    if json.is_on("use_residual") {
        return Err(Error::file(json.path(), "use_residual is on: limbeck reads a linear layer alone"));
    }
    Ok(())
}
