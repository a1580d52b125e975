//! A batch's leaves on a tape, one for each field, and how a batch gets there; and what of a batch is recorded once for several.

use std::cell::RefCell;
use std::rc::Rc;

use crate::data::{Batch, Field, FieldType, HostValues};
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
    /// each over the whole batch.
    pub fn new(tape: &Tape, batch_size: usize, fields: &[Field]) -> Self {
        let sized = |field: &Field| [&[batch_size], &field.shape[..]].concat();
        let leaf = |field: &Field| match field.dtype {
            FieldType::U8 => tape.input_i32(&field.name, [(batch_size * field.len()).div_ceil(4)]),
            FieldType::I32 => tape.input_i32(&field.name, sized(field)),
            FieldType::F32 => tape.input(&field.name, sized(field)),
        };
        let fields = fields.iter().map(|field| (field.name.to_string(), leaf(field))).collect();
        let ids = tape.input_i32("sample ids", [batch_size]);
        let mask = tape.input("sample mask", [batch_size]);
        Self { fields, shown: Vec::new(), ids, mask, noted: Rc::default() }
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

    /// Samples of a batch, N.
    pub fn batch_size(&self) -> usize {
        self.ids.dims()[0]
    }

    /// Writes those fields that the plan reads.
    ///
    /// # Errors
    /// [`Error::Config`] where the batch lacks a field, and those of [`Plan::write`].
    pub fn write(&self, plan: &Plan, batch: &Batch) -> Result<()> {
        for (name, leaf) in self.fields.iter().filter(|(_, leaf)| plan.holds(leaf)) {
            match batch.values(name)? {
                HostValues::U8(words) => plan.write(leaf, words)?,
                HostValues::I32(values) => plan.write(leaf, values)?,
                HostValues::F32(values) => plan.write(leaf, values)?,
            }
        }
        if plan.holds(&self.ids) {
            plan.write(&self.ids, &batch.ids)?;
        }
        if plan.holds(&self.mask) {
            let mask: Vec<f32> =
                (0..batch.size()).map(|slot| if slot < batch.len { 1.0 } else { 0.0 }).collect();
            plan.write(&self.mask, &mask)?;
        }
        Ok(())
    }
}
