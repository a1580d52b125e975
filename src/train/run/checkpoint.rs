//! Checkpoints: one safetensors file with everything that a step changes, and a JSON text in its metadata with the
//! position and what the run is. One file, so that it is replaced in one rename and never half new.
//!
//! Random numbers need no state of their own: they are keyed by (seed, epoch, step, sample).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::identity;
use super::results::Epoch;
use crate::files::{self, Metadata, NamedTensor, StoredTensor};
use crate::gpu::{BufferSlice, Gpu};
use crate::nn::Params;
use crate::platform::Store;
use crate::{Error, Result};

/// The metadata key of the JSON text.
const KEY: &str = "limbeck.checkpoint";
const VERSION: u32 = 1;

/// Where a run is, and what it has seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps done.
    pub step: u64,
    /// Epochs finished.
    pub epoch: u64,
    /// Batches of the next epoch that are done.
    pub batch: usize,
    /// Finished epochs.
    pub epochs: Vec<Epoch>,
    /// The best epoch so far, counted from 1.
    pub best_epoch: Option<u64>,
    /// Seconds of training before this process.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    identity: BTreeMap<String, String>,
    position: Position,
}

/// What a checkpoint holds beside its position: named tensors on the host and flat slices on the device.
pub struct Contents<'a> {
    /// Prefix and parameters, downloaded.
    pub params: Vec<(&'static str, &'a mut Params)>,
    /// Name and device memory: optimizer state, averages, sums.
    pub slices: Vec<(String, BufferSlice)>,
}

/// Writes a checkpoint: whoever reads it finds the old one or all of the new.
pub async fn save(
    store: &dyn Store,
    name: &str,
    gpu: &Gpu,
    identity: &BTreeMap<String, String>,
    position: &Position,
    contents: &Contents<'_>,
) -> Result<()> {
    let path = &store.path(name);
    let mut named: Vec<NamedTensor> = Vec::new();
    for (prefix, params) in &contents.params {
        named.extend(
            params.named().into_iter().map(|t| NamedTensor { name: format!("{prefix}.{}", t.name), ..t }),
        );
    }
    for (name, slice) in &contents.slices {
        let data: Vec<f32> = bytemuck::pod_collect_to_vec(&gpu.read(slice)?.await?);
        named.push(NamedTensor { name: name.clone(), shape: vec![data.len()], data });
    }
    let header = Header { version: VERSION, identity: identity.clone(), position: position.clone() };
    let text = serde_json::to_string(&header).map_err(|e| Error::file(path, e))?;
    let stored: Vec<StoredTensor<'_>> = named.iter().map(StoredTensor::from).collect();
    let mut draft = store.create(name).await?;
    files::write_safetensors_to(&mut draft, path, &stored, &Metadata::from([(KEY.to_string(), text)]))?;
    draft.keep().await
}

/// Reads a checkpoint into `contents`: parameters on the host, slices on the device. Nothing changes on an error. None
/// where there is no checkpoint.
///
/// # Errors
/// [`Error::File`] for a file that is no checkpoint, is damaged, or belongs to another run, naming what differs.
pub async fn load(
    store: &dyn Store,
    name: &str,
    gpu: &Gpu,
    identity: &BTreeMap<String, String>,
    contents: &mut Contents<'_>,
) -> Result<Option<Position>> {
    let Some(bytes) = store.get(name).await? else { return Ok(None) };
    read(&store.path(name), &bytes, gpu, identity, contents).map(Some)
}

fn read(
    path: &Path,
    bytes: &[u8],
    gpu: &Gpu,
    ours: &BTreeMap<String, String>,
    contents: &mut Contents<'_>,
) -> Result<Position> {
    let options = files::ReadOptions { allow_nonfinite: true };
    let (tensors, metadata) = files::decode_safetensors(path, bytes, options)?;
    let text = metadata.get(KEY).ok_or_else(|| {
        Error::file(
            path,
            "expected a checkpoint, found a safetensors file without a position; start without `resume`",
        )
    })?;
    let header: Header = serde_json::from_str(text)
        .map_err(|e| Error::file(path, format!("its position can't be read: {e}")))?;
    if header.version != VERSION {
        let message = format!("expected checkpoint version {VERSION}, found {}", header.version);
        return Err(Error::file(path, message));
    }
    let mut theirs = header.identity;
    theirs.entry(identity::VERSION_NAME.into()).or_insert_with(|| identity::VERSION.into());
    same_run(path, ours, &theirs)?;
    let mut by_name: BTreeMap<String, NamedTensor> =
        tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut take = |name: String, len: usize| match by_name.remove(&name) {
        Some(tensor) if tensor.data.len() == len => Ok(tensor),
        Some(tensor) => {
            let got = tensor.data.len();
            Err(Error::file(path, format!("tensor {name}: expected {len} values, found {got}")))
        }
        None => Err(Error::file(path, format!("tensor {name} is missing"))),
    };
    let mut loaded = Vec::new();
    for (prefix, params) in &contents.params {
        let wanted = params.iter().map(|p| take(format!("{prefix}.{}", p.name), p.shape.len()));
        loaded.push(wanted.collect::<Result<Vec<_>>>()?);
    }
    let slices = contents
        .slices
        .iter()
        .map(|(name, slice)| take(name.clone(), slice.len as usize / 4))
        .collect::<Result<Vec<_>>>()?;
    for ((_, params), tensors) in contents.params.iter_mut().zip(loaded) {
        for (param, tensor) in params.iter_mut().zip(tensors) {
            param.values = tensor.data;
        }
    }
    for ((_, slice), tensor) in contents.slices.iter().zip(slices) {
        gpu.write(slice, &tensor.data)?;
    }
    Ok(header.position)
}

fn same_run(path: &Path, ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Result<()> {
    let none = String::from("none");
    let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let different: Vec<String> = names
        .into_iter()
        .map(|name| (name, ours.get(name).unwrap_or(&none), theirs.get(name).unwrap_or(&none)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(name, ours, theirs)| format!("{name} is {theirs} there and {ours} here"))
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the checkpoint belongs to another run: {}; use the settings it was made with, or start without `resume`",
        different.join("; ")
    );
    Err(Error::file(path, message))
}
