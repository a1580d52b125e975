//! What a `[yolo]` section says.

use super::cfg::Section;
use crate::Result;
use crate::ops::boxes::YoloHead;

/// The head of a section behind a layer of this shape, in a network of this input.
///
/// # Errors
/// [`crate::Error::File`] with the line.
pub fn head(section: &Section, [c, h, w]: [usize; 3], [_, height, width]: [usize; 3]) -> Result<YoloHead> {
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
        return Err(section.error(format!("mask names anchor {place}, and there are {}", all_anchors.len())));
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
    if !height.is_multiple_of(h.max(1)) || !width.is_multiple_of(w.max(1)) {
        let message = format!(
            "images of {height}x{width} give a map of {h}x{w} cells, into which they do not divide; take sides that do, such as \
             multiples of 32"
        );
        return Err(section.error(message));
    }
    Ok(YoloHead {
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
