//! Where samples come from.

use std::sync::Arc;

use super::batch::Row;
use super::field::{Field, find_field};
use super::packing::{Packing, consecutive};
use crate::{Error, Result};

/// Which look at a sample is wanted. Augmentation on the host is keyed by it, so that a resumed run sees the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Keys all randomness of a training.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
}

/// A set of samples, each made of the same [`Field`]s. Images with labels ([`super::Dataset`]) are one; a program's own
/// data is another: [`super::InMemory`] takes values that lie in memory, and any type may implement this trait.
///
/// ```
/// use limbeck::data::{Field, Row, Source, View};
///
/// /// The numbers 0, 1, 2, .. and their squares.
/// struct Squares;
///
/// impl Source for Squares {
///     fn name(&self) -> &str {
///         "squares"
///     }
///     fn len(&self) -> usize {
///         100
///     }
///     fn fields(&self) -> Vec<Field> {
///         vec![Field::f32("x", [1]), Field::f32("y", [1])]
///     }
///     fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> limbeck::Result<()> {
///         row.f32("x")?[0] = id as f32;
///         row.f32("y")?[0] = (id * id) as f32;
///         Ok(())
///     }
///     fn fingerprint(&self) -> String {
///         "squares 1".into()
///     }
/// }
///
/// let config = limbeck::data::LoaderConfig { batch_size: 8, shuffle: false, ..Default::default() };
/// let loader = limbeck::data::Loader::new(std::sync::Arc::new(Squares), config)?;
/// let first = loader.epoch(0).next().expect("twelve full batches and a part of one")?;
/// assert_eq!(first.f32("y")?[3], 9.0);
/// # Ok::<(), limbeck::Error>(())
/// ```
pub trait Source: Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// Samples, N.
    fn len(&self) -> usize;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What every sample consists of.
    fn fields(&self) -> Vec<Field>;

    /// Values of each sample in packed fields, (N): all of them have as many. `None` where no field is packed.
    fn lengths(&self) -> Option<&[u32]> {
        None
    }

    /// The numbers that a field of integers has in any sample, -1 left out, each once and ascending, where the source knows them. Of
    /// a table that a network looks up by them only these rows are then trained: the others never get a gradient. A source
    /// whose samples a task makes other numbers of says `None`, which is any.
    fn occurring(&self, _field: &str) -> Option<Vec<usize>> {
        None
    }

    /// Writes sample `id`, below [`Source::len`], into `row`, whose places hold each field's padding before. Runs on loader
    /// threads, on several at once, and gives the same values for the same (`id`, `view`).
    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> Result<()>;

    /// What tells these samples, in this order, from others: checkpoints and outputs files compare it. A hash in
    /// hexadecimal, as a rule.
    fn fingerprint(&self) -> String;

    /// Whether [`Source::fill`] depends on the view, as where it augments: each epoch then sees other values of a sample.
    fn is_random(&self) -> bool {
        false
    }

    /// Threads that making batches is worth: 1 where [`Source::fill`] only copies, more where it decodes or augments.
    fn threads(&self) -> usize {
        1
    }

    /// Fails where the set can't be used, naming what is wrong.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn fields(&self) -> Vec<Field> {
        (**self).fields()
    }

    fn lengths(&self) -> Option<&[u32]> {
        (**self).lengths()
    }

    fn occurring(&self, field: &str) -> Option<Vec<usize>> {
        (**self).occurring(field)
    }

    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> Result<()> {
        (**self).fill(id, view, row)
    }

    fn fingerprint(&self) -> String {
        (**self).fingerprint()
    }

    fn is_random(&self) -> bool {
        (**self).is_random()
    }

    fn threads(&self) -> usize {
        (**self).threads()
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }
}

/// Which samples share a batch, as far as its room depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As a [`super::Loader`] that shuffles deals them: those of different lengths together, so that all batches are about full.
    Dealt,
    /// As they follow each other in the source.
    Kept,
    /// One or the other.
    Any,
}

/// The packed values of each sample; `None` where none of these fields of `source` is packed.
pub(super) fn packed_lengths<'s, S: Source + ?Sized>(
    source: &'s S,
    fields: &[Field],
) -> Result<Option<&'s [u32]>> {
    let Some(packed) = fields.iter().find(|field| field.is_packed()) else { return Ok(None) };
    match source.lengths() {
        Some(lengths) if lengths.len() == source.len() => Ok(Some(lengths)),
        lengths => {
            let (expected, got) = (source.len(), lengths.map_or(0, <[u32]>::len));
            let message = format!("the field {packed} needs lengths of {expected} samples, there are {got}");
            Err(Error::config(format!("data set {}", source.name()), message))
        }
    }
}

/// Gives packed fields room for `capacity` values.
pub(super) fn give_room<S: Source + ?Sized>(source: &S, fields: &mut [Field], capacity: u64) -> Result<()> {
    if capacity > i32::MAX as u64 {
        let message = format!("a batch of it has up to {capacity} values; use smaller batches");
        return Err(Error::config(format!("data set {}", source.name()), message));
    }
    for field in fields.iter_mut().filter(|field| field.is_packed()) {
        // A tensor of nothing can't be bound.
        field.shape = vec![(capacity as usize).max(1)];
    }
    Ok(())
}

impl dyn Source + '_ {
    /// The field called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] that lists the fields there are.
    pub fn field(&self, name: &str) -> Result<Field> {
        find_field(&self.fields(), self.name(), name).cloned()
    }

    /// The fields of batches of `batch_size` samples: packed ones have room, T, for every batch of such an order.
    ///
    /// # Errors
    /// [`Error::Config`] where there are packed fields and [`Source::lengths`] does not have a number for each sample, and for a
    /// batch size of 0.
    pub fn batch_fields(&self, batch_size: usize, order: Order) -> Result<Vec<Field>> {
        let mut fields = self.fields();
        let Some(lengths) = packed_lengths(self, &fields)? else { return Ok(fields) };
        if batch_size == 0 {
            return Err(Error::config("batch_size", "expected at least 1, got 0"));
        }
        let dealt = || Packing::new(lengths, batch_size).capacity();
        let capacity = match order {
            Order::Dealt => dealt(),
            Order::Kept => consecutive(lengths, batch_size),
            Order::Any => dealt().max(consecutive(lengths, batch_size)),
        };
        give_room(self, &mut fields, capacity)?;
        Ok(fields)
    }
}
