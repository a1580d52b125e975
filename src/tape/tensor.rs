//! Tensors: handles into a tape.

use std::any::Any;

use super::graph::{Inner, Source, TensorId};
use super::op::Op;
use super::record::Tape;
use super::shape::{DType, Meta, Shape};
use crate::gpu::BufferSlice;

/// A tensor of a [`Tape`]: a cheap handle. Its methods record ops.
#[derive(Clone)]
pub struct Tensor {
    pub(super) tape: Tape,
    pub(super) id: TensorId,
    pub(super) meta: Meta,
}

/// A tensor as a compiled plan knows it: what is written and read without the tape, from any thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    pub(super) id: TensorId,
    dtype: DType,
    len: usize,
}

impl Handle {
    /// Its element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True where it has no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl From<&Tensor> for Handle {
    fn from(tensor: &Tensor) -> Self {
        tensor.handle()
    }
}

impl From<&&Tensor> for Handle {
    fn from(tensor: &&Tensor) -> Self {
        tensor.handle()
    }
}

impl From<&Handle> for Handle {
    fn from(handle: &Handle) -> Self {
        *handle
    }
}

impl Tensor {
    /// Its place in the tape.
    pub fn id(&self) -> TensorId {
        self.id
    }

    /// What a plan reads and writes it by, once the tape is gone.
    pub fn handle(&self) -> Handle {
        Handle { id: self.id, dtype: self.meta.dtype, len: self.meta.len() }
    }

    /// The tape it is on.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Shape and element type.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Shape.
    pub fn shape(&self) -> &Shape {
        &self.meta.shape
    }

    /// Sizes.
    pub fn dims(&self) -> &[usize] {
        self.meta.shape.dims()
    }

    /// Whether the backward sweep computes a gradient for it.
    pub fn requires_grad(&self) -> bool {
        self.requires_grad_in(&self.tape.inner.borrow())
    }

    /// The input of the op that made this tensor, where that op is `op`. With it an op can take over the work of the one
    /// before it; that one is dropped from the plan if nothing else reads its output.
    pub fn producer_is<O: Op + PartialEq + Clone>(&self, op: &O) -> Option<Tensor> {
        self.producer::<O>().filter(|(made, _)| made == op)?.1.into_iter().next()
    }

    /// The op of type `O` that made this tensor, and what it reads, as they were recorded.
    pub fn producer<O: Op + Clone>(&self) -> Option<(O, Vec<Tensor>)> {
        let inner = self.tape.inner.borrow();
        let Source::Node(node) = inner.tensors[self.id.0].source else { return None };
        let node = &inner.nodes[node];
        let op: &dyn Any = node.op.as_ref();
        let (op, inputs) = (op.downcast_ref::<O>()?.clone(), node.inputs.clone());
        drop(inner);
        Some((op, inputs.into_iter().map(|id| self.tape.tensor(id)).collect()))
    }

    /// Its value, where it is a constant of one f32 element.
    pub fn constant_number(&self) -> Option<f32> {
        match &self.tape.inner.borrow().tensors[self.id.0].source {
            Source::Constant(bytes) if self.meta.dtype == DType::F32 && self.meta.len() == 1 => {
                bytemuck::pod_collect_to_vec(bytes).first().copied()
            }
            _ => None,
        }
    }

    pub(super) fn requires_grad_in(&self, inner: &Inner) -> bool {
        inner.tensors[self.id.0].requires_grad
    }

    /// Asks that this node output be written to the caller's buffer. False where it can't be: leaves, aliases, and
    /// outputs that have a place already (the caller copies instead).
    pub fn place(&self, slice: BufferSlice) -> bool {
        let mut inner = self.tape.inner.borrow_mut();
        let aliased = inner.tensors.iter().any(|t| t.alias_of == Some(self.id));
        let info = &mut inner.tensors[self.id.0];
        let free = matches!(info.source, Source::Node(_)) && info.alias_of.is_none() && info.placed.is_none();
        if !free || aliased || slice.len < info.meta.bytes() {
            return false;
        }
        info.placed = Some(BufferSlice { len: info.meta.bytes(), ..slice });
        true
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor#{} {}", self.id.0, self.meta)
    }
}
