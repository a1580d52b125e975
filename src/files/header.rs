//! The safetensors header: `u64` length, then JSON that maps each tensor's name to its type, shape and bytes.
//!
//! The `safetensors` crate gives the types. Its own reader says neither which tensor is wrong nor where, and keeps one
//! of two equal names in silence, so the map is read here, in order, and each rule is checked with its own message.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use safetensors::tensor::TensorInfo;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::tensors::Metadata;
use super::torch;
use crate::{Error, Result};

/// The length field in front of the JSON.
pub(super) const LENGTH_BYTES: usize = 8;
/// No header of a real model comes near this; the same limit as in the reference implementation.
pub(super) const MAX_HEADER: u64 = 100_000_000;
/// The key under which free-form strings are kept.
pub(super) const METADATA_KEY: &str = "__metadata__";

/// A parsed and checked header: `tensors` are in the order of their bytes, which start at `data_start`.
#[derive(Debug)]
pub(super) struct Header {
    pub tensors: Vec<(String, TensorInfo)>,
    pub metadata: Metadata,
    pub data_start: usize,
}

/// Parses the header of `bytes` and checks that it describes them exactly. `path` is for messages only.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Header> {
    parse_start(path, bytes, bytes.len())
}

/// [`parse`] for a file of `file_len` bytes of which `bytes` are the first, the whole header at least where it fits.
pub(super) fn parse_start(path: &Path, bytes: &[u8], file_len: usize) -> Result<Header> {
    refuse_other_formats(path, bytes)?;
    let data_start = header_end(path, bytes)?;
    let json = &bytes[LENGTH_BYTES..data_start];
    let mut de = serde_json::Deserializer::from_slice(json);
    let (mut tensors, metadata) =
        de.deserialize_map(MapVisitor).and_then(|found| de.end().map(|()| found)).map_err(|e| {
            Error::file(
                path,
                format!("the safetensors header (bytes 8..{data_start}) is broken: {e}; get the file again"),
            )
        })?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let header = Header { tensors, metadata, data_start };
    header.check(path, file_len)?;
    Ok(header)
}

/// A name from a file, made safe and short for a message.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(100).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}

impl Header {
    fn check(&self, path: &Path, file_len: usize) -> Result<()> {
        let data_len = file_len - self.data_start;
        let mut end = 0;
        for (name, info) in &self.tensors {
            let name = shown(name);
            let (from, to) = info.data_offsets;
            let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |n, &d| n.checked_mul(d));
            if to.checked_sub(from).is_none_or(|len| bits.is_none_or(|bits| len.checked_mul(8) != Some(bits)))
            {
                return Err(Error::file(
                    path,
                    format!(
                        "tensor {name} of type {:?} and shape {:?} does not match its bytes {from}..{to}; the header \
                         is wrong, get the file again",
                        info.dtype, info.shape
                    ),
                ));
            }
            if from != end {
                let what =
                    if from < end { "overlaps the tensor before it" } else { "leaves a gap before it" };
                return Err(Error::file(
                    path,
                    format!(
                        "tensor {name} starts at data offset {from}, expected {end}: it {what}; get the file again"
                    ),
                ));
            }
            if to > data_len {
                return Err(Error::file(
                    path,
                    format!(
                        "truncated: tensor {name} needs bytes {}..{} and the file ends at byte {file_len}; get the \
                         file again",
                        self.data_start.saturating_add(from),
                        self.data_start.saturating_add(to),
                    ),
                ));
            }
            end = to;
        }
        if end != data_len {
            return Err(Error::file(
                path,
                format!(
                    "expected the file to end at byte {}, after its last tensor, found {} more bytes; get the file again",
                    self.data_start + end,
                    data_len - end
                ),
            ));
        }
        Ok(())
    }
}

/// Where the JSON ends, from the length field.
fn header_end(path: &Path, bytes: &[u8]) -> Result<usize> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        let message =
            format!("expected a safetensors file, found only {} bytes; get the file again", bytes.len());
        return Err(Error::file(path, message));
    };
    let length = u64::from_le_bytes(*length);
    if !(2..=MAX_HEADER).contains(&length) || rest.first().is_some_and(|&b| b != b'{') {
        return Err(Error::file(
            path,
            format!(
                "expected a safetensors file (a length, then `{{`), found bytes {:02x?}; check that this is the file \
                 you meant",
                &bytes[..bytes.len().min(12)]
            ),
        ));
    }
    match usize::try_from(length) {
        Ok(length) if length <= rest.len() => Ok(LENGTH_BYTES + length),
        _ => Err(Error::file(
            path,
            format!(
                "truncated: the header takes bytes 8..{} and the file ends at byte {}; get the file again",
                length + LENGTH_BYTES as u64,
                bytes.len()
            ),
        )),
    }
}

/// What people hand over instead of safetensors, and what to do then.
fn refuse_other_formats(path: &Path, bytes: &[u8]) -> Result<()> {
    const PICKLE_NAMES: [&str; 6] = ["pth", "pt", "th", "ckpt", "pkl", "pickle"];
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(Error::file(
            path,
            "expected weights, found a Git LFS pointer; run `git lfs pull` to get the file",
        ));
    }
    let head = bytes.trim_ascii_start();
    if head.starts_with(b"<!") || head.starts_with(b"<html") {
        return Err(Error::file(
            path,
            "expected weights, found a web page; download the file itself, not its page",
        ));
    }
    let named = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    if torch::is_torch(bytes)
        || bytes.get(8) != Some(&b'{') && named.is_some_and(|n| PICKLE_NAMES.contains(&n.as_str()))
    {
        return Err(Error::file(path, pickle_message(path)));
    }
    Ok(())
}

/// Why a pickle is refused here: checkpoints of limbeck are never pickles, and weights are read with `read_weights`.
fn pickle_message(path: &Path) -> String {
    format!("expected a safetensors file, found a PyTorch pickle; {}", torch::resave(path))
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = (Vec<(String, TensorInfo)>, Metadata);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map from tensor names to their type, shape and offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut tensors, mut metadata, mut seen) = (Vec::new(), Metadata::new(), HashSet::new());
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format!("duplicate tensor name {}", shown(&name))));
            }
            if name == METADATA_KEY {
                metadata = map.next_value()?;
                continue;
            }
            let info =
                map.next_value().map_err(|e| A::Error::custom(format!("tensor {}: {e}", shown(&name))))?;
            tensors.push((name, info));
        }
        Ok((tensors, metadata))
    }
}
