//! PyTorch's own files (`torch.save`): the state dict of a `.pth`, without executing anything in it.
//!
//! A file is a zip archive of one pickle and the tensors' bytes, or, before PyTorch 1.6, pickles with the bytes behind
//! them. The zip part is read with the `rawzip` crate. The pickle reader is our own (`pickle.rs`): the crates there are
//! either interpret far more than weights need or are unfinished, and a reader whose list of allowed names fits on a
//! page is easier to trust.

mod archive;
mod pickle;
mod reader;
mod tensor;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;

use pickle::Machine;
use tensor::TensorView;
use value::Value;

use super::header::shown;
use super::tensors::{NamedTensor, ReadOptions, decode_values};
use crate::{Error, Result};

/// Under which name training scripts keep the weights beside epochs, optimizers and the like; the first that is there
/// counts.
const CONTAINERS: [&str; 7] =
    ["state_dict", "model_state_dict", "model", "net", "network", "module", "weights"];

/// Whether the bytes are `torch.save`'s: a zip archive, or a pickle of protocol 2 to 5.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    // A safetensors header of 640 bytes begins like a pickle; its ninth byte tells.
    bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// The tensors of the state dict in `bytes`, in its order. `path` is for messages only.
pub(super) fn decode(path: &Path, bytes: &[u8], options: ReadOptions) -> Result<Vec<NamedTensor>> {
    let refuse = |message: String| {
        let message = format!("expected a PyTorch state dict: {message}; {}", resave(path));
        Error::file(path, message)
    };
    let archive = archive::open(bytes).map_err(refuse)?;
    let (machine, root) = (&archive.machine, &archive.root);
    let found = tensors(machine, root).map_err(refuse)?;
    // What several tensors share is copied for each: sharing must not turn a small file into endless memory.
    let total = found.iter().try_fold(0usize, |n, (_, view)| n.checked_add(view.len()));
    if total.is_none_or(|total| total / 4 > bytes.len()) {
        return Err(refuse(format!("its tensors claim far more values than its {} bytes hold", bytes.len())));
    }
    let value = |(name, view): (String, &TensorView)| {
        let storage =
            archive.storage(&view.storage).map_err(|e| refuse(format!("tensor {}: {e}", shown(&name))))?;
        let data = decode_values(path, &name, view.storage.dtype, &view.gather(storage), options)?;
        Ok(NamedTensor { name, shape: view.shape.clone(), data })
    };
    found.into_iter().map(value).collect()
}

/// The named tensors of a state dict, or of the one inside a training script's checkpoint.
fn tensors<'m>(
    machine: &'m Machine<'_>,
    root: &'m Value,
) -> std::result::Result<Vec<(String, &'m TensorView)>, String> {
    let entries = machine.entries(root).ok_or("the file holds no dictionary")?;
    let named = |entries: &'m [(Value, Value)]| {
        let tensor = |(key, value): &'m (Value, Value)| match (key, value) {
            (Value::Text(name), Value::Tensor(view)) => Some((name.to_string(), &**view)),
            _ => None,
        };
        entries.iter().filter_map(tensor).collect::<Vec<_>>()
    };
    let inner = |name: &str| {
        entries.iter().find_map(|(key, value)| match key {
            Value::Text(text) if **text == *name => machine.entries(value),
            _ => None,
        })
    };
    if let Some(inner) = CONTAINERS.iter().find_map(|name| inner(name)) {
        // {"model": {"state_dict": ..}} is seen too.
        let deeper = inner.iter().find_map(|(key, value)| match key {
            Value::Text(text) if CONTAINERS.contains(&&**text) => machine.entries(value),
            _ => None,
        });
        return nonempty(named(deeper.unwrap_or(inner)), inner);
    }
    nonempty(named(entries), entries)
}

fn nonempty<'m>(
    found: Vec<(String, &'m TensorView)>,
    entries: &[(Value, Value)],
) -> std::result::Result<Vec<(String, &'m TensorView)>, String> {
    if !found.is_empty() {
        return Ok(found);
    }
    let keys = entries.iter().filter_map(|(key, _)| match key {
        Value::Text(text) => Some(shown(text)),
        _ => None,
    });
    let keys: Vec<String> = keys.take(12).collect();
    Err(format!(
        "no tensors by name, neither at the top nor under {}; there are the keys {}",
        CONTAINERS.join(", "),
        if keys.is_empty() { "none".into() } else { keys.join(", ") }
    ))
}

/// A command that makes safetensors of a state dict: paths are arguments, so no quoting inside the code.
pub(super) fn resave(path: &Path) -> String {
    let code = "import sys, torch; from safetensors.torch import save_file; \
                d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d); \
                save_file({k.removeprefix('module.'): v.clone().contiguous() for k, v in d.items() \
                if torch.is_tensor(v)}, sys.argv[2])";
    let named = path.extension().is_some_and(|e| e == "safetensors");
    let target = path.with_extension(if named { "converted.safetensors" } else { "safetensors" });
    format!(
        "get the file again if it is damaged, save the state dict alone (torch.save(model.state_dict(), ..)), or convert \
         it with\n  \
         python -c \"{code}\" \"{}\" \"{}\"",
        path.display(),
        target.display()
    )
}
