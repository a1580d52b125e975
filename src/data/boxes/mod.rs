//! Images with boxes: what a detector learns from.
//!
//! [`open`] reads Pascal VOC, YOLO (ultralytics' `data.yaml`, darknet's `obj.data`, or folders `images` and `labels`) and
//! COCO, and gives a training part and a test part, each a [`BoxSet`], with the names of the classes and all that was odd
//! ([`Traps`]). [`BoxSet::new`] takes images that lie in memory.
//!
//! A sample has an image at the network's size, `pixels` u8 (3, H, W), and M places for boxes, of which those that none
//! fills are padding:
//!
//! | field | type | what |
//! |---|---|---|
//! | [`BOXES`] | f32 (M, 4) | centre x, centre y, width, height, in shares of the network's input, clipped to the image |
//! | [`BOX_CLASSES`] | i32 (M) | the class of a box to learn, or [`IGNORE_LABEL`](super::IGNORE_LABEL): padding, crowds, difficult ones |
//! | [`BOX_TRUTHS`] | f32 (M, 8) | for measuring: x, y, width and height in pixels of the file's image, its area (COCO: of the mask), its class or -1 for padding, 1 for a crowd, 1 for a difficult one |
//! | [`IMAGE_FRAME`] | f32 (4) | the part of the file's image that the input shows, in its pixels: left, top, width, height. A letterboxed one begins left of it or above it |
//!
//! Images stay compressed until a loader's thread needs one. What is decoded and brought to the network's size is kept in
//! memory up to a limit, so that later epochs find it there.

mod anchors;
mod check;
mod classes;
mod coco;
mod folders;
mod image;
mod label;
mod names;
mod open;
mod parts;
mod probe;
mod recognise;
mod resize;
mod select;
mod set;
pub mod shapes;
mod sheet;
mod text;
mod traps;
mod voc;
mod yaml;
mod yolo;

#[cfg(test)]
mod damaged_tests;
#[cfg(test)]
mod testing;

pub use anchors::{Anchors, anchors, mean_iou};
pub use classes::{ClassMatch, match_classes};
pub use image::{Annotation, BoxImage, clip};
pub use names::class_names;
pub use open::{BoxSets, OpenOptions, inspect, open};
pub use parts::Format;
pub(super) use recognise::is_there;
pub use resize::Resize;
pub use set::{BoxSet, SetOptions};
pub use traps::{Severity, Trap, Traps};

/// The field of boxes to learn, f32 (M, 4).
pub const BOXES: &str = "boxes";
/// The field of their classes, i32 (M).
pub const BOX_CLASSES: &str = "box_classes";
/// The field of what is measured against, f32 (M, 8).
pub const BOX_TRUTHS: &str = "box_truths";
/// The field of what the input shows of the file's image, f32 (4).
pub const IMAGE_FRAME: &str = "image_frame";
