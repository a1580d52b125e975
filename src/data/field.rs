//! What a sample consists of: named values of a fixed shape, whatever they mean.

use std::borrow::Cow;
use std::fmt;

use crate::{Error, Result};

/// The type of a field's values on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Bytes, such as pixels. A batch packs four to a 32-bit word.
    U8,
    /// 32-bit integers, such as labels.
    I32,
    /// 32-bit floats.
    F32,
}

/// What a field holds in the places of a batch that no sample fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// Zeros.
    Zero,
    /// [`super::IGNORE_LABEL`], which losses and metrics skip.
    Ignore,
}

/// One named part of every sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What tasks ask for it by, such as `pixels`.
    pub name: Cow<'static, str>,
    /// Sizes of one sample's values; none for a single number.
    pub shape: Vec<usize>,
    /// Their type.
    pub dtype: FieldType,
    /// What fills a batch that is not full.
    pub pad: Pad,
}

impl Field {
    /// Bytes (u8) of this shape, filled up with zeros.
    pub fn u8(name: impl Into<Cow<'static, str>>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into(), dtype: FieldType::U8, pad: Pad::Zero }
    }

    /// Floats (f32) of this shape, filled up with zeros.
    pub fn f32(name: impl Into<Cow<'static, str>>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into(), dtype: FieldType::F32, pad: Pad::Zero }
    }

    /// A class number (i32), filled up with [`super::IGNORE_LABEL`].
    pub fn label(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), shape: Vec::new(), dtype: FieldType::I32, pad: Pad::Ignore }
    }

    /// Class numbers (i32) of this shape, filled up with [`super::IGNORE_LABEL`].
    pub fn classes(name: impl Into<Cow<'static, str>>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into(), dtype: FieldType::I32, pad: Pad::Ignore }
    }

    /// Values of one sample.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |n, &d| n.saturating_mul(d))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of one sample's values on the host.
    pub fn bytes(&self) -> usize {
        match self.dtype {
            FieldType::U8 => self.len(),
            FieldType::I32 | FieldType::F32 => self.len().saturating_mul(4),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = match self.dtype {
            FieldType::U8 => "u8",
            FieldType::I32 => "i32",
            FieldType::F32 => "f32",
        };
        write!(f, "{} {dtype} {:?}", self.name, self.shape)
    }
}

/// The field called `name`.
///
/// # Errors
/// [`Error::Config`] that lists the fields there are; `source` says whose.
pub fn find_field<'f>(fields: &'f [Field], source: &str, name: &str) -> Result<&'f Field> {
    fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let all: Vec<String> = fields.iter().map(Field::to_string).collect();
        Error::config(format!("data set {source}"), format!("no field {name}; there are {}", all.join(", ")))
    })
}
