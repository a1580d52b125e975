//! How boxes are read off a map of a YOLO network.

use serde::{Deserialize, Serialize};

use crate::tape::Meta;
use crate::{Error, Result};

/// A head of a YOLO network (Redmon and Farhadi 1804.02767, Bochkovskiy et al. 2004.10934). The layer before it gives
/// (N, A (5 + C), H, W): for each of the A anchors x, y, w, h, objectness and a score for each class, before any sigmoid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct YoloHead {
    /// Width and height of this head's anchors, in pixels of the network's input.
    pub anchors: Vec<[f32; 2]>,
    /// Width and height of all anchors of the network, from which each truth chooses.
    pub all_anchors: Vec<[f32; 2]>,
    /// The places of this head's anchors among all.
    pub mask: Vec<usize>,
    /// Classes.
    pub classes: usize,
    /// Pixels of the input between cells, (vertical, horizontal).
    pub stride: [usize; 2],
    /// How far centres reach beyond their cell: x = s sigmoid(t) - (s - 1) / 2.
    pub scale_x_y: f32,
    /// Sides by (2 t)^2 of a sigmoid that the layer before has applied, in place of exp(t).
    pub squared_sides: bool,
    /// A box that overlaps a truth by more than this is no background.
    pub ignore_threshold: f32,
    /// Anchors that overlap a truth's shape by more than this learn it besides the best one; 1 is none.
    pub assign_threshold: f32,
}

impl YoloHead {
    /// Channels of the map that it is read off, A (5 + C).
    pub fn channels(&self) -> usize {
        self.anchors.len() * (5 + self.classes)
    }

    /// Height and width of the network's input, for a map of `h` by `w` cells.
    pub fn input(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        [h * self.stride[0], w * self.stride[1]]
    }

    /// Rows and columns of cells of a map (N, A (5 + C), H, W), checked.
    pub(super) fn cells_of(&self, op: &str, map: &Meta) -> Result<[usize; 2]> {
        self.check(op)?;
        match *map.shape.dims() {
            [_, channels, h, w] if channels == self.channels() && h > 0 && w > 0 => Ok([h, w]),
            _ => {
                let expected = format!(
                    "a map (N, {}, H, W), channels for {} anchors times 5 and {} classes; are classes= and mask= of \
                     the head right, and filters= of the layer before it?",
                    self.channels(),
                    self.anchors.len(),
                    self.classes
                );
                Err(Error::shape(op, expected, map.to_string()))
            }
        }
    }

    /// Fails where the numbers are none of a head.
    pub(crate) fn check(&self, op: &str) -> Result<()> {
        let fail = |expected: &str, got: String| Err(Error::shape(op, expected, got));
        let positive = |size: &[f32; 2]| size.iter().all(|side| side.is_finite() && *side > 0.0);
        if self.anchors.is_empty() || !self.anchors.iter().chain(&self.all_anchors).all(positive) {
            let got = format!("anchors {:?} of {:?}", self.anchors, self.all_anchors);
            return fail("a head with anchors of positive width and height", got);
        }
        let fits = self.mask.iter().all(|&place| place < self.all_anchors.len());
        if self.mask.len() != self.anchors.len() || !fits {
            let got = format!("mask {:?} of {} anchors", self.mask, self.all_anchors.len());
            return fail("a head whose mask has a place among all anchors for each of its own", got);
        }
        if self.stride.contains(&0) || !self.scale_x_y.is_finite() {
            let got = format!("stride {:?} and scale_x_y {}", self.stride, self.scale_x_y);
            return fail("a head with a stride of at least 1 and a finite scale_x_y", got);
        }
        Ok(())
    }
}
