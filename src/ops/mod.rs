//! The ops: one file each, with shape rule, recording, backward, lowering and f64 reference. [`OPS`] is the only list.
//!
//! Adding an op is one WGSL file, one Rust file with a `SPEC`, one `mod` line and one line in [`OPS`]; conformance tests,
//! `limbeck check` and the gradient checks then cover it.

mod common;
pub mod conformance;
mod spec;

pub mod adam;
pub mod grad_norm;
pub mod lerp;
pub mod sgd;
pub mod unary;
pub mod update;

pub use spec::{Case, Fill, Input, OpSpec};

/// Every op, by file. The shared conformance test runs all of their cases.
pub static OPS: &[&OpSpec] = &[&adam::SPEC, &grad_norm::SPEC, &lerp::SPEC, &sgd::SPEC, &unary::SPEC];
