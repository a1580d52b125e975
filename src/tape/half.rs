//! Which intermediates a plan may store as f16.
//!
//! Precision is how a plan stores a tensor, and no property of ops: kernels are written once, for f32, and a conversion follows
//! each load and comes before each store (`gpu/stored`). A lowering may ask whether an input is stored so, to choose a variant.

use std::collections::BTreeSet;

use super::graph::{Inner, Source, TensorId};
use super::record::Tape;
use super::shape::{DType, Meta};
use super::tensor::Tensor;

/// Smaller tensors are not worth a conversion.
const FEWEST_HALVES: usize = 256;

impl Tape {
    /// Runs `record` so that a plan may store as f16 what it records: outputs of two dimensions or more and at least 256
    /// elements, and the gradients of those. Ops need not know: kernels compute in f32 on values that were rounded. f32
    /// stay what the plan keeps, what lies in a caller's buffer, statistics ([`Op::keep_f32`](super::Op::keep_f32)), and what
    /// [`Tensor::keep_full`] asks for. A plan of such a tape needs an adapter with f16: [`crate::gpu::Gpu::need_f16`].
    pub fn half<T>(&self, record: impl FnOnce() -> T) -> T {
        self.inner.borrow_mut().half_depth += 1;
        let out = record();
        self.inner.borrow_mut().half_depth -= 1;
        out
    }

    /// [`Tape::half`] where `wanted`.
    pub fn half_if<T>(&self, wanted: bool, record: impl FnOnce() -> T) -> T {
        if wanted { self.half(record) } else { record() }
    }

    /// Whether what is recorded now may be stored as f16, where it has this shape.
    pub fn would_halve(&self, meta: &Meta) -> bool {
        self.inner.borrow().half_depth > 0 && meta.may_be_half()
    }
}

impl Inner {
    /// Whether `id`, or what it is an alias of, may be stored as f16.
    pub fn is_half(&self, id: TensorId) -> bool {
        self.tensors[self.root(id).0].half
    }

    /// [`Inner::stores_half`] of each.
    pub fn halves(&self, ids: &[TensorId], keep: &BTreeSet<TensorId>) -> Vec<bool> {
        ids.iter().map(|&id| self.stores_half(id, keep)).collect()
    }

    /// Whether a plan that keeps `keep` stores `id` as f16: not what is kept, whose readers get f32, nor what lies in a
    /// caller's buffer.
    pub fn stores_half(&self, id: TensorId, keep: &BTreeSet<TensorId>) -> bool {
        let root = self.root(id);
        self.is_half(root) && !keep.contains(&root) && self.tensors[root.0].placed.is_none()
    }
}

impl Meta {
    /// Whether an intermediate of this shape may be stored as f16.
    pub(super) fn may_be_half(&self) -> bool {
        self.dtype == DType::F32 && self.shape.rank() >= 2 && self.len() >= FEWEST_HALVES
    }
}

impl Tensor {
    /// Keeps this node output as f32 where [`Tape::half`] would have it stored as f16.
    pub fn keep_full(&self) {
        let mut inner = self.tape().inner.borrow_mut();
        let root = inner.root(self.id());
        inner.tensors[root.0].half = false;
    }

    /// Whether a plan may store it as f16.
    pub(crate) fn is_half(&self) -> bool {
        self.tape().inner.borrow().is_half(self.id())
    }

    /// Lets this node output be stored as f16, whatever its shape: for conformance, where small tensors matter most.
    pub(crate) fn store_half(&self) {
        let mut inner = self.tape().inner.borrow_mut();
        let root = inner.root(self.id());
        let info = &mut inner.tensors[root.0];
        info.half = matches!(info.source, Source::Node(_)) && info.meta.dtype == DType::F32;
    }

    /// Lets this node output be stored as f16 where `like` is.
    pub(super) fn halve_like(&self, like: TensorId) {
        let mut inner = self.tape().inner.borrow_mut();
        let root = inner.root(self.id());
        let info = &inner.tensors[root.0];
        let may = matches!(info.source, Source::Node(_)) && info.meta.may_be_half();
        if may && inner.is_half(like) {
            inner.tensors[root.0].half = true;
        }
    }
}
