//! What a step costs, known before it runs.

use super::graph::{Inner, TensorId};
use super::lower::Lowered;
use super::shape::Meta;
use super::storage::Storage;

/// What a step costs, known before it runs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Cost {
    /// Dispatches a step.
    pub dispatches: usize,
    /// Submits a step.
    pub submits: usize,
    /// Floating-point operations a step.
    pub flops: u64,
    /// Bytes of the buffers that hold intermediates.
    pub planned_bytes: u64,
    /// Bytes that intermediates would take without sharing.
    pub unshared_bytes: u64,
    /// Bytes of inputs and constants.
    pub input_bytes: u64,
    /// Bytes of the callers' buffers (parameters, gradients, optimizer state) that the step uses.
    pub external_bytes: u64,
    /// The largest binding, and what it is.
    pub largest_binding: (u64, String),
    /// The same by node, in order of execution.
    pub nodes: Vec<NodeCost>,
}

/// One node of a [`Cost`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeCost {
    /// Scope and op.
    pub name: String,
    /// Input shapes.
    pub inputs: String,
    /// Output shapes.
    pub outputs: String,
    /// Which of its variants runs; none where it has one only.
    pub variant: Option<String>,
    /// How many variants there are.
    pub variants: usize,
    /// Dispatches.
    pub dispatches: usize,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written, each operand once.
    pub bytes: u64,
}

/// What a node costs, its dispatches not counted yet.
pub(super) fn node_cost(inner: &Inner, one: &Lowered<'_>, storage: &Storage) -> NodeCost {
    let node = &one.node;
    let (ins, outs) = (inner.metas(node.inputs), inner.metas(node.outputs));
    let each = |id: TensorId| if storage.holds_half(inner, id) { 2 } else { 4 };
    let bytes = |id: &TensorId| inner.tensors[id.0].meta.len() as u64 * each(*id);
    let shapes = |metas: &[Meta]| metas.iter().map(|m| m.shape.to_string()).collect::<Vec<_>>().join(" ");
    NodeCost {
        name: node.describe(),
        inputs: shapes(&ins),
        outputs: shapes(&outs),
        variant: one.variant.clone(),
        variants: one.variants.len(),
        dispatches: 0,
        flops: node.op.flops(&ins, &outs),
        bytes: node.inputs.iter().chain(node.outputs).map(bytes).sum(),
    }
}
