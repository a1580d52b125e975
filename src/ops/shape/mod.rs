//! Ops that move elements and compute nothing.

pub(in crate::ops) mod strided;

pub mod concat;
pub mod gather;
pub mod one_hot;
pub mod pad;
pub mod permute;
pub mod reshape;
pub mod slice;
