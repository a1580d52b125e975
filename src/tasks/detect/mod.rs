//! Detection: boxes of classes in an image.

mod found;
mod loss;
mod measure;

pub use found::{Found, Truth};
pub(crate) use loss::binary_cross_entropy;
pub use loss::{BoxLoss, TruthLeaves, box_loss};
pub use measure::{
    ClassPrecision, Confusion, ConfusionCell, CurvePoint, DetectionResult, Gathered, ImageMistakes, MapKind,
    SCORE,
};

use super::Leaves;
use crate::Result;
use crate::tape::Tensor;

/// The mean over the batch's samples of `sums` (N), without those that only fill it up, (1).
pub fn mean_of_samples(sums: &Tensor, leaves: &Leaves) -> Result<Tensor> {
    sums.mul(leaves.mask())?.sum(&[0], false)?.div(&leaves.mask().sum(&[0], false)?)
}
