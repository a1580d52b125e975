//! Normalisation: of a channel over the batch, of a row, and of a row's length.

mod batch_backward;

pub mod batch;
pub mod layer;
pub mod normalize;
