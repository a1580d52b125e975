//! The ops: one file each, with shape rule, recording, backward, lowering and f64 reference. [`OPS`] is the only list.
//!
//! Adding an op is one WGSL file, one Rust file with a `SPEC`, one `mod` line and one line in [`OPS`]; conformance tests,
//! `limbeck check` and the gradient checks then cover it.

mod backward;
mod batch_norm_backward;
mod common;
pub mod conformance;
mod conv2d_backward;
mod conv2d_lower;
mod conv2d_rows;
mod conv2d_rows_dw;
mod depthwise;
mod epilogue;
mod layout;
mod rows;
mod spec;
mod strided;
mod tile;
mod tile_matrix;

pub mod adam;
pub mod argmax;
pub mod augment;
pub mod average_pool;
pub mod bank_update;
pub mod batch_norm;
pub mod binary;
pub mod broadcast;
pub mod concat;
pub mod contrast;
pub mod conv2d;
pub mod conv2d_fused;
pub mod copy;
pub mod cosine;
pub mod cross_entropy;
pub mod distance;
pub mod dropout;
pub mod gather;
pub mod gemm;
pub mod gemm_fused;
pub mod grad_norm;
pub mod kl_div;
pub mod layer_norm;
pub mod lerp;
pub mod loss_scale;
pub mod metrics;
pub mod normalize;
pub mod one_hot;
pub mod pad;
pub mod permute;
pub mod pool;
pub mod pull;
pub mod reduce;
pub mod regression;
pub mod reshape;
pub mod scale;
pub mod sgd;
pub mod slice;
pub mod softmax;
pub mod unary;
pub mod update;
pub mod upsample;

pub use spec::{Case, Fill, Input, OpSpec};

/// Every op, by file. The shared conformance test runs all of their cases.
#[rustfmt::skip]
pub static OPS: &[&OpSpec] = &[
    &adam::SPEC,
    &argmax::SPEC,
    &augment::SPEC,
    &average_pool::SPEC,
    &bank_update::SPEC,
    &batch_norm::SPEC,
    &binary::SPEC,
    &broadcast::SPEC,
    &concat::SPEC,
    &contrast::SPEC,
    &conv2d::SPEC,
    &conv2d_fused::SPEC,
    &copy::SPEC,
    &cosine::SPEC,
    &cross_entropy::SPEC,
    &distance::SPEC,
    &dropout::SPEC,
    &gather::SPEC,
    &gemm::SPEC,
    &gemm_fused::SPEC,
    &grad_norm::SPEC,
    &kl_div::SPEC,
    &layer_norm::SPEC,
    &lerp::SPEC,
    &loss_scale::SPEC,
    &metrics::SPEC,
    &normalize::SPEC,
    &one_hot::SPEC,
    &pad::SPEC,
    &permute::SPEC,
    &pool::SPEC,
    &pull::SPEC,
    &reduce::SPEC,
    &regression::SPEC,
    &reshape::SPEC,
    &scale::SPEC,
    &sgd::SPEC,
    &slice::SPEC,
    &softmax::SPEC,
    &unary::SPEC,
    &upsample::SPEC,
];
