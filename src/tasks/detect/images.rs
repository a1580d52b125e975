//! The images of an evaluated batch: what is in them, and what was found.

use super::read::Candidates;
use super::{Found, Gathered, Keep, Truth};
use crate::data::Batch;
use crate::data::boxes::{BOX_TRUTHS, IMAGE_FRAME};
use crate::models::Outputs;
use crate::{Error, Result};

/// Adds a batch's images: `read` are the values of [`Outputs::boxes`]' maps.
///
/// # Errors
/// [`Error::Config`] for a batch without the fields of boxes, and for maps of other sizes than the heads read.
pub fn gather(
    into: &mut Gathered,
    keep: &Keep,
    batch: &Batch,
    outputs: &Outputs,
    read: &[Vec<f32>],
) -> Result<()> {
    let truths = batch.f32(BOX_TRUTHS)?;
    let places = truths.len() / batch.size().max(1);
    for slot in 0..batch.len {
        let there: Vec<Truth> =
            truths[slot * places..][..places].as_chunks().0.iter().filter_map(truth_of).collect();
        into.add(&there, &found_in(batch, slot, keep, outputs, read)?);
    }
    Ok(())
}

/// What was found in image `slot` of a batch, the highest score first.
///
/// # Errors
/// As [`gather`].
pub fn found_in(
    batch: &Batch,
    slot: usize,
    keep: &Keep,
    outputs: &Outputs,
    read: &[Vec<f32>],
) -> Result<Vec<Found>> {
    let mut candidates = Candidates::default();
    for ((map, head), values) in outputs.boxes().zip(read) {
        let cells = [map.dims()[2], map.dims()[3]];
        let len = head.channels() * cells[0] * cells[1];
        let own = values.get(slot * len..(slot + 1) * len).ok_or_else(|| {
            Error::config("outputs", format!("expected {len} values an image, got {} in all", values.len()))
        })?;
        candidates.add(head, cells, own, keep.score);
    }
    let frame = batch.f32(IMAGE_FRAME)?;
    let Some(&frame) = frame.as_chunks::<4>().0.get(slot) else {
        return Err(Error::config(IMAGE_FRAME, format!("the batch has none for sample {slot}")));
    };
    candidates.found(keep, frame)
}

/// A truth of the field; `None` for padding.
fn truth_of(&[x, y, w, h, area, class, crowd, difficult]: &[f32; 8]) -> Option<Truth> {
    let class = (class >= 0.0).then_some(class as usize)?;
    let (crowd, difficult) = (crowd != 0.0, difficult != 0.0);
    Some(Truth { bounds: [x, y, w, h], class, area, crowd, difficult })
}
