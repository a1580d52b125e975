//! How good found boxes are: average precision by four definitions, curves of precision against recall, and which classes
//! were taken for which.
//!
//! All is counted on the host in f64 after the last image, from boxes gathered one image after another ([`Gathered`]). The
//! definitions ([`MapKind`]) differ by points on the same boxes, so a figure without its definition says little.
//!
//! A box with a score or a side that is NaN or infinite comes after all others, finds nothing and is wrong in average
//! precision; it is above no score. How many there were is told ([`DetectionResult::not_finite`]).

mod coco;
mod confusion;
mod curve;
mod gathered;
mod here;
mod kind;
mod overlap;
mod result;
mod voc;

pub use confusion::{Confusion, ConfusionCell, ImageMistakes};
pub use curve::CurvePoint;
pub use gathered::Gathered;
pub use kind::MapKind;
pub use result::{ClassPrecision, DetectionResult};

/// The score above which boxes count in confusions, mistakes, and precision and recall at a score, where none is given.
pub const SCORE: f32 = 0.25;
