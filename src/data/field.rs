//! What a sample consists of: named values, of a fixed shape or as many as the sample has, whatever they mean.

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
    /// -1, which is the number of no token.
    MinusOne,
}

impl Pad {
    /// What fills places of integers.
    pub(crate) fn integer(self) -> i32 {
        match self {
            Pad::Zero => 0,
            Pad::Ignore => super::IGNORE_LABEL,
            Pad::MinusOne => -1,
        }
    }
}

/// Where in a batch the values of a sample lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Places {
    /// Every sample has as many values, and a batch is (N, ..).
    #[default]
    Each,
    /// A sample has as many as [`super::Source::lengths`] says. Those of a batch lie one behind the other, (T): T is enough for
    /// every batch, and the same for all.
    Packed,
}

/// One named part of every sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What tasks ask for it by, such as `pixels`.
    pub name: Cow<'static, str>,
    /// Sizes of one sample's values; none for a single number. Of a packed field: those of a batch, T, or none where it is not
    /// known yet, as in what a source has.
    pub shape: Vec<usize>,
    /// Their type.
    pub dtype: FieldType,
    /// What fills a batch that is not full.
    pub pad: Pad,
    /// Where its values lie.
    pub places: Places,
}

impl Field {
    /// Bytes (u8) of this shape, filled up with zeros.
    pub fn u8(name: impl Into<Cow<'static, str>>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            dtype: FieldType::U8,
            pad: Pad::Zero,
            places: Places::Each,
        }
    }

    /// Floats (f32) of this shape, filled up with zeros.
    pub fn f32(name: impl Into<Cow<'static, str>>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            dtype: FieldType::F32,
            pad: Pad::Zero,
            places: Places::Each,
        }
    }

    /// A class number (i32), filled up with [`super::IGNORE_LABEL`].
    pub fn label(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            shape: Vec::new(),
            dtype: FieldType::I32,
            pad: Pad::Ignore,
            places: Places::Each,
        }
    }

    /// Class numbers (i32) of this shape, filled up with [`super::IGNORE_LABEL`].
    pub fn classes(name: impl Into<Cow<'static, str>>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            dtype: FieldType::I32,
            pad: Pad::Ignore,
            places: Places::Each,
        }
    }

    /// Numbers (i32), as many as a sample has, such as its tokens. Filled up with -1.
    pub fn packed(name: impl Into<Cow<'static, str>>) -> Self {
        let (dtype, pad, places) = (FieldType::I32, Pad::MinusOne, Places::Packed);
        Self { name: name.into(), shape: Vec::new(), dtype, pad, places }
    }

    /// Whether samples have different numbers of values.
    pub fn is_packed(&self) -> bool {
        self.places == Places::Packed
    }

    /// Values of one sample; of a packed field, those of a batch.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |n, &d| n.saturating_mul(d))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of a batch of `size` samples.
    pub fn batch_len(&self, size: usize) -> usize {
        match self.places {
            Places::Each => self.len().saturating_mul(size),
            Places::Packed => self.len(),
        }
    }

    /// Bytes of [`Field::len`] values on the host.
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
        match self.places {
            Places::Each => write!(f, "{} {dtype} {:?}", self.name, self.shape),
            Places::Packed => write!(f, "{} {dtype} packed", self.name),
        }
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
