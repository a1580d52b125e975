//! Data of a program's own, in memory: any fields, of bytes, integers or floats.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{Field, Row, Source, View};
use crate::files::hex;
use crate::{Error, Result};

/// Samples whose fields lie in memory, one behind the other.
///
/// ```
/// use limbeck::data::{InMemory, Source};
///
/// // Two images of five channels, 2x2, as floats, with their class numbers.
/// let images = vec![0.5; 2 * 5 * 2 * 2];
/// let set = InMemory::new("spectra").with_f32("pixels", [5, 2, 2], images)?.with_labels("labels", vec![0, 1])?;
/// assert_eq!(set.len(), 2);
/// # Ok::<(), limbeck::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    name: String,
    samples: usize,
    columns: Vec<(Field, Column)>,
}

#[derive(Clone, Debug)]
enum Column {
    U8(Vec<u8>),
    I32(Vec<i32>),
    F32(Vec<f32>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Column::U8(values) => values.len(),
            Column::I32(values) => values.len(),
            Column::F32(values) => values.len(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Column::U8(values) => values,
            Column::I32(values) => bytemuck::cast_slice(values),
            Column::F32(values) => bytemuck::cast_slice(values),
        }
    }
}

impl InMemory {
    /// A set without fields; `name` is for people.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds bytes, (N, shape..), such as pixels (C, H, W).
    ///
    /// # Errors
    /// [`Error::Config`] where the values are no whole number of samples, or another number than the fields before.
    pub fn with_u8(
        self,
        name: impl Into<Cow<'static, str>>,
        shape: impl Into<Vec<usize>>,
        values: Vec<u8>,
    ) -> Result<Self> {
        self.with(Field::u8(name, shape), Column::U8(values))
    }

    /// Adds floats, (N, shape..).
    ///
    /// # Errors
    /// As [`InMemory::with_u8`].
    pub fn with_f32(
        self,
        name: impl Into<Cow<'static, str>>,
        shape: impl Into<Vec<usize>>,
        values: Vec<f32>,
    ) -> Result<Self> {
        self.with(Field::f32(name, shape), Column::F32(values))
    }

    /// Adds class numbers, (N).
    ///
    /// # Errors
    /// As [`InMemory::with_u8`], and for a number above 2^31 - 1.
    pub fn with_labels(self, name: impl Into<Cow<'static, str>>, labels: Vec<u32>) -> Result<Self> {
        let name = name.into();
        let signed: Option<Vec<i32>> = labels.iter().map(|&label| i32::try_from(label).ok()).collect();
        let signed =
            signed.ok_or_else(|| Error::config(format!("field {name}"), "expected labels below 2^31"))?;
        self.with(Field::label(name), Column::I32(signed))
    }

    fn with(mut self, field: Field, column: Column) -> Result<Self> {
        let refuse = |message: String| Err(Error::config(format!("field {field} of {}", self.name), message));
        let (len, one) = (column.len(), field.len());
        if one == 0 || !len.is_multiple_of(one) {
            return refuse(format!("expected a whole number of samples of {one} values, got {len} values"));
        }
        if self.columns.iter().any(|(other, _)| other.name == field.name) {
            return refuse("there is a field of this name already".into());
        }
        if !self.columns.is_empty() && len / one != self.samples {
            return refuse(format!(
                "expected {} samples, as the fields before, got {}",
                self.samples,
                len / one
            ));
        }
        self.samples = len / one;
        self.columns.push((field, column));
        Ok(self)
    }
}

impl Source for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.samples
    }

    fn fields(&self) -> Vec<Field> {
        self.columns.iter().map(|(field, _)| field.clone()).collect()
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> Result<()> {
        for (field, column) in &self.columns {
            let range = id * field.len()..(id + 1) * field.len();
            match column {
                Column::U8(values) => row.u8(&field.name)?.copy_from_slice(&values[range]),
                Column::I32(values) => row.i32(&field.name)?.copy_from_slice(&values[range]),
                Column::F32(values) => row.f32(&field.name)?.copy_from_slice(&values[range]),
            }
        }
        Ok(())
    }

    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"limbeck fields 1\0");
        for (field, column) in &self.columns {
            hash.update(field.to_string());
            hash.update(column.bytes());
        }
        hex(&hash.finalize())
    }

    fn check(&self) -> Result<()> {
        for (field, column) in &self.columns {
            let Column::F32(values) = column else { continue };
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let message =
                    format!("sample {} has {}; expected finite numbers", at / field.len(), values[at]);
                return Err(Error::config(format!("field {field} of {}", self.name), message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{Loader, LoaderConfig};

    #[test]
    fn fields_come_out_as_they_went_in() {
        let set = InMemory::new("mine").with_u8("pixels", [3], (0..9).collect()).unwrap();
        let set = set.with_f32("targets", [2], (0..6).map(|v| v as f32).collect()).unwrap();
        let set = set.with_labels("labels", vec![7, 8, 9]).unwrap();
        let loader = Loader::new(Arc::new(set), LoaderConfig::in_order(2)).unwrap();
        let last = loader.epoch(0).nth(1).unwrap().unwrap();
        assert_eq!(last.packed_u8("pixels").unwrap(), [u32::from_le_bytes([6, 7, 8, 0]), 0]);
        assert_eq!(last.f32("targets").unwrap(), [4.0, 5.0, 0.0, 0.0]);
        assert_eq!(last.i32("labels").unwrap(), [9, crate::data::IGNORE_LABEL]);
        let message = last.f32("labels").unwrap_err().to_string();
        assert!(message.contains("asked for as f32"), "{message}");
        let message = last.i32("boxes").unwrap_err().to_string();
        assert!(message.contains("there are pixels u8 [3]"), "{message}");
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let says = |result: Result<InMemory>, part: &str| {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        };
        let set = InMemory::new("mine").with_u8("pixels", [3], vec![0; 6]).unwrap();
        says(InMemory::new("mine").with_u8("pixels", [3], vec![0; 5]), "samples of 3 values, got 5");
        says(set.clone().with_labels("labels", vec![0]), "expected 2 samples, as the fields before, got 1");
        says(set.clone().with_f32("pixels", [1], vec![0.0; 2]), "already");
        says(set.clone().with_labels("labels", vec![0, u32::MAX]), "below 2^31");
        let set = set.with_f32("x", [1], vec![0.0, f32::NAN]).unwrap();
        let message = Source::check(&set).unwrap_err().to_string();
        assert!(message.contains("sample 1 has NaN"), "{message}");
    }
}
