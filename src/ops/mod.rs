//! The ops: one file each, with shape rule, recording, backward, lowering and f64 reference. [`OPS`] is the only list.
//!
//! Adding an op is one WGSL file, one Rust file with a `SPEC`, one `mod` line and one line in [`OPS`]; conformance tests,
//! `limbeck check` and the gradient checks then cover it.

mod common;
pub mod conformance;
mod rows;
mod spec;

pub mod batch_norm;
pub mod cosine;
pub mod cross_entropy;
pub mod kl_div;
pub mod layer_norm;
pub mod regression;
pub mod softmax;
pub mod unary;

pub use spec::{Case, Fill, Input, OpSpec};

/// Every op, by file. The shared conformance test runs all of their cases.
pub static OPS: &[&OpSpec] = &[
    &batch_norm::SPEC,
    &cosine::SPEC,
    &cross_entropy::SPEC,
    &kl_div::SPEC,
    &layer_norm::SPEC,
    &regression::SPEC,
    &softmax::SPEC,
    &unary::SPEC,
];
