//! Reading safetensors: weights as `f32`, and tensors as they are to be stored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::Dtype;

use super::header::{self, shown};
use super::torch;
use crate::{Error, Result};

/// Free-form strings kept in a file's header, in a fixed order.
pub type Metadata = BTreeMap<String, String>;

/// A tensor of weights, converted to `f32` whatever type the file has.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The tensor's name in the file, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Outermost dimension first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub data: Vec<f32>,
}

/// A tensor as it is stored: a name, a shape, and typed values that may be borrowed.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor<'a> {
    /// The tensor's name; unique in a file.
    pub name: Cow<'a, str>,
    /// Outermost dimension first; empty for a scalar.
    pub shape: Cow<'a, [usize]>,
    /// Row-major values.
    pub data: Data<'a>,
}

/// Typed values.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<'a> {
    /// Weights, running statistics, optimizer state.
    F32(Cow<'a, [f32]>),
    /// Labels and indices.
    I32(Cow<'a, [i32]>),
    /// Numbers of half the size.
    F16(Cow<'a, [f16]>),
    /// Numbers of a quarter of the size, which a scale belongs to.
    I8(Cow<'a, [i8]>),
    /// Codes.
    U8(Cow<'a, [u8]>),
}

/// How [`read_safetensors_with`] reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// Accept NaN and infinity. Off by default: such weights can only give NaN.
    pub allow_nonfinite: bool,
}

/// Reads a safetensors file as `f32` tensors in the order of their bytes, with the file's metadata.
///
/// Takes F32, F16, BF16, F64, I32, I64, I8 and U8 (integers above 2^24 are rounded). Refuses anything truncated, inconsistent
/// or not finite, naming the tensor and the offset or index.
pub fn read_safetensors(path: impl AsRef<Path>) -> Result<(Vec<NamedTensor>, Metadata)> {
    read_safetensors_with(path, ReadOptions::default())
}

/// [`read_safetensors`] with options.
pub fn read_safetensors_with(
    path: impl AsRef<Path>,
    options: ReadOptions,
) -> Result<(Vec<NamedTensor>, Metadata)> {
    let bytes = super::read(&path)?;
    decode_safetensors(path, &bytes, options)
}

/// Reads weights of any kind there is a reader for: safetensors, or a state dict of `torch.save`, which has no metadata.
/// The bytes decide, not the file's name.
///
/// # Errors
/// As [`read_safetensors`]; a PyTorch file that holds more than plain tensors is refused by what it names.
pub fn read_weights(path: impl AsRef<Path>) -> Result<(Vec<NamedTensor>, Metadata)> {
    let path = path.as_ref();
    decode_weights(path, &super::read(path)?)
}

/// [`read_weights`] for bytes that are already in memory; `origin` is what messages name.
///
/// # Errors
/// As [`read_weights`].
pub fn decode_weights(origin: impl AsRef<Path>, bytes: &[u8]) -> Result<(Vec<NamedTensor>, Metadata)> {
    let (path, options) = (origin.as_ref(), ReadOptions::default());
    if torch::is_torch(bytes) {
        return Ok((torch::decode(path, bytes, options)?, Metadata::new()));
    }
    decode_safetensors(path, bytes, options)
}

/// [`read_safetensors_with`] for bytes that are already in memory; `origin` is what messages name.
pub fn decode_safetensors(
    origin: impl AsRef<Path>,
    bytes: &[u8],
    options: ReadOptions,
) -> Result<(Vec<NamedTensor>, Metadata)> {
    let path = origin.as_ref();
    let header = header::parse(path, bytes)?;
    let data = &bytes[header.data_start..];
    let tensors = header.tensors.into_iter().map(|(name, info)| {
        let raw = &data[info.data_offsets.0..info.data_offsets.1];
        let data = decode_values(path, &name, info.dtype, raw, options)?;
        Ok(NamedTensor { name, shape: info.shape, data })
    });
    Ok((tensors.collect::<Result<_>>()?, header.metadata))
}

impl<'a> StoredTensor<'a> {
    /// A tensor to be stored, from borrowed or owned values.
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        shape: impl Into<Cow<'a, [usize]>>,
        data: impl Into<Data<'a>>,
    ) -> Self {
        StoredTensor { name: name.into(), shape: shape.into(), data: data.into() }
    }
}

impl<'a> From<&'a NamedTensor> for StoredTensor<'a> {
    fn from(tensor: &'a NamedTensor) -> Self {
        StoredTensor::new(&tensor.name, tensor.shape.as_slice(), tensor.data.as_slice())
    }
}

impl Data<'_> {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::F16(v) => v.len(),
            Data::I8(v) => v.len(),
            Data::U8(v) => v.len(),
        }
    }

    /// The bytes that the values take in a file.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype().bitsize() / 8
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type's name in a safetensors header.
    pub(super) fn dtype(&self) -> Dtype {
        match self {
            Data::F32(_) => Dtype::F32,
            Data::I32(_) => Dtype::I32,
            Data::F16(_) => Dtype::F16,
            Data::I8(_) => Dtype::I8,
            Data::U8(_) => Dtype::U8,
        }
    }
}

macro_rules! data_from {
    ($($variant:ident $type:ty),*) => {$(
        impl<'a> From<&'a [$type]> for Data<'a> {
            fn from(values: &'a [$type]) -> Self {
                Data::$variant(values.into())
            }
        }
        impl From<Vec<$type>> for Data<'_> {
            fn from(values: Vec<$type>) -> Self {
                Data::$variant(values.into())
            }
        }
    )*};
}
data_from!(F32 f32, I32 i32, F16 f16, I8 i8, U8 u8);

/// Little-endian values of `N` bytes each.
fn values<T, const N: usize>(raw: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|&chunk| of(chunk)).collect()
}

/// The weights in `raw`, checked as `options` say.
pub(super) fn decode_values(
    path: &Path,
    name: &str,
    dtype: Dtype,
    raw: &[u8],
    options: ReadOptions,
) -> Result<Vec<f32>> {
    let values = to_f32(path, name, dtype, raw)?;
    if !options.allow_nonfinite {
        refuse_nonfinite(path, name, dtype, &values)?;
    }
    Ok(values)
}

/// Values of any type that weights come in.
pub(super) fn to_f32(path: &Path, name: &str, dtype: Dtype, raw: &[u8]) -> Result<Vec<f32>> {
    Ok(match dtype {
        Dtype::F32 => values(raw, f32::from_le_bytes),
        Dtype::F16 => values(raw, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => values(raw, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F64 => values(raw, |b| f64::from_le_bytes(b) as f32),
        Dtype::I32 => values(raw, |b| i32::from_le_bytes(b) as f32),
        Dtype::I64 => values(raw, |b| i64::from_le_bytes(b) as f32),
        Dtype::I8 => values(raw, |b| f32::from(i8::from_le_bytes(b))),
        Dtype::U8 => values(raw, |b| f32::from(u8::from_le_bytes(b))),
        other => {
            return Err(Error::file(
                path,
                format!(
                    "tensor {} has type {other:?}; expected F32, F16, BF16, F64, I32, I64, I8 or U8; convert it with \
                     `.float()` before saving",
                    shown(name)
                ),
            ));
        }
    })
}

fn refuse_nonfinite(path: &Path, name: &str, dtype: Dtype, values: &[f32]) -> Result<()> {
    let Some(index) = values.iter().position(|v| !v.is_finite()) else { return Ok(()) };
    let count = values.iter().filter(|v| !v.is_finite()).count();
    let range = if dtype == Dtype::F64 { " (after conversion from F64 to F32)" } else { "" };
    Err(Error::file(
        path,
        format!(
            "tensor {} holds {} at index {index}{range}, and {count} of its {} values are not finite; expected finite \
             weights; use a checkpoint from before training diverged",
            shown(name),
            values[index],
            values.len()
        ),
    ))
}
