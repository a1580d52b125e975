//! Boxes: read off a YOLO network's maps, compared, assigned to truths, thinned out.
//!
//! A box is (centre x, centre y, width, height) in shares of the network's input, f32, the last dimension of a tensor. The
//! rows of a head are its boxes in the order (anchor, cell row, cell column): R = A H W.

mod geometry;
mod head;
mod nms_host;
mod shapes;

pub mod aspect;
pub mod assign;
pub mod decode;
pub mod masks;
pub mod nms;
pub mod overlap;
pub mod peaks;

pub use assign::{Assigned, assign};
pub use decode::BoxReader;
pub use head::YoloHead;
pub use masks::BoxMask;
pub use nms::{Nms, NmsKind, nms};
pub use nms_host::nms_host;
pub use overlap::Overlap;
pub use shapes::{nearest_shape, shape_iou};
