//! Which nodes a plan runs, and in which form.
//!
//! While recording, the op that made an input of a node may offer a second form of that node ([`Op::absorb`]): the same
//! output from the producer's own inputs, with the tensor in between never stored. The tape keeps both. A plan takes the second form where no other
//! node and no caller wants that tensor, so that a tap on it costs what it always did, and nothing is computed twice.
//! A form that rounds otherwise is taken always: no value may depend on what else is wanted of a plan.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::graph::{Inner, Node, Source, TensorId};
use super::op::Op;
use super::record::Tape;
use super::tensor::Tensor;

/// A node's second form, which does without one of its inputs.
pub struct Fused {
    /// Computes the node's output.
    pub op: Rc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Tensor>,
    /// Whether its output may have other bits than the node's own.
    pub rounds: bool,
}

/// A node that reads another node's output, as that one's op gets to see it.
pub struct Consumer<'a> {
    op: &'a dyn Op,
    inputs: &'a [Tensor],
    place: usize,
}

impl Consumer<'_> {
    /// Its op, where that is of type `O`.
    pub fn op<O: Op>(&self) -> Option<&O> {
        let op: &dyn Any = self.op;
        op.downcast_ref()
    }

    /// Which of its inputs the producer made.
    pub fn place(&self) -> usize {
        self.place
    }

    /// What the producer made.
    pub fn between(&self) -> &Tensor {
        &self.inputs[self.place]
    }

    /// Its other inputs, in order.
    pub fn others(&self) -> Vec<Tensor> {
        let others = self.inputs.iter().enumerate().filter(|(i, _)| *i != self.place);
        others.map(|(_, tensor)| tensor.clone()).collect()
    }
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
    /// Asks those that made `inputs` of the node recorded last, whose output is `made`, for a second form of it.
    pub(super) fn note_fused(&self, made: &[Tensor], inputs: &[&Tensor]) {
        let [output] = made else { return };
        if output.requires_grad() {
            return;
        }
        let inputs: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
        let Some((between, Fused { op, inputs, rounds })) = self.absorbed(output, &inputs) else { return };
        let mut inner = self.inner.borrow_mut();
        let Source::Node(before) = inner.tensors[between.0].source else { return };
        // The second form reads later what the node before read earlier: nothing may have been overwritten since.
        let changed = inner.nodes[before..].iter().any(|node| !node.op.in_place().is_empty());
        if let Some(node) = inner.nodes.last_mut().filter(|_| !changed) {
            let inputs = inputs.iter().map(Tensor::id).collect();
            node.fused = Some(FusedNode { op, inputs, between, rounds });
        }
    }

    /// What the first producer to take the node on offers, and the tensor that is then not stored. The latest is asked
    /// first: in a residual block that is the branch, whose output nothing else reads.
    fn absorbed(&self, output: &Tensor, inputs: &[Tensor]) -> Option<(TensorId, Fused)> {
        let (op, _) = self.producer(output.id())?;
        let mut places: Vec<usize> = (0..inputs.len()).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(inputs[place].id()));
        places.into_iter().find_map(|place| {
            let (producer, own) = self.producer(inputs[place].id())?;
            let fused = producer.absorb(&own, &Consumer { op: op.as_ref(), inputs, place })?;
            Some((inputs[place].id(), fused))
        })
    }

    /// The op that makes a tensor, and what it reads: of two forms of the node the fused one.
    fn producer(&self, id: TensorId) -> Option<(Rc<dyn Op>, Vec<Tensor>)> {
        let inner = self.inner.borrow();
        let Source::Node(node) = inner.tensors[id.0].source else { return None };
        let node = &inner.nodes[node];
        let (op, inputs) = match &node.fused {
            Some(fused) => (fused.op.clone(), fused.inputs.clone()),
            None => (node.op.clone(), node.inputs.clone()),
        };
        drop(inner);
        Some((op, inputs.into_iter().map(|id| self.tensor(id)).collect()))
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
