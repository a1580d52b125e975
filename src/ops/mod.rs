//! The ops: one file each, with shape rule, recording, backward, lowering and f64 reference. [`OPS`] is the only list.
//!
//! Adding an op is one WGSL file, one Rust file with a `SPEC`, one `mod` line and one line in [`OPS`]; conformance tests,
//! `limbeck check` and the gradient checks then cover it.

mod common;
pub mod conformance;
mod rows;
mod spec;

pub mod conv2d;
pub mod gemm;
mod tile;
pub mod argmax;
mod backward;
pub mod binary;
pub mod broadcast;
pub mod copy;
mod layout;
pub mod reduce;
pub mod scale;
pub mod augment;
pub mod average_pool;
pub mod concat;
pub mod gather;
pub mod pad;
pub mod permute;
pub mod pool;
pub mod reshape;
pub mod slice;
mod strided;
pub mod cross_entropy;
pub mod kl_div;
pub mod unary;
pub mod upsample;
pub mod adam;
pub mod grad_norm;
pub mod lerp;
pub mod sgd;
pub mod unary;
pub mod update;

pub use spec::{Case, Fill, Input, OpSpec};

/// Every op, by file. The shared conformance test runs all of their cases.
#[rustfmt::skip]
pub static OPS: &[&OpSpec] = &[
    &conv2d::SPEC,
    &gemm::SPEC,
    &unary::SPEC,
];
pub static OPS: &[&OpSpec] =
    &[&argmax::SPEC, &binary::SPEC, &broadcast::SPEC, &copy::SPEC, &reduce::SPEC, &scale::SPEC, &unary::SPEC];
pub static OPS: &[&OpSpec] = &[
    &unary::SPEC,
    &reshape::SPEC,
    &slice::SPEC,
    &pad::SPEC,
    &pool::SPEC,
    &average_pool::SPEC,
    &permute::SPEC,
    &concat::SPEC,
    &gather::SPEC,
    &upsample::SPEC,
    &augment::SPEC,
];
pub static OPS: &[&OpSpec] = &[&cross_entropy::SPEC, &kl_div::SPEC, &unary::SPEC];
pub static OPS: &[&OpSpec] = &[&adam::SPEC, &grad_norm::SPEC, &lerp::SPEC, &sgd::SPEC, &unary::SPEC];
