//! The node list of a tape.

use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fuse::FusedNode;
use super::op::Op;
use super::shape::Meta;
use crate::gpu::BufferSlice;

/// Which tape something is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TapeId(u64);

impl TapeId {
    /// Of no tape yet.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Place of a tensor in its tape, and which tape that is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(super) usize, pub(super) TapeId);

impl std::fmt::Debug for TensorId {
    /// The place alone: which tape it is says nothing outside this process.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TensorId({})", self.0)
    }
}

pub(super) struct Inner {
    pub id: TapeId,
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

impl Inner {
    /// The nodes of a new tape: none.
    pub fn new() -> Self {
        Self {
            id: TapeId::next(),
            nodes: Vec::new(),
            tensors: Vec::new(),
            scalars: Vec::new(),
            scopes: Vec::new(),
            grad_off: 0,
            recomputed: Vec::new(),
            recompute_depth: 0,
            half_depth: 0,
        }
    }

    /// The tensor at a place.
    pub fn id(&self, index: usize) -> TensorId {
        TensorId(index, self.id)
    }

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
