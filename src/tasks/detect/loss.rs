//! What a detector learns: boxes, objectness and classes of a head's rows.
//!
//! Which row answers for which truth is darknet's rule ([`assign`]). A row that answers for one learns its box by CIoU
//! (Zheng et al. 1911.08287), objectness 1 and its classes by binary cross-entropy; every other row learns objectness 0, but
//! for those that overlap a truth by more than the head's `ignore_threshold`. Sums over rows, not means: a mean would drown
//! the few that answer among thousands that do not. Darknet's own gradients differ from this one's in known ways: it writes
//! those by x, y, w, h as if the sigmoid and the anchors were not there, which is why its `iou_normalizer` is 0.07.

use std::sync::Arc;

use crate::models::Outputs;
use crate::ops::boxes::{Assigned, Overlap, YoloHead, assign};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The boxes that are there, or that a teacher says are.
pub struct TruthLeaves<'a> {
    /// (N, M, 4), in shares of the network's input.
    pub boxes: &'a Tensor,
    /// i32 (N, M); negative where there is no box.
    pub classes: &'a Tensor,
    /// How sure each is, (N, M), from 0 to 1; 1 where absent.
    pub scores: Option<&'a Tensor>,
}

/// The parts of a detector's loss, each (N): sums over the rows of all heads.
pub struct BoxLoss {
    /// 1 - CIoU over rows that answer for a truth.
    pub boxes: Tensor,
    /// Binary cross-entropy of objectness.
    pub objectness: Tensor,
    /// Binary cross-entropy of the classes of rows that answer for a truth.
    pub classes: Tensor,
    /// Overlap (IoU) of boxes that answer for a truth, and how many these are; without gradients.
    pub overlap: [Tensor; 2],
}

/// The loss of a detector's outputs for these truths.
///
/// # Errors
/// [`Error::Config`] for outputs off which no boxes are read, and those of shapes that do not fit.
pub fn box_loss(outputs: &Outputs, truths: &TruthLeaves<'_>) -> Result<BoxLoss> {
    let mut sum: Option<BoxLoss> = None;
    for (map, head) in outputs.boxes() {
        let of_head = head_loss(map, head, truths)?;
        sum = Some(match sum {
            None => of_head,
            Some(sum) => sum.plus(&of_head)?,
        });
    }
    sum.ok_or_else(|| {
        let names: Vec<&str> = outputs.iter().map(|(name, _)| name).collect();
        let message = format!("expected maps off which boxes are read, got {}", names.join(", "));
        Error::config("model", message)
    })
}

impl BoxLoss {
    fn plus(&self, other: &Self) -> Result<Self> {
        let [sum, count] = [0, 1].map(|i| self.overlap[i].add(&other.overlap[i]));
        Ok(Self {
            boxes: self.boxes.add(&other.boxes)?,
            objectness: self.objectness.add(&other.objectness)?,
            classes: self.classes.add(&other.classes)?,
            overlap: [sum?, count?],
        })
    }
}

fn head_loss(map: &Tensor, head: &Arc<YoloHead>, truths: &TruthLeaves<'_>) -> Result<BoxLoss> {
    let boxes = map.yolo_boxes(head)?;
    let [objectness, classes] = map.yolo_logits(head)?;
    let cells = [map.dims()[2], map.dims()[3]];
    let TruthLeaves { boxes: there, classes: theirs, scores } = *truths;
    let Assigned { boxes: wanted, positive, objectness_weight, classes: hot } =
        assign(&boxes.detach()?, there, theirs, scores, head, cells)?;
    let overlap = boxes.detach()?.box_overlap(&wanted, Overlap::Iou)?;
    let missing = boxes.ciou(&wanted)?.scale(-1.0)?.add_scalar(1.0)?;
    let of_rows = |rows: &Tensor| rows.sum(&[1], false);
    Ok(BoxLoss {
        boxes: of_rows(&missing.mul(&positive)?)?,
        objectness: of_rows(&binary_cross_entropy(&objectness, &positive)?.mul(&objectness_weight)?)?,
        classes: of_rows(&binary_cross_entropy(&classes, &hot)?.sum(&[2], false)?.mul(&positive)?)?,
        overlap: [of_rows(&overlap.mul(&positive)?)?.detach()?, of_rows(&positive)?],
    })
}

/// softplus(x) - x t, element by element, of logits x and shares t.
pub(crate) fn binary_cross_entropy(logits: &Tensor, shares: &Tensor) -> Result<Tensor> {
    logits.softplus()?.sub(&logits.mul(shares)?)
}
