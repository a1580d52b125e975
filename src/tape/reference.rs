//! What a tape computes by the f64 references of its ops, without a device: for checks of whole passes.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::array::Array;
use super::fuse::live_nodes;
use super::graph::{Source, TensorId};
use super::op::Op;
use super::record::Tape;
use super::shape::{DType, Meta};
use super::step::Step;
use super::tensor::Tensor;
use crate::{Error, Result};

/// A recorded node, for checks of one op at a time.
pub(crate) struct RecordedNode {
    pub op: Rc<dyn Op>,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
}

impl Tape {
    /// The nodes recorded so far, in order.
    pub(crate) fn recorded(&self) -> Vec<RecordedNode> {
        let node = |index: usize| {
            let (op, inputs, outputs) = {
                let inner = self.inner.borrow();
                let node = &inner.nodes[index];
                (node.op.clone(), node.inputs.clone(), node.outputs.clone())
            };
            let tensors = |ids: Vec<TensorId>| ids.into_iter().map(|id| self.tensor(id)).collect();
            RecordedNode { op, inputs: tensors(inputs), outputs: tensors(outputs) }
        };
        (0..self.len()).map(node).collect()
    }

    /// The ops recorded so far with the shapes of their inputs, in order.
    pub fn ops(&self) -> Vec<(Rc<dyn Op>, Vec<Meta>)> {
        let inner = self.inner.borrow();
        inner.nodes.iter().map(|node| (node.op.clone(), inner.metas(&node.inputs))).collect()
    }

    /// The values of `wanted` by the references, from those of the leaves. In-place ops change a leaf's value, as they do
    /// on the device, so a leaf may be wanted too.
    ///
    /// Fails where a leaf that is read has no value, or where a reference returns another number of arrays than its op
    /// has outputs and overwritten inputs.
    pub fn reference(
        &self,
        step: &Step,
        leaves: &[(&Tensor, Array)],
        wanted: &[&Tensor],
    ) -> Result<Vec<Array>> {
        let inner = self.inner.borrow();
        let mut values: HashMap<TensorId, Array> =
            leaves.iter().map(|(tensor, value)| (tensor.id(), value.clone())).collect();
        for (index, info) in inner.tensors.iter().enumerate() {
            if let (Source::Constant(bytes), DType::F32) = (&info.source, info.meta.dtype) {
                let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
                let data = numbers.into_iter().map(f64::from).collect();
                values.insert(inner.id(index), Array::new(info.meta.shape.clone(), data));
            }
        }
        let value_of = |values: &HashMap<TensorId, Array>, id: TensorId| {
            let missing = || {
                Error::misuse(
                    "reference",
                    "a value for every leaf",
                    format!("none for {}", inner.describe(id)),
                )
            };
            values.get(&id).cloned().ok_or_else(missing)
        };
        let keep: BTreeSet<TensorId> = wanted.iter().flat_map(|t| [t.id(), inner.root(t.id())]).collect();
        for index in live_nodes(&inner, &keep) {
            let node = &inner.nodes[index];
            let arrays =
                node.inputs.iter().map(|&id| value_of(&values, id)).collect::<Result<Vec<Array>>>()?;
            let overwritten = node.op.in_place().iter().map(|&i| node.inputs[i]);
            let written: Vec<TensorId> = node.outputs.iter().copied().chain(overwritten).collect();
            let made = node.op.reference(step, &arrays);
            if made.len() != written.len() {
                let expected = format!("{} arrays from the reference", written.len());
                return Err(Error::misuse(node.op.name(), expected, made.len().to_string()));
            }
            values.extend(written.into_iter().zip(made));
        }
        wanted.iter().map(|tensor| value_of(&values, tensor.id())).collect()
    }
}
