//! The ops: a file or a folder each, with shape rule, recording, backward, lowering and f64 reference. [`OPS`] is the only list.
//!
//! Adding an op is one WGSL file, one Rust file with a `SPEC`, one `mod` line and one line in [`OPS`]; conformance tests,
//! `limbeck check` and the gradient checks then cover it.

mod backward;
mod common;
mod costs;
mod epilogue;
mod function;
mod labels;
mod layout;
mod rows;
mod spec;
mod tile;

pub mod accumulate;
pub mod argmax;
pub mod augment;
pub mod binary;
pub mod boxes;
pub mod broadcast;
pub mod chance;
#[cfg(not(target_arch = "wasm32"))]
pub mod conformance;
pub mod conv;
pub mod copy;
pub mod dropout;
pub mod gemm;
pub mod loss;
pub mod metrics;
pub mod norm;
pub mod pool;
pub mod reduce;
pub mod scale;
pub mod shape;
pub mod softmax;
pub mod tokens;
pub mod unary;
pub mod update;

pub use augment::boxes as augment_boxes;
pub use boxes::{
    aspect as box_aspect, assign as yolo_assign, decode as yolo_boxes, masks as box_masks, nms,
    overlap as box_overlap, peaks as class_peaks,
};
pub use conv::{conv2d, fused as conv2d_fused};
pub use gemm::fused as gemm_fused;
pub use labels::IGNORE_LABEL;
pub use loss::{bank_update, contrast, cosine, cross_entropy, distance, kl_div, regression};
pub use norm::{batch as batch_norm, layer as layer_norm, normalize};
pub use pool::{average as average_pool, upsample};
pub use shape::{concat, gather, one_hot, pad, permute, reshape, slice};
pub use spec::{Case, Fill, Input, OpSpec};
pub use tokens::{attention, chosen as chosen_tokens, embedding, places as token_places, relation, segment};
pub use update::{adam, grad_norm, l2_sp, lerp, loss_scale, sgd};

/// Every op, by file. The shared conformance test runs all of their cases.
#[rustfmt::skip]
pub static OPS: &[&OpSpec] = &[
    &accumulate::SPEC,
    &adam::SPEC,
    &argmax::SPEC,
    &attention::SPEC,
    &augment::SPEC,
    &augment_boxes::SPEC,
    &average_pool::SPEC,
    &bank_update::SPEC,
    &batch_norm::SPEC,
    &binary::SPEC,
    &box_aspect::SPEC,
    &box_masks::SPEC,
    &box_overlap::SPEC,
    &broadcast::SPEC,
    &chance::SPEC,
    &chosen_tokens::SPEC,
    &class_peaks::SPEC,
    &concat::SPEC,
    &contrast::SPEC,
    &conv2d::SPEC,
    &conv2d_fused::SPEC,
    &copy::SPEC,
    &cosine::SPEC,
    &cross_entropy::SPEC,
    &distance::SPEC,
    &dropout::SPEC,
    &embedding::SPEC,
    &gather::SPEC,
    &gemm::SPEC,
    &gemm_fused::SPEC,
    &grad_norm::SPEC,
    &kl_div::SPEC,
    &l2_sp::SPEC,
    &layer_norm::SPEC,
    &lerp::SPEC,
    &loss_scale::SPEC,
    &metrics::SPEC,
    &nms::SPEC,
    &normalize::SPEC,
    &one_hot::SPEC,
    &pad::SPEC,
    &permute::SPEC,
    &pool::SPEC,
    &reduce::SPEC,
    &regression::SPEC,
    &relation::SPEC,
    &reshape::SPEC,
    &scale::SPEC,
    &segment::SPEC,
    &sgd::SPEC,
    &slice::SPEC,
    &softmax::SPEC,
    &token_places::SPEC,
    &unary::SPEC,
    &upsample::SPEC,
    &yolo_assign::SPEC,
    &yolo_boxes::SPEC,
];
