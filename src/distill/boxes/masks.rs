//! Which cells of a map count where features of detectors are compared, and how much.

use super::pairing::heads;
use super::rows::{HeadRows, truths};
use crate::distill::MethodContext;
use crate::ops::boxes::{BoxMask, YoloHead};
use crate::tape::Tensor;
use crate::{Error, Result};

/// Keeps a mean over cells of which none counts at 0; far too small to change any other.
const LEAST_SUM: f32 = 1e-12;

/// What makes a cell count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::distill) enum CellMask {
    /// The teacher's score: the largest over anchors of objectness times the likeliest class (Du et al., NeurIPS 2021).
    Frs,
    /// A truth that one of the teacher's anchors there overlaps by more than this share of the most (Wang et al. 1906.03609).
    FineGrained(f32),
}

impl CellMask {
    /// The mean over cells of `x` (N, C, H, W), by how much they count, and over channels. (1).
    pub fn mean(self, method: &str, seen: &MethodContext<'_>, x: &Tensor) -> Result<Tensor> {
        let mask = self.of(method, seen, [x.dims()[2], x.dims()[3]])?;
        let all = |x: &Tensor| x.sum(&[0, 1, 2, 3], false);
        all(&x.mean(&[1], true)?.mul(&mask)?)?.div(&all(&mask)?.add_scalar(LEAST_SUM)?)
    }

    /// How much cells count, (N, 1, H, W).
    fn of(self, method: &str, seen: &MethodContext<'_>, cells: [usize; 2]) -> Result<Tensor> {
        let (map, head) = head_of(seen, cells)?;
        match self {
            Self::Frs => {
                let rows = HeadRows::of(map, head)?.score()?;
                rows.reshape([map.dims()[0], head.anchors.len(), cells[0], cells[1]])?.max(&[1], true)
            }
            Self::FineGrained(share) => {
                let (boxes, classes) = truths(method, seen)?;
                let [h, w] = head.input(cells).map(|side| side as f32);
                let sides = head.anchors.iter().map(|side| [side[0] / w, side[1] / h]).collect();
                BoxMask::Anchors { sides, share }.of(boxes, classes, cells)
            }
        }
    }
}

/// The teacher's head whose map has these cells.
fn head_of<'a>(seen: &'a MethodContext<'_>, cells: [usize; 2]) -> Result<(&'a Tensor, &'a YoloHead)> {
    let all = heads("teacher", seen.teacher_outputs)?;
    if let Some(found) = all.iter().find(|(map, _)| map.dims().get(2..) == Some(&cells[..])) {
        return Ok(*found);
    }
    let there: Vec<String> = all.iter().map(|(map, _)| map.shape().to_string()).collect();
    let message = format!(
        "features of {} x {} cells are masked by the teacher's head of as many, and its heads' maps are {}; name taps of \
         one of these sizes with `taps`",
        cells[0],
        cells[1],
        there.join(", ")
    );
    Err(Error::config("mask", message))
}
