//! Writing safetensors: the same tensors and metadata always give the same bytes.
//!
//! The `safetensors` crate's writer takes metadata as a `HashMap`, whose order differs between runs; so the header is
//! written here. Tensors are in the caller's order, which readers get back; where all elements are of 4 bytes, as those of models
//! are, every one is aligned.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::header::{LENGTH_BYTES, METADATA_KEY, shown};
use super::tensors::{Data, Metadata, StoredTensor};
use super::{write_atomic, write_error};
use crate::{Error, Result};

/// Writes a safetensors file atomically, see [`write_atomic`].
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[StoredTensor],
    metadata: &Metadata,
) -> Result<()> {
    let path = path.as_ref();
    let header = header_of(path, tensors, metadata)?;
    write_atomic(path, |writer| write(writer, &header, tensors))
}

/// [`write_safetensors`] into what is open already; `origin` is what messages name.
pub fn write_safetensors_to(
    writer: &mut dyn Write,
    origin: impl AsRef<Path>,
    tensors: &[StoredTensor],
    metadata: &Metadata,
) -> Result<()> {
    let header = header_of(origin.as_ref(), tensors, metadata)?;
    write(writer, &header, tensors).map_err(|e| write_error(origin.as_ref(), &e))
}

/// The bytes [`write_safetensors`] would write; `origin` is what messages name.
pub fn encode_safetensors(
    origin: impl AsRef<Path>,
    tensors: &[StoredTensor],
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_safetensors_to(&mut bytes, origin, tensors, metadata)?;
    Ok(bytes)
}

/// The header, length field and padding included, of tensors that hold as many values as their shapes say.
fn header_of(path: &Path, tensors: &[StoredTensor<'_>], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut sizes = Vec::new();
    for tensor in tensors {
        let (len, shape) = (tensor.data.len(), tensor.shape.to_vec());
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(len) {
            let name = shown(&tensor.name);
            let message =
                format!("tensor {name}: expected as many values as shape {shape:?} says, got {len}");
            return Err(Error::file(path, message));
        }
        sizes.push((&*tensor.name, tensor.data.dtype(), shape));
    }
    Ok(header(path, &sizes, metadata)?.0)
}

/// The header of tensors (name, type, shape) that follow each other in this order, and where each one's bytes start in
/// the file.
pub(super) fn header(
    path: &Path,
    tensors: &[(&str, Dtype, Vec<usize>)],
    metadata: &Metadata,
) -> Result<(Vec<u8>, Vec<u64>)> {
    let (mut offset, mut seen) = (0usize, HashSet::new());
    let (mut entries, mut starts) = (Vec::new(), Vec::new());
    if !metadata.is_empty() {
        entries.push(entry(METADATA_KEY, metadata));
    }
    for (name, dtype, shape) in tensors {
        if *name == METADATA_KEY || !seen.insert(*name) {
            let message = format!("two entries named {}; give each tensor its own name", shown(name));
            return Err(Error::file(path, message));
        }
        let bytes = shape.iter().try_fold(dtype.bitsize() / 8, |n, &d| n.checked_mul(d));
        let Some(end) = bytes.and_then(|bytes| offset.checked_add(bytes)) else {
            let message = format!("tensor {} of shape {shape:?} is too large for a file", shown(name));
            return Err(Error::file(path, message));
        };
        let info = TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (offset, end) };
        entries.push(entry(name, &info));
        starts.push(offset as u64);
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
    let data_start = header.len() as u64;
    Ok((header, starts.into_iter().map(|start| data_start + start).collect()))
}

fn entry(name: &str, value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(format!("{}:{}", serde_json::to_string(name)?, serde_json::to_string(value)?))
}

fn write(writer: &mut dyn Write, header: &[u8], tensors: &[StoredTensor<'_>]) -> io::Result<()> {
    writer.write_all(header)?;
    for tensor in tensors {
        match &tensor.data {
            Data::F32(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::I32(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::F16(values) => write_values(writer, values, |v| v.to_le_bytes())?,
            Data::I8(values) => write_values(writer, values, |v| v.to_le_bytes())?,
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
