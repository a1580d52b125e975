//! Detection: boxes of classes in an image.

mod found;
mod measure;

pub use found::{Found, Truth};
pub use measure::{
    ClassPrecision, Confusion, ConfusionCell, CurvePoint, DetectionResult, Gathered, ImageMistakes, MapKind,
    SCORE,
};
