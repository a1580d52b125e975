//! A batch: one host tensor for each field, the samples one behind the other.

use std::ops::Range;

use super::field::{Field, FieldType, Places, find_field};
use crate::{Error, Result};

/// One batch, always of the loader's size, the first `len` samples of which are real.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its place in the epoch, from 0; a resumed epoch starts higher.
    pub index: usize,
    /// The epoch that it belongs to, from 0.
    pub epoch: u64,
    /// Real samples.
    pub len: usize,
    /// (N): places in the data set, 0 from `len` on.
    pub ids: Vec<u32>,
    /// (N): of each sample the first place of its values in packed fields, and the one behind its last; equal from `len` on.
    /// Empty where no field is packed.
    pub spans: Vec<[i32; 2]>,
    fields: Vec<HostTensor>,
}

/// The values of one field for all samples of a batch.
#[derive(Clone, Debug, PartialEq)]
struct HostTensor {
    field: Field,
    values: HostValues,
}

/// Values as they are written to the device.
#[derive(Clone, Debug, PartialEq)]
pub enum HostValues {
    /// Bytes, packed four to a little-endian word, with zeros after the end.
    U8(Vec<u32>),
    /// Integers.
    I32(Vec<i32>),
    /// Floats.
    F32(Vec<f32>),
}

impl Batch {
    /// `size` places that no sample fills yet. Of packed fields the shape is known.
    pub(super) fn padded(fields: &[Field], size: usize) -> Self {
        let tensor = |field: &Field| HostTensor { field: field.clone(), values: padding(field, size) };
        let spans = if fields.iter().any(Field::is_packed) { vec![[0; 2]; size] } else { Vec::new() };
        let fields = fields.iter().map(tensor).collect();
        Self { index: 0, epoch: 0, len: 0, ids: vec![0; size], spans, fields }
    }

    /// Samples, those that only fill it up included.
    pub fn size(&self) -> usize {
        self.ids.len()
    }

    /// The places of one more sample, the one of number `id`, which has `packed` values in packed fields.
    pub(super) fn next_row(&mut self, id: u32, packed: u32) -> Row<'_> {
        let (slot, first) = (self.len, self.packed_len());
        let end = first.saturating_add_unsigned(packed);
        if let Some(span) = self.spans.get_mut(slot) {
            *span = [first, end];
        }
        self.ids[slot] = id;
        self.len += 1;
        Row { fields: &mut self.fields, slot, packed: first as usize..end as usize }
    }

    /// Values that the samples have so far in packed fields.
    fn packed_len(&self) -> i32 {
        self.len.checked_sub(1).and_then(|last| self.spans.get(last)).map_or(0, |span| span[1])
    }

    /// To be called when all samples are written: words are what the device reads on any host.
    pub(super) fn finish(&mut self) {
        let (len, end) = (self.len, self.packed_len());
        self.spans.iter_mut().skip(len).for_each(|span| *span = [end; 2]);
        for tensor in &mut self.fields {
            if let HostValues::U8(words) = &mut tensor.values {
                words.iter_mut().for_each(|word| *word = u32::from_le(*word));
            }
        }
    }

    /// The fields there are.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().map(|tensor| &tensor.field)
    }

    /// The values of a field, (N, ..), or (T) of a packed one.
    ///
    /// # Errors
    /// [`Error::Config`] that lists the fields there are.
    pub fn values(&self, name: &str) -> Result<&HostValues> {
        let found = self.fields.iter().find(|tensor| tensor.field.name == name);
        found.map(|tensor| &tensor.values).ok_or_else(|| {
            let fields: Vec<Field> = self.fields().cloned().collect();
            find_field(&fields, "of this batch", name)
                .err()
                .unwrap_or_else(|| Error::config(name, "not there"))
        })
    }

    /// The integers of a field, (N, ..).
    ///
    /// # Errors
    /// [`Error::Config`] where there is no such field, or it holds something else.
    pub fn i32(&self, name: &str) -> Result<&[i32]> {
        match self.values(name)? {
            HostValues::I32(values) => Ok(values),
            _ => Err(holds_other(name, "i32")),
        }
    }

    /// The floats of a field, (N, ..).
    ///
    /// # Errors
    /// As [`Batch::i32`].
    pub fn f32(&self, name: &str) -> Result<&[f32]> {
        match self.values(name)? {
            HostValues::F32(values) => Ok(values),
            _ => Err(holds_other(name, "f32")),
        }
    }

    /// The bytes of a field, (N, ..), packed four to a little-endian word.
    ///
    /// # Errors
    /// As [`Batch::i32`].
    pub fn packed_u8(&self, name: &str) -> Result<&[u32]> {
        match self.values(name)? {
            HostValues::U8(words) => Ok(words),
            _ => Err(holds_other(name, "u8")),
        }
    }
}

/// The places of one sample in a batch, for [`super::Source::fill`].
pub struct Row<'a> {
    fields: &'a mut [HostTensor],
    slot: usize,
    /// Its places in packed fields.
    packed: Range<usize>,
}

impl Row<'_> {
    /// The bytes of a field; of a packed one, as many as [`super::Source::lengths`] says.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no such field, or it holds something else.
    pub fn u8(&mut self, name: &str) -> Result<&mut [u8]> {
        let (range, tensor) = self.tensor(name)?;
        match &mut tensor.values {
            HostValues::U8(words) => part(bytemuck::cast_slice_mut(words), name, range),
            _ => Err(holds_other(name, "u8")),
        }
    }

    /// The integers of a field.
    ///
    /// # Errors
    /// As [`Row::u8`].
    pub fn i32(&mut self, name: &str) -> Result<&mut [i32]> {
        let (range, tensor) = self.tensor(name)?;
        match &mut tensor.values {
            HostValues::I32(values) => part(values, name, range),
            _ => Err(holds_other(name, "i32")),
        }
    }

    /// The floats of a field.
    ///
    /// # Errors
    /// As [`Row::u8`].
    pub fn f32(&mut self, name: &str) -> Result<&mut [f32]> {
        let (range, tensor) = self.tensor(name)?;
        match &mut tensor.values {
            HostValues::F32(values) => part(values, name, range),
            _ => Err(holds_other(name, "f32")),
        }
    }

    /// A field, and the sample's places in it.
    fn tensor(&mut self, name: &str) -> Result<(Range<usize>, &mut HostTensor)> {
        let Some(tensor) = self.fields.iter_mut().find(|tensor| tensor.field.name == name) else {
            return Err(Error::config(format!("field {name}"), "the source does not declare it"));
        };
        let len = tensor.field.len();
        let range = match tensor.field.places {
            Places::Each => self.slot * len..(self.slot + 1) * len,
            Places::Packed => self.packed.clone(),
        };
        Ok((range, tensor))
    }
}

fn part<'v, T>(values: &'v mut [T], name: &str, range: Range<usize>) -> Result<&'v mut [T]> {
    values
        .get_mut(range)
        .ok_or_else(|| Error::config(format!("field {name}"), "the row is past the batch's end"))
}

fn padding(field: &Field, size: usize) -> HostValues {
    let len = field.batch_len(size);
    match field.dtype {
        FieldType::U8 => HostValues::U8(vec![0; len.div_ceil(4)]),
        FieldType::I32 => HostValues::I32(vec![field.pad.integer(); len]),
        FieldType::F32 => HostValues::F32(vec![0.0; len]),
    }
}

fn holds_other(name: &str, expected: &str) -> Error {
    Error::config(format!("field {name}"), format!("it was asked for as {expected}, and holds another type"))
}
