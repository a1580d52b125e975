//! What heads say of their boxes, row by row, and losses over rows.

use crate::data::boxes::{BOX_CLASSES, BOXES};
use crate::distill::MethodContext;
use crate::ops::boxes::YoloHead;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The boxes of a head, R = A H W of them, in the order (anchor, row, column).
pub(in crate::distill) struct HeadRows {
    /// (N, R, 4), in shares of the input.
    pub boxes: Tensor,
    /// Logits (N, R).
    pub objectness: Tensor,
    /// Logits (N, R, C).
    pub classes: Tensor,
}

impl HeadRows {
    /// Those of a map (N, A (5 + C), H, W), of a class at least: without one a box has no score.
    pub fn of(map: &Tensor, head: &YoloHead) -> Result<Self> {
        if head.classes == 0 {
            return Err(Error::shape("rows of boxes", "heads of at least one class", format!("{head:?}")));
        }
        let [objectness, classes] = map.yolo_logits(head)?;
        Ok(Self { boxes: map.yolo_boxes(head)?, objectness, classes })
    }

    /// Those of these anchors of a map, one after the other; an anchor may be there several times.
    pub fn of_anchors(map: &Tensor, head: &YoloHead, anchors: &[usize]) -> Result<Self> {
        if anchors.iter().copied().eq(0..head.anchors.len()) {
            return Self::of(map, head);
        }
        let channels = 5 + head.classes;
        let parts = anchors.iter().map(|anchor| map.slice(1, anchor * channels, channels));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let map = Tensor::concat(&parts.iter().collect::<Vec<_>>(), 1)?;
        let head = YoloHead {
            anchors: anchors.iter().map(|&anchor| head.anchors[anchor]).collect(),
            mask: anchors.iter().map(|&anchor| head.mask[anchor]).collect(),
            ..head.clone()
        };
        Self::of(&map, &head)
    }

    /// Probabilities of objectness (N, R).
    pub fn presence(&self) -> Result<Tensor> {
        self.objectness.sigmoid()
    }

    /// Objectness times the probability of the likeliest class, (N, R).
    pub fn score(&self) -> Result<Tensor> {
        self.presence()?.mul(&self.classes.max(&[2], false)?.sigmoid()?)
    }
}

/// The boxes that are there (N, M, 4) and their classes (N, M), as the step sees them.
///
/// # Errors
/// [`Error::Config`] for data that has none.
pub(in crate::distill) fn truths<'a>(
    method: &str,
    seen: &'a MethodContext<'_>,
) -> Result<(&'a Tensor, &'a Tensor)> {
    let boxes = seen.leaves.get(BOXES).and_then(|boxes| Ok((boxes, seen.leaves.get(BOX_CLASSES)?)));
    boxes.map_err(|error| {
        let message = format!("{method} reads the boxes that are there, and the data has none ({error})");
        Error::config("method", message)
    })
}
