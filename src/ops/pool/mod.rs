//! Resampling of planes: max and average pooling, and nearest upsampling.

pub mod average;
pub mod max;
pub mod upsample;

pub use max::{Pool, SPEC};
