//! Writing safetensors: the same tensors and metadata always give the same bytes.
//!
//! The `safetensors` crate's writer takes metadata as a `HashMap`, whose order differs between runs; so the header is
//! written here. Types with larger elements come first, which keeps every tensor aligned; equal types keep the
//! caller's order, which readers get back.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::TensorInfo;

use super::header::{LENGTH_BYTES, METADATA_KEY, shown};
use super::tensors::{Data, Metadata, StoredTensor};
use super::write_atomic;
use crate::{Error, Result};

/// Writes a safetensors file atomically, see [`write_atomic`].
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[StoredTensor],
    metadata: &Metadata,
) -> Result<()> {
    let path = path.as_ref();
    let (header, order) = layout(path, tensors, metadata)?;
    write_atomic(path, |writer| write(writer, &header, &order))
}

/// The bytes [`write_safetensors`] would write; `origin` is what messages name.
pub fn encode_safetensors(
    origin: impl AsRef<Path>,
    tensors: &[StoredTensor],
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let (header, order) = layout(origin.as_ref(), tensors, metadata)?;
    let mut bytes = Vec::new();
    write(&mut bytes, &header, &order).map_err(|e| Error::file(&origin, e))?;
    Ok(bytes)
}

/// The header (length field and padding included) and the tensors in the order of their bytes.
fn layout<'t, 'a>(
    path: &Path,
    tensors: &'t [StoredTensor<'a>],
    metadata: &Metadata,
) -> Result<(Vec<u8>, Vec<&'t StoredTensor<'a>>)> {
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|t| Reverse(t.data.dtype().bitsize()));
    let (mut offset, mut seen) = (0usize, HashSet::new());
    let mut entries = Vec::new();
    if !metadata.is_empty() {
        entries.push(entry(METADATA_KEY, metadata));
    }
    for tensor in &order {
        let name = shown(&tensor.name);
        if tensor.name == METADATA_KEY || !seen.insert(&*tensor.name) {
            return Err(Error::file(
                path,
                format!("two entries named {name}; give each tensor its own name"),
            ));
        }
        let (len, shape) = (tensor.data.len(), tensor.shape.to_vec());
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(len) {
            let message =
                format!("tensor {name}: expected as many values as shape {shape:?} says, got {len}");
            return Err(Error::file(path, message));
        }
        let dtype = tensor.data.dtype();
        let end = offset + len * dtype.bitsize() / 8;
        entries.push(entry(&tensor.name, &TensorInfo { dtype, shape, data_offsets: (offset, end) }));
        offset = end;
    }
    let entries = entries.into_iter().collect::<Result<Vec<_>, _>>().map_err(|e| Error::file(path, e))?;
    let mut json = format!("{{{}}}", entries.join(","));
    while !json.len().is_multiple_of(8) {
        json.push(' ');
    }
    let mut header = Vec::with_capacity(LENGTH_BYTES + json.len());
    header.extend_from_slice(&(json.len() as u64).to_le_bytes());
    header.extend_from_slice(json.as_bytes());
    Ok((header, order))
}

fn entry(name: &str, value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(format!("{}:{}", serde_json::to_string(name)?, serde_json::to_string(value)?))
}

fn write(writer: &mut dyn Write, header: &[u8], order: &[&StoredTensor]) -> io::Result<()> {
    writer.write_all(header)?;
    for tensor in order {
        match &tensor.data {
            Data::F32(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::I32(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::I64(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::U64(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::U8(values) => writer.write_all(values)?,
        }
    }
    Ok(())
}

/// Little-endian on every machine, a chunk at a time so that the writer is called rarely.
fn write_values<T: Copy, const N: usize>(
    writer: &mut dyn Write,
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(values.len().min(8192) * N);
    for chunk in values.chunks(8192) {
        buffer.clear();
        chunk.iter().for_each(|&v| buffer.extend_from_slice(&to_bytes(v)));
        writer.write_all(&buffer)?;
    }
    Ok(())
}
