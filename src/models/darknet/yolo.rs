//! What a `[yolo]` section says: how boxes are read off the layer before it, and how they are learned.

use super::cfg::Section;
use crate::Result;

/// A head of a YOLO network (Redmon and Farhadi 1804.02767, Bochkovskiy et al. 2004.10934). The layer before it gives
/// (N, A (5 + C), H, W): for each of the A anchors x, y, w, h, objectness and a score for each class, before any sigmoid.
#[derive(Debug, Clone, PartialEq)]
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
    /// From the section, behind a layer of this shape, in a network of this input.
    ///
    /// # Errors
    /// [`crate::Error::File`] with the line.
    pub fn read(section: &Section, [c, h, w]: [usize; 3], [_, height, width]: [usize; 3]) -> Result<Self> {
        let flat = section.list::<f32>("anchors")?;
        let all_anchors: Vec<[f32; 2]> = flat.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        let positive = flat.iter().all(|side| side.is_finite() && *side > 0.0);
        if all_anchors.is_empty() || flat.len() % 2 == 1 || !positive {
            return Err(section.error("expected anchors= with pairs of widths and heights above 0"));
        }
        let mask = match section.list::<usize>("mask")? {
            none if none.is_empty() => (0..all_anchors.len()).collect(),
            some => some,
        };
        if let Some(place) = mask.iter().find(|place| **place >= all_anchors.len()) {
            return Err(
                section.error(format!("mask names anchor {place}, and there are {}", all_anchors.len()))
            );
        }
        let classes = section.count("classes", 20, 1)?;
        let expected = mask.len() * (5 + classes);
        if c != expected {
            let message = format!(
                "{} anchors of 5 + {classes} values are {expected} channels, and the layer before gives {c}; set its \
                 filters={expected}, or classes=",
                mask.len()
            );
            return Err(section.error(message));
        }
        Ok(Self {
            anchors: mask.iter().map(|&place| all_anchors[place]).collect(),
            all_anchors,
            mask,
            classes,
            stride: [height / h.max(1), width / w.max(1)],
            scale_x_y: section.float("scale_x_y", 1.0)?,
            squared_sides: section.count("new_coords", 0, 0)? != 0,
            ignore_threshold: section.float("ignore_thresh", 0.5)?,
            assign_threshold: section.float("iou_thresh", 1.0)?,
        })
    }
}
