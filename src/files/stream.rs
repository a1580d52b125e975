//! Safetensors files too large for memory: read and written a few rows at a time, at offsets.
//!
//! A row is an index of the leading axes: of a tensor (E, N, C), row e * N + n has C values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use super::header::{self, LENGTH_BYTES, MAX_HEADER, shown};
use super::tensors::{Metadata, to_f32};
use super::{open, read_error, replace, write, write_error};
use crate::{Error, Result};

/// Bytes of a file's start that tell what it is.
const FIRST: u64 = 4096;

/// Reads rows of a safetensors file. Only the header is in memory.
#[derive(Debug)]
pub struct TensorReader {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Stored>,
    metadata: Metadata,
}

#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
}

impl TensorReader {
    /// Opens a file and checks that its header describes it exactly.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is no safetensors file, is truncated, or whose tensors overlap.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (file, len) = open(path)?;
        let mut start = Vec::new();
        let mut read = |most: u64| (&file).take(most).read_to_end(&mut start).map(|_| start.clone());
        let first = read(FIRST).map_err(|e| read_error(path, &e))?;
        let header = first.first_chunk::<LENGTH_BYTES>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // A longer one is refused below, by its length.
        let header = if header > MAX_HEADER { 0 } else { header };
        let whole = (header + LENGTH_BYTES as u64).saturating_sub(first.len() as u64);
        let bytes = read(whole).map_err(|e| read_error(path, &e))?;
        let header = header::parse_start(path, &bytes, usize::try_from(len).unwrap_or(usize::MAX))?;
        let stored = |(name, info): (String, safetensors::tensor::TensorInfo)| {
            let start = (header.data_start + info.data_offsets.0) as u64;
            (name, Stored { dtype: info.dtype, shape: info.shape, start })
        };
        let tensors = header.tensors.into_iter().map(stored).collect();
        Ok(Self { path: path.to_path_buf(), file, tensors, metadata: header.metadata })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Names and shapes, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, stored)| (&**name, &*stored.shape))
    }

    /// The shape of a tensor, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| &*stored.shape)
    }

    /// Appends `count` values from `first` on to `to`, as f32, whatever float or integer type the file has.
    ///
    /// # Errors
    /// [`Error::File`] for a name that is not there, values past the tensor's end, another type, and values that are not
    /// finite, with their place.
    pub fn read(&self, name: &str, first: usize, count: usize, to: &mut Vec<f32>) -> Result<()> {
        let refuse = |what: String| Error::file(&self.path, format!("tensor {}: {what}", shown(name)));
        let stored = self.tensors.get(name).ok_or_else(|| refuse("is not in the file".into()))?;
        let len: usize = stored.shape.iter().product();
        if first.checked_add(count).is_none_or(|end| end > len) {
            return Err(refuse(format!("expected values {first} to {first}+{count} within {len}")));
        }
        let size = stored.dtype.bitsize() / 8;
        let mut bytes = vec![0u8; count * size];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(stored.start + (first * size) as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| read_error(&self.path, &e))?;
        let values = to_f32(&self.path, name, stored.dtype, &bytes)?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(refuse(format!(
                "holds {} at index {}; expected finite values",
                values[at],
                first + at
            )));
        }
        to.extend(values);
        Ok(())
    }
}

/// A tensor that is going to be written: f32 values, or i32 where `integers` is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Unique in the file.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Whether it holds i32.
    pub integers: bool,
}

/// Writes a safetensors file whose sizes are known and whose values come bit by bit.
pub struct TensorWriter<'a> {
    path: &'a Path,
    file: &'a File,
    ends: BTreeMap<String, (u64, u64)>,
}

impl TensorWriter<'_> {
    /// Writes the file atomically: `fill` appends to each tensor until it is full.
    ///
    /// # Errors
    /// What `fill` returns, [`Error::File`] where the file can't be written or `fill` left a tensor short. In each case
    /// any earlier file stays as it was.
    pub fn write(
        path: &Path,
        tensors: &[TensorSpec],
        metadata: &Metadata,
        fill: impl FnOnce(&mut TensorWriter<'_>) -> Result<()>,
    ) -> Result<()> {
        let dtype = |spec: &TensorSpec| if spec.integers { Dtype::I32 } else { Dtype::F32 };
        let sizes: Vec<_> = tensors.iter().map(|t| (&*t.name, dtype(t), t.shape.clone())).collect();
        let (header, starts) = write::header(path, &sizes, metadata)?;
        let span = |(spec, start): (&TensorSpec, u64)| {
            let bytes = 4 * spec.shape.iter().product::<usize>() as u64;
            (spec.name.clone(), (start, start + bytes))
        };
        let ends: BTreeMap<_, _> = tensors.iter().zip(starts).map(span).collect();
        replace(path, |mut file| {
            file.write_all(&header).map_err(|e| write_error(path, &e))?;
            let mut writer = TensorWriter { path, file, ends };
            fill(&mut writer)?;
            match writer.ends.iter().find(|(_, (at, end))| at < end) {
                None => Ok(()),
                Some((name, (at, end))) => {
                    let short = format!("tensor {} lacks {} bytes", shown(name), end - at);
                    Err(Error::file(path, format!("can't be written: {short}")))
                }
            }
        })
    }

    /// Appends values of the tensor's type, 4 bytes each.
    ///
    /// # Errors
    /// [`Error::File`] for more values than it has room for, and where the disk is full.
    pub fn append<T: bytemuck::NoUninit>(&mut self, name: &str, values: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let fits = |(at, end): &&mut (u64, u64)| *at + bytes.len() as u64 <= *end;
        let Some(span) = self.ends.get_mut(name).filter(fits) else {
            let message = format!("tensor {}: no room for {} more values", shown(name), values.len());
            return Err(Error::file(self.path, message));
        };
        let mut file = self.file;
        file.seek(SeekFrom::Start(span.0))
            .and_then(|_| file.write_all(bytes))
            .map_err(|e| write_error(self.path, &e))?;
        span.0 += bytes.len() as u64;
        Ok(())
    }
}
