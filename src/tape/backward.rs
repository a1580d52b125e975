//! The backward sweep: from a scalar loss to a gradient node for every leaf that requires one.
//!
//! Recomputing is recording again: where [`Tape::recompute`] marked a range of nodes, the sweep records them once more when it
//! gets there and differentiates the copies, so that the memory plan frees the originals. An op that would change something twice
//! says what to run instead ([`Op::recompute_as`](super::op::Op::recompute_as)).

use std::collections::HashMap;

use super::graph::{TapeId, TensorId};
use super::op::Backward;
use super::record::Tape;
use super::tensor::Tensor;
use crate::{Error, Result};

/// The one op that the sweep itself needs; `ops/` provides it, so that the tape knows no op by name.
pub struct GradOps {
    /// Sum of two tensors of equal shape.
    pub add: fn(&Tensor, &Tensor) -> Result<Tensor>,
}

/// Gradients of a loss, by tensor.
#[derive(Debug)]
pub struct Gradients {
    tape: TapeId,
    by_tensor: HashMap<TensorId, Tensor>,
}

impl Gradients {
    /// d loss / d `tensor`.
    ///
    /// # Errors
    /// [`Error::Misuse`] where there is none: the loss does not depend on it, it requires none, or it is of another tape.
    pub fn get(&self, tensor: &Tensor) -> Result<&Tensor> {
        let missing = || {
            Error::misuse(
                "gradients",
                "a tensor that the loss depends on and that requires a gradient",
                format!("{tensor:?}"),
            )
        };
        self.find(tensor)?.ok_or_else(missing)
    }

    /// d loss / d `tensor`; `None` where the loss does not depend on it or it requires none.
    ///
    /// # Errors
    /// [`Error::Misuse`] where it is of another tape.
    pub fn find(&self, tensor: &Tensor) -> Result<Option<&Tensor>> {
        if tensor.id().1 != self.tape {
            return Err(Error::misuse(
                "gradients",
                "a tensor of the tape that they are on",
                format!("{tensor:?} of another one"),
            ));
        }
        Ok(self.by_tensor.get(&tensor.id()))
    }
}

impl Tape {
    /// Appends the nodes that compute d `loss` / d leaf for every leaf that requires a gradient.
    ///
    /// `loss` must have one element. Nodes recorded here require no gradient themselves.
    pub fn backward(&self, loss: &Tensor, ops: &GradOps) -> Result<Gradients> {
        let seed = self.constant(loss.shape().clone(), &vec![1.0; loss.meta().len()])?;
        self.backward_scaled(loss, &seed, ops)
    }

    /// [`Tape::backward`] for `scale` times the loss, where `scale` has the loss's shape.
    pub fn backward_scaled(&self, loss: &Tensor, scale: &Tensor, ops: &GradOps) -> Result<Gradients> {
        if loss.meta().len() != 1 {
            return Err(Error::shape("backward", "a loss of one element", loss.meta().to_string()));
        }
        if !loss.requires_grad() {
            let got = "a loss that depends on none (is the student in no_grad, or frozen?)";
            return Err(Error::misuse(
                "backward",
                "a loss that depends on a tensor that requires a gradient",
                got,
            ));
        }
        if scale.meta() != loss.meta() {
            let expected = format!("a scale like the loss, {}", loss.meta());
            return Err(Error::shape("backward", expected, scale.meta().to_string()));
        }
        self.no_grad(|| self.sweep(loss, scale.clone(), ops))
    }

    fn sweep(&self, loss: &Tensor, seed: Tensor, ops: &GradOps) -> Result<Gradients> {
        let mut grads = Gradients { tape: self.inner.borrow().id, by_tensor: HashMap::new() };
        grads.by_tensor.insert(loss.id(), seed);
        let mut recomputed = self.inner.borrow().recomputed.clone();
        let mut copies: HashMap<TensorId, Tensor> = HashMap::new();
        for node in (0..self.len()).rev() {
            let (op, inputs, outputs, scope, half) = {
                let inner = self.inner.borrow();
                let node = &inner.nodes[node];
                (node.op.clone(), node.inputs.clone(), node.outputs.clone(), node.scope.clone(), node.half)
            };
            let douts: Vec<Option<Tensor>> =
                outputs.iter().map(|id| grads.by_tensor.get(id).cloned()).collect();
            let wanted = |id: &TensorId| self.inner.borrow().tensors[id.0].requires_grad;
            if douts.iter().all(Option::is_none) || !outputs.iter().any(wanted) {
                continue;
            }
            while recomputed.last().is_some_and(|range| node < range.start) {
                recomputed.pop();
            }
            if let Some(range) = recomputed.pop_if(|range| range.contains(&node)) {
                // Here, and not before: what is copied lives from now on.
                copies = self.copy_nodes(range)?;
            }
            let seen = |ids: &[TensorId]| -> Vec<Tensor> {
                ids.iter().map(|id| copies.get(id).cloned().unwrap_or_else(|| self.tensor(*id))).collect()
            };
            let originals = inputs.clone();
            let (inputs, outputs) = (seen(&inputs), seen(&outputs));
            let at = Backward { inputs: &inputs, outputs: &outputs, douts: &douts };
            let dinputs = self.scope(&scope, || self.half_if(half, || op.backward(&at)))?;
            for ((input, id), gradient) in inputs.iter().zip(originals).zip(dinputs) {
                let Some(gradient) = gradient.filter(|_| input.requires_grad()) else { continue };
                if gradient.shape() != input.shape() {
                    let expected = format!("a gradient of shape {}", input.shape());
                    return Err(Error::shape(op.name(), expected, gradient.shape().to_string()));
                }
                let sum = match grads.by_tensor.get(&id) {
                    Some(earlier) => self.scope(&scope, || (ops.add)(earlier, &gradient))?,
                    None => gradient,
                };
                sum.halve_like(id);
                grads.by_tensor.insert(id, sum);
            }
        }
        Ok(grads)
    }
}
