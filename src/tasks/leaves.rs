//! A batch's leaves on a tape, one for each field, and how a batch gets there; and what of a batch is recorded once for several.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use crate::data::{Batch, Field, FieldType, HostValues, Places};
use crate::tape::{Plan, Tape, Tensor};
use crate::{Error, Result};

/// The leaves of a batch.
#[derive(Clone)]
pub struct Leaves {
    fields: Vec<(String, Tensor)>,
    /// What stands for a field's leaf in this step.
    shown: Vec<(String, Tensor)>,
    ids: Tensor,
    mask: Tensor,
    /// Of data with packed fields.
    spans: Option<Tensor>,
    noted: Rc<RefCell<Vec<Note>>>,
}

/// What was recorded of an output.
struct Note {
    of: Tensor,
    name: &'static str,
    tensors: Vec<Tensor>,
}

impl Leaves {
    /// A leaf for each field of batches of `batch_size` samples: f32 (N, ..), i32 (N, ..), or, for bytes, i32 words of four
    /// each over the whole batch. A packed field is a leaf (T), which [`crate::data::Source::batch_fields`] gives it.
    pub fn new(tape: &Tape, batch_size: usize, fields: &[Field]) -> Self {
        let sized = |field: &Field| match field.places {
            Places::Each => [&[batch_size], &field.shape[..]].concat(),
            Places::Packed => vec![field.len()],
        };
        let leaf = |field: &Field| match field.dtype {
            FieldType::U8 => tape.input_i32(&field.name, [field.batch_len(batch_size).div_ceil(4)]),
            FieldType::I32 => tape.input_i32(&field.name, sized(field)),
            FieldType::F32 => tape.input(&field.name, sized(field)),
        };
        let packed = fields.iter().any(Field::is_packed);
        let fields = fields.iter().map(|field| (field.name.to_string(), leaf(field))).collect();
        let ids = tape.input_i32("sample ids", [batch_size]);
        let mask = tape.input("sample mask", [batch_size]);
        let spans = packed.then(|| tape.input_i32("sample spans", [batch_size, 2]));
        Self { fields, shown: Vec::new(), ids, mask, spans, noted: Rc::default() }
    }

    /// From now on [`Leaves::get`] gives `tensor` for this field: what augmentation made of it, such as boxes that moved with
    /// their image.
    pub fn show(&mut self, name: &str, tensor: Tensor) {
        self.shown.retain(|(other, _)| other != name);
        self.shown.push((name.to_string(), tensor));
    }

    /// A field as the step sees it: its leaf, or what [`Leaves::show`] put in its place.
    ///
    /// # Errors
    /// [`Error::Config`] that lists the fields there are.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let found = self.shown.iter().chain(&self.fields).find(|(other, _)| other == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| {
            let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
            Error::config(format!("field {name}"), format!("the data has {}", names.join(", ")))
        })
    }

    /// Keeps what a task's loss recorded of the output `of`, by a name, for its meter, which needs the same: recorded twice it
    /// would be computed twice.
    pub fn note(&self, of: &Tensor, name: &'static str, tensors: &[Tensor]) {
        self.noted.borrow_mut().push(Note { of: of.clone(), name, tensors: tensors.to_vec() });
    }

    /// What [`Leaves::note`] kept of this output by this name.
    pub fn noted(&self, of: &Tensor, name: &str) -> Option<Vec<Tensor>> {
        let all = self.noted.borrow();
        let found = all.iter().find(|note| note.of.id() == of.id() && note.name == name);
        found.map(|note| note.tensors.clone())
    }

    /// The samples' places in the data set, i32 (N).
    pub fn ids(&self) -> &Tensor {
        &self.ids
    }

    /// 1 for each sample of the batch and 0 where a place is only filled up, f32 (N).
    pub fn mask(&self) -> &Tensor {
        &self.mask
    }

    /// Where in packed fields the values of each sample are, i32 (N, 2): the first place, and the one behind the last. The two
    /// are equal where a place of the batch is only filled up.
    ///
    /// # Errors
    /// [`Error::Config`] where the data has no packed field.
    pub fn spans(&self) -> Result<&Tensor> {
        let none =
            || Error::config("data", "expected a packed field, such as the tokens of texts; it has none");
        self.spans.as_ref().ok_or_else(none)
    }

    /// Samples of a batch, N.
    pub fn batch_size(&self) -> usize {
        self.ids.dims()[0]
    }

    /// Writes those fields that the plan reads. Packed ones may be shorter than the plan's, and are filled up.
    ///
    /// # Errors
    /// [`Error::Config`] where the batch lacks a field, or has more packed values than the plan takes, and those of
    /// [`Plan::write`].
    pub fn write(&self, plan: &Plan, batch: &Batch) -> Result<()> {
        for (name, leaf) in self.fields.iter().filter(|(_, leaf)| plan.holds(leaf)) {
            let values = batch.values(name)?;
            let field = batch.fields().find(|field| field.is_packed() && field.name == *name);
            let pad = field.map(|field| field.pad.integer());
            match values {
                HostValues::U8(words) => plan.write(leaf, &filled(words, pad.map(|_| 0), leaf)?)?,
                HostValues::I32(values) => plan.write(leaf, &filled(values, pad, leaf)?)?,
                HostValues::F32(values) => plan.write(leaf, &filled(values, pad.map(|_| 0.0), leaf)?)?,
            }
        }
        if plan.holds(&self.ids) {
            plan.write(&self.ids, &batch.ids)?;
        }
        if let Some(spans) = self.spans.as_ref().filter(|spans| plan.holds(spans)) {
            plan.write(spans, batch.spans.as_flattened())?;
        }
        if plan.holds(&self.mask) {
            let mask: Vec<f32> =
                (0..batch.size()).map(|slot| if slot < batch.len { 1.0 } else { 0.0 }).collect();
            plan.write(&self.mask, &mask)?;
        }
        Ok(())
    }
}

/// Packed values of a batch as the leaf takes them, filled up with `pad`; without one, as they are.
fn filled<'v, T: Copy>(values: &'v [T], pad: Option<T>, leaf: &Tensor) -> Result<Cow<'v, [T]>> {
    let (got, most) = (values.len(), leaf.meta().len());
    match pad {
        Some(_) if got > most => {
            let message = format!(
                "a batch has {got} packed values, and this was recorded for {most}; record it with the source that the \
                 batch is of, and for that order of samples"
            );
            Err(Error::config("batch", message))
        }
        Some(pad) if got < most => {
            Ok(values.iter().copied().chain(std::iter::repeat_n(pad, most - got)).collect())
        }
        _ => Ok(values.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_are_filled_up_and_never_cut() {
        let tape = Tape::new();
        let fields = [Field { shape: vec![5], ..Field::packed("tokens") }, Field::label("labels")];
        let leaves = Leaves::new(&tape, 3, &fields);
        let leaf = leaves.get("tokens").unwrap();
        assert_eq!((leaf.dims(), leaves.spans().unwrap().dims()), (&[5][..], &[3, 2][..]));
        assert_eq!(*filled(&[1, 2, 3], Some(-1), leaf).unwrap(), [1, 2, 3, -1, -1]);
        assert_eq!(*filled(&[1, 2, 3, 4, 5], Some(-1), leaf).unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(*filled(&[1, 2, 3], None, leaf).unwrap(), [1, 2, 3]);
        let message = filled(&[0; 6], Some(-1), leaf).unwrap_err().to_string();
        assert!(message.contains("a batch has 6 packed values, and this was recorded for 5"), "{message}");
        let message = Leaves::new(&Tape::new(), 3, &fields[1..]).spans().unwrap_err().to_string();
        assert!(message.contains("packed field"), "{message}");
    }
}
