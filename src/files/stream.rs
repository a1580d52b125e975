//! Safetensors files too large for memory: read and written a few rows at a time, at offsets.
//!
//! A row is an index of the leading axes: of a tensor (E, N, C), row e * N + n has C values.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use safetensors::Dtype;

use super::header::{self, LENGTH_BYTES, MAX_HEADER, shown};
use super::tensors::{Metadata, to_f32};
use super::{open, read_error, write, write_error};
use crate::{Error, Result};

/// Bytes of a file's start that tell what it is.
const FIRST: u64 = 4096;

/// What can be read at any place: a file, or bytes in memory.
pub trait ReadSeek: Read + Seek + Send + Debug {}

impl<T: Read + Seek + Send + Debug> ReadSeek for T {}

/// Reads rows of a safetensors file. Only the header is in memory.
#[derive(Debug)]
pub struct TensorReader {
    path: PathBuf,
    file: Mutex<Box<dyn ReadSeek>>,
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
        Self::new(path, Box::new(open(path)?))
    }

    /// [`TensorReader::open`] for what is open already; `origin` is what messages name.
    ///
    /// # Errors
    /// As [`TensorReader::open`].
    pub fn new(origin: impl AsRef<Path>, mut file: Box<dyn ReadSeek>) -> Result<Self> {
        let path = origin.as_ref();
        let len = file.seek(SeekFrom::End(0)).map_err(|e| read_error(path, &e))?;
        file.rewind().map_err(|e| read_error(path, &e))?;
        let mut start = Vec::new();
        let mut read = |most: u64| (&mut file).take(most).read_to_end(&mut start).map(|_| start.clone());
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
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file), tensors, metadata: header.metadata })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The bytes of a tensor; 0 where it is not there.
    pub fn bytes_of(&self, name: &str) -> u64 {
        let of =
            |stored: &Stored| (stored.shape.iter().product::<usize>() * stored.dtype.bitsize() / 8) as u64;
        self.tensors.get(name).map_or(0, of)
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
        // One thread at a time: another's seek must not come between these two.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(stored.start + (first * size) as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| read_error(&self.path, &e))?;
        drop(file);
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

/// Writes a safetensors file whose sizes are known and whose values come bit by bit, into what the caller keeps once it is
/// whole: an [`AtomicFile`](super::AtomicFile), or a draft in a store.
pub struct TensorWriter<W> {
    path: PathBuf,
    file: W,
    ends: BTreeMap<String, (u64, u64)>,
}

impl<W: Write + Seek> TensorWriter<W> {
    /// Writes the header; `origin` is what messages name.
    ///
    /// # Errors
    /// [`Error::File`] for two tensors of one name, and where the file can't be written.
    pub fn new(
        origin: impl AsRef<Path>,
        mut file: W,
        tensors: &[TensorSpec],
        metadata: &Metadata,
    ) -> Result<Self> {
        let path = origin.as_ref();
        let dtype = |spec: &TensorSpec| if spec.integers { Dtype::I32 } else { Dtype::F32 };
        let sizes: Vec<_> = tensors.iter().map(|t| (&*t.name, dtype(t), t.shape.clone())).collect();
        let (header, starts) = write::header(path, &sizes, metadata)?;
        let span = |(spec, start): (&TensorSpec, u64)| {
            let bytes = 4 * spec.shape.iter().product::<usize>() as u64;
            (spec.name.clone(), (start, start + bytes))
        };
        let ends = tensors.iter().zip(starts).map(span).collect();
        file.write_all(&header).map_err(|e| write_error(path, &e))?;
        Ok(Self { path: path.to_path_buf(), file, ends })
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
            return Err(Error::file(&self.path, message));
        };
        self.file
            .seek(SeekFrom::Start(span.0))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|e| write_error(&self.path, &e))?;
        span.0 += bytes.len() as u64;
        Ok(())
    }

    /// Hands back what was written, to be kept.
    ///
    /// # Errors
    /// [`Error::File`] where a tensor is short of values.
    pub fn finish(self) -> Result<W> {
        match self.ends.iter().find(|(_, (at, end))| at < end) {
            None => Ok(self.file),
            Some((name, (at, end))) => {
                let short = format!("tensor {} lacks {} bytes", shown(name), end - at);
                Err(Error::file(&self.path, format!("can't be written: {short}")))
            }
        }
    }
}
