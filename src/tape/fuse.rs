//! Which nodes a plan runs, and in which form.
//!
//! While recording, an op may offer a second form of its node ([`Op::fused`]): the same output from the inputs of the node
//! before it, with the tensor in between never stored. The tape keeps both. A plan takes the second form where no other
//! node and no caller wants that tensor, so that a tap on it costs what it always did, and nothing is computed twice.
//! A form that rounds otherwise is taken always: no value may depend on what else is wanted of a plan.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::op::Op;
use super::tensor::{Inner, Node, Source, Tape, Tensor, TensorId};

/// A node's second form.
pub struct Fused {
    /// Computes the node's output.
    pub op: Rc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Tensor>,
    /// The node's input that it does without.
    pub between: Tensor,
    /// Whether its output may have other bits than the node's own.
    pub rounds: bool,
}

/// [`Fused`] on the tape.
pub(super) struct FusedNode {
    op: Rc<dyn Op>,
    inputs: Vec<TensorId>,
    between: TensorId,
    rounds: bool,
}

/// A node that a plan runs, in the form it runs in.
#[derive(Clone, Copy)]
pub(super) struct Live<'a> {
    node: &'a Node,
    pub op: &'a Rc<dyn Op>,
    pub inputs: &'a [TensorId],
    pub outputs: &'a [TensorId],
}

impl Tape {
    /// Asks the op of the node recorded last, which made `made` of `inputs`, for a second form of it.
    pub(super) fn note_fused(&self, made: &[Tensor], inputs: &[&Tensor]) {
        let [output] = made else { return };
        let Some(op) = self.maker_of(output).filter(|_| !output.requires_grad()) else { return };
        let inputs: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
        let Some(Fused { op, inputs, between, rounds }) = op.fused(&inputs) else { return };
        let mut inner = self.inner.borrow_mut();
        let Source::Node(before) = inner.tensors[between.id().0].source else { return };
        // The second form reads later what the node before read earlier: nothing may have been overwritten since.
        let changed = inner.nodes[before..].iter().any(|node| !node.op.in_place().is_empty());
        if let Some(node) = inner.nodes.last_mut().filter(|_| !changed) {
            let inputs = inputs.iter().map(Tensor::id).collect();
            node.fused = Some(FusedNode { op, inputs, between: between.id(), rounds });
        }
    }

    fn maker_of(&self, tensor: &Tensor) -> Option<Rc<dyn Op>> {
        let inner = self.inner.borrow();
        match inner.tensors[tensor.id().0].source {
            Source::Node(node) => Some(inner.nodes[node].op.clone()),
            _ => None,
        }
    }
}

impl Tensor {
    /// The op of type `O` that makes this tensor, and what it reads: of two forms of the node the fused one. For
    /// [`Op::fused`].
    pub fn maker<O: Op + Clone>(&self) -> Option<(O, Vec<Tensor>)> {
        let inner = self.tape().inner.borrow();
        let Source::Node(node) = inner.tensors[self.id().0].source else { return None };
        let node = &inner.nodes[node];
        let (op, inputs) = match &node.fused {
            Some(fused) => (&fused.op, &fused.inputs),
            None => (&node.op, &node.inputs),
        };
        let op: &dyn Any = op.as_ref();
        let (op, inputs) = (op.downcast_ref::<O>()?.clone(), inputs.clone());
        drop(inner);
        Some((op, inputs.into_iter().map(|id| self.tape().tensor(id)).collect()))
    }
}

impl Live<'_> {
    /// What errors, cost tables and traces call it.
    pub fn describe(&self) -> String {
        self.node.describe_as(self.op.name())
    }
}

/// Nodes that lead to a kept tensor or write a caller's buffer, ascending, as they were recorded.
pub(super) fn live_nodes(inner: &Inner, keep: &BTreeSet<TensorId>) -> Vec<usize> {
    live(inner, keep, |index| &inner.nodes[index].inputs)
}

/// The same for a plan: with `fuse`, in second forms where they save a tensor.
pub(super) fn chosen_nodes<'a>(inner: &'a Inner, keep: &BTreeSet<TensorId>, fuse: bool) -> Vec<Live<'a>> {
    let chosen = if fuse { chosen_forms(inner, keep) } else { BTreeSet::new() };
    let form = |index: usize| {
        let node = &inner.nodes[index];
        match node.fused.as_ref().filter(|_| chosen.contains(&index)) {
            Some(fused) => (&fused.op, &fused.inputs),
            None => (&node.op, &node.inputs),
        }
    };
    let run = live(inner, keep, |index| form(index).1);
    run.into_iter()
        .map(|index| {
            let (op, inputs) = form(index);
            Live { node: &inner.nodes[index], op, inputs, outputs: &inner.nodes[index].outputs }
        })
        .collect()
}

fn live<'a>(
    inner: &'a Inner,
    keep: &BTreeSet<TensorId>,
    inputs: impl Fn(usize) -> &'a Vec<TensorId>,
) -> Vec<usize> {
    let mut wanted = keep.clone();
    let mut live = Vec::new();
    for (index, node) in inner.nodes.iter().enumerate().rev() {
        let effect = !node.op.in_place().is_empty();
        let placed = node.outputs.iter().any(|id| inner.tensors[id.0].placed.is_some());
        if effect || placed || node.outputs.iter().any(|id| wanted.contains(id)) {
            // An alias stands for its root: wanting either means wanting the node that writes the root.
            wanted.extend(inputs(index).iter().flat_map(|&id| [id, inner.root(id)]));
            live.push(index);
        }
    }
    live.reverse();
    live
}

/// The nodes whose tensor in between has no other reader, and those that round otherwise. A second form may build on that
/// of the node before it, and is chosen only with it.
fn chosen_forms(inner: &Inner, keep: &BTreeSet<TensorId>) -> BTreeSet<usize> {
    let plain = live_nodes(inner, keep);
    let mut readers: HashMap<TensorId, usize> = HashMap::new();
    for id in plain.iter().flat_map(|&index| &inner.nodes[index].inputs) {
        *readers.entry(*id).or_default() += 1;
    }
    let mut chosen = BTreeSet::new();
    for index in plain {
        let Some(FusedNode { between, rounds, .. }) = &inner.nodes[index].fused else { continue };
        let info = &inner.tensors[between.0];
        let Source::Node(before) = info.source else { continue };
        let alone = readers.get(between) == Some(&1) && !keep.contains(between) && info.placed.is_none();
        if (alone || *rounds) && (inner.nodes[before].fused.is_none() || chosen.contains(&before)) {
            chosen.insert(index);
        }
    }
    chosen
}
