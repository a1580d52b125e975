//! The node list, and the handles into it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fuse::FusedNode;
use super::op::Op;
use super::shape::{DType, Meta, Shape};
use super::step::{Scalar, scalar_for};
use crate::gpu::BufferSlice;
use crate::{Error, Result};

/// The growing node list of one step. Clones share it.
#[derive(Clone)]
pub struct Tape {
    pub(super) inner: Rc<RefCell<Inner>>,
}

/// A tensor of a [`Tape`]: a cheap handle. Its methods record ops.
#[derive(Clone)]
pub struct Tensor {
    tape: Tape,
    id: TensorId,
    meta: Meta,
}

/// Place of a tensor in its tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(super) usize);

pub(super) struct Inner {
    pub id: u64,
    pub nodes: Vec<Node>,
    pub tensors: Vec<Info>,
    pub scalars: Vec<String>,
    pub scopes: Vec<String>,
    pub grad_off: usize,
    /// Ranges of nodes that the backward sweep computes again, ascending.
    pub recomputed: Vec<Range<usize>>,
    /// How deep `recompute` calls are nested; only the outermost counts.
    pub recompute_depth: usize,
    /// How deep `half` calls are nested.
    pub half_depth: usize,
}

pub(super) struct Node {
    pub op: Rc<dyn Op>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
    pub scope: String,
    /// Recorded inside [`Tape::half`].
    pub half: bool,
    /// Another way to the same output, where the op knows one.
    pub fused: Option<FusedNode>,
}

pub(super) struct Info {
    pub meta: Meta,
    pub source: Source,
    pub requires_grad: bool,
    /// The tensor whose storage this one shares.
    pub alias_of: Option<TensorId>,
    /// A caller's buffer that a node's output is to be written to.
    pub placed: Option<BufferSlice>,
    /// May be stored as f16. An alias goes by its root.
    pub half: bool,
}

pub(super) enum Source {
    /// Written by the host before a run.
    Input(String),
    /// Uploaded once.
    Constant(Vec<u8>),
    /// In a caller's buffer.
    External(String, BufferSlice),
    /// Output of a node.
    Node(usize),
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let inner = Inner {
            id,
            nodes: Vec::new(),
            tensors: Vec::new(),
            scalars: Vec::new(),
            scopes: Vec::new(),
            grad_off: 0,
            recomputed: Vec::new(),
            recompute_depth: 0,
            half_depth: 0,
        };
        Self { inner: Rc::new(RefCell::new(inner)) }
    }

    /// An f32 tensor that the host writes before each run.
    pub fn input(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.leaf(Meta::f32(shape), Source::Input(name.into()), false)
    }

    /// An i32 tensor that the host writes before each run: labels, sample ids, packed pixels.
    pub fn input_i32(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.leaf(Meta::i32(shape), Source::Input(name.into()), false)
    }

    /// An f32 input that gradients are wanted for.
    pub fn variable(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.leaf(Meta::f32(shape), Source::Input(name.into()), true)
    }

    /// A tensor whose values never change.
    pub fn constant(&self, shape: impl Into<Shape>, values: &[f32]) -> Result<Tensor> {
        let meta = Meta::f32(shape);
        if meta.len() != values.len() {
            let (expected, got) = (format!("{} values for {}", meta.len(), meta), values.len().to_string());
            return Err(Error::shape("constant", expected, got));
        }
        Ok(self.leaf(meta, Source::Constant(bytemuck::cast_slice(values).to_vec()), false))
    }

    /// A tensor in the caller's buffer: a parameter, a running statistic, optimizer state.
    pub fn external(
        &self,
        name: &str,
        meta: Meta,
        slice: BufferSlice,
        requires_grad: bool,
    ) -> Result<Tensor> {
        if slice.len < meta.bytes() {
            let (expected, got) =
                (format!("at least {} bytes for {meta}", meta.bytes()), slice.len.to_string());
            return Err(Error::shape(format!("external tensor {name}"), expected, got));
        }
        let slice = BufferSlice { len: meta.bytes(), ..slice };
        Ok(self.leaf(meta, Source::External(name.into(), slice), requires_grad))
    }

    /// The named per-step number.
    pub fn scalar(&self, name: &str) -> Result<Scalar> {
        scalar_for(&mut self.inner.borrow_mut().scalars, name)
    }

    /// Names what `record` records, for errors, cost tables and traces. Scopes nest.
    pub fn scope<T>(&self, name: &str, record: impl FnOnce() -> T) -> T {
        self.inner.borrow_mut().scopes.push(name.to_string());
        let out = record();
        self.inner.borrow_mut().scopes.pop();
        out
    }

    /// Runs `record` so that nothing it records requires a gradient.
    pub fn no_grad<T>(&self, record: impl FnOnce() -> T) -> T {
        self.inner.borrow_mut().grad_off += 1;
        let out = record();
        self.inner.borrow_mut().grad_off -= 1;
        out
    }

    /// Runs `record` so that the backward sweep computes what it records a second time, from what came in, instead of
    /// keeping it until then: memory for time, with the same bits (activation checkpointing, Chen et al. 1604.06174).
    /// What later nodes read is kept.
    pub fn recompute<T>(&self, record: impl FnOnce() -> T) -> T {
        let start = self.len();
        self.inner.borrow_mut().recompute_depth += 1;
        let out = record();
        let mut inner = self.inner.borrow_mut();
        inner.recompute_depth -= 1;
        if inner.recompute_depth == 0 && inner.nodes.len() > start {
            let end = inner.nodes.len();
            inner.recomputed.push(start..end);
        }
        out
    }

    /// Appends a node and returns its outputs. This is how every op, also a user's own, gets on the tape.
    pub fn record(&self, op: impl Op + 'static, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.record_shared(Rc::new(op), inputs)
    }

    /// [`Tape::record`] for an op that is already shared.
    pub fn record_shared(&self, op: Rc<dyn Op>, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let made = self.append(op, inputs)?;
        self.note_fused(&made, inputs);
        Ok(made)
    }

    fn append(&self, op: Rc<dyn Op>, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        if inputs.iter().any(|t| !t.tape.is(self)) {
            return Err(Error::shape(op.name(), "tensors of one tape", "tensors of different tapes"));
        }
        let metas: Vec<Meta> = inputs.iter().map(|t| t.meta.clone()).collect();
        let outputs = op.infer(&metas)?;
        let mut inner = self.inner.borrow_mut();
        for &i in op.in_place() {
            let external = inputs.get(i).map(|t| &inner.tensors[t.id.0].source);
            if !matches!(external, Some(Source::External(..) | Source::Input(_))) {
                let expected = format!("input {i}, which it overwrites, to live in a caller's buffer");
                return Err(Error::shape(op.name(), expected, "the output of another op"));
            }
        }
        let requires_grad =
            inner.grad_off == 0 && op.differentiable() && inputs.iter().any(|t| t.requires_grad_in(&inner));
        let node = inner.nodes.len();
        let half = inner.half_depth > 0;
        let alias_of = op.is_alias().then(|| inputs.first().map(|t| inner.root(t.id))).flatten();
        let made: Vec<Tensor> = outputs
            .into_iter()
            .enumerate()
            .map(|(i, meta)| {
                let requires_grad = requires_grad && meta.dtype == DType::F32;
                let info = Info {
                    meta: meta.clone(),
                    source: Source::Node(node),
                    requires_grad,
                    alias_of,
                    placed: None,
                    half: half && meta.may_be_half() && !op.in_full().contains(&i),
                };
                inner.tensors.push(info);
                Tensor { tape: self.clone(), id: TensorId(inner.tensors.len() - 1), meta }
            })
            .collect();
        let node = Node {
            op,
            inputs: inputs.iter().map(|t| t.id).collect(),
            outputs: made.iter().map(|t| t.id).collect(),
            scope: inner.scopes.join("/"),
            half,
            fused: None,
        };
        inner.nodes.push(node);
        Ok(made)
    }

    /// [`Tape::record`] for ops with one output.
    pub fn record1(&self, op: impl Op + 'static, inputs: &[&Tensor]) -> Result<Tensor> {
        let name = op.name();
        self.record(op, inputs)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::shape(name, "an op with an output", "one without"))
    }

    /// Nodes recorded so far.
    pub fn len(&self) -> usize {
        self.inner.borrow().nodes.len()
    }

    /// True where nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn leaf(&self, meta: Meta, source: Source, requires_grad: bool) -> Tensor {
        let mut inner = self.inner.borrow_mut();
        let requires_grad = requires_grad && inner.grad_off == 0;
        let (alias_of, placed, half) = (None, None, false);
        inner.tensors.push(Info { meta: meta.clone(), source, requires_grad, alias_of, placed, half });
        Tensor { tape: self.clone(), id: TensorId(inner.tensors.len() - 1), meta }
    }

    /// Records the nodes of `range` once more, on copies of what they made; gives the copy of each tensor.
    pub(super) fn copy_nodes(&self, range: Range<usize>) -> Result<HashMap<TensorId, Tensor>> {
        let mut copies: HashMap<TensorId, Tensor> = HashMap::new();
        for node in range {
            let (op, inputs, outputs, scope) = {
                let inner = self.inner.borrow();
                let node = &inner.nodes[node];
                let op = node.op.again().unwrap_or_else(|| node.op.clone());
                (op, node.inputs.clone(), node.outputs.clone(), node.scope.clone())
            };
            let inputs: Vec<Tensor> =
                inputs.iter().map(|id| copies.get(id).cloned().unwrap_or_else(|| self.tensor(*id))).collect();
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            let made = self.scope(&scope, || self.append(op, &inputs))?;
            for (original, copy) in outputs.into_iter().zip(made) {
                let mut inner = self.inner.borrow_mut();
                // Backward rules ask which inputs want a gradient.
                inner.tensors[copy.id.0].requires_grad = inner.tensors[original.0].requires_grad;
                inner.tensors[copy.id.0].half = inner.tensors[original.0].half;
                drop(inner);
                copies.insert(original, copy);
            }
        }
        Ok(copies)
    }

    pub(super) fn tensor(&self, id: TensorId) -> Tensor {
        let meta = self.inner.borrow().tensors[id.0].meta.clone();
        Tensor { tape: self.clone(), id, meta }
    }

    pub(super) fn is(&self, other: &Tape) -> bool {
        self.inner.borrow().id == other.inner.borrow().id
    }
}

impl Inner {
    /// The tensor that owns the storage of `id`.
    pub fn root(&self, id: TensorId) -> TensorId {
        self.tensors[id.0].alias_of.unwrap_or(id)
    }

    /// Shapes and types of tensors.
    pub fn metas(&self, ids: &[TensorId]) -> Vec<Meta> {
        ids.iter().map(|id| self.tensors[id.0].meta.clone()).collect()
    }

    /// What errors call a tensor.
    pub fn describe(&self, id: TensorId) -> String {
        let info = &self.tensors[id.0];
        match &info.source {
            Source::Input(name) | Source::External(name, _) => format!("{name} ({})", info.meta),
            Source::Constant(_) => format!("a constant ({})", info.meta),
            Source::Node(node) => format!("{} ({})", self.nodes[*node].describe(), info.meta),
        }
    }
}

impl Node {
    pub fn describe(&self) -> String {
        self.describe_as(self.op.name())
    }

    pub fn describe_as(&self, name: &str) -> String {
        match self.scope.as_str() {
            "" => name.to_string(),
            scope => format!("{scope}/{name}"),
        }
    }
}

impl Tensor {
    /// Its place in the tape.
    pub fn id(&self) -> TensorId {
        self.id
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

    fn requires_grad_in(&self, inner: &Inner) -> bool {
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
