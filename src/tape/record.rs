//! Recording: a tape grows by nodes, and nothing runs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use super::graph::{Info, Inner, Node, Source, TensorId};
use super::op::Op;
use super::shape::{DType, Meta, Shape};
use super::step::{Scalar, scalar_for};
use super::tensor::Tensor;
use crate::gpu::BufferSlice;
use crate::{Error, Result};

/// The growing node list of one step. Clones share it.
///
/// ```
/// use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
/// use limbeck::tape::{Plan, Step, Tape};
///
/// # fn main() -> limbeck::Result<()> {
/// let tape = Tape::new();
/// let x = tape.variable("x", [3]);
/// // Recording runs nothing: it checks shapes and appends nodes, here for the sum of squares and its gradient.
/// let sum = x.mul(&x)?.sum(&[0], false)?;
/// let gradients = sum.backward()?;
/// let dx = gradients.get(&x)?;
///
/// let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
/// let plan = Plan::new(&gpu, &tape, &[&sum, dx])?;
/// plan.write(&x, &[1.0f32, 2.0, 3.0])?;
/// plan.run(&Step::new(0, 0))?;
/// assert_eq!(plan.read_f32(&sum)?, [14.0]);
/// assert_eq!(plan.read_f32(dx)?, [2.0, 4.0, 6.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tape {
    pub(super) inner: Rc<RefCell<Inner>>,
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self { inner: Rc::new(RefCell::new(Inner::new())) }
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
        let mut inner = self.inner.borrow_mut();
        let tape = inner.id;
        scalar_for(&mut inner.scalars, tape, name)
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
            return Err(Error::misuse(op.name(), "tensors of one tape", "tensors of different tapes"));
        }
        let metas: Vec<Meta> = inputs.iter().map(|t| t.meta.clone()).collect();
        let outputs = op.infer(&metas)?;
        let mut inner = self.inner.borrow_mut();
        for &i in op.in_place() {
            let external = inputs.get(i).map(|t| &inner.tensors[t.id.0].source);
            if !matches!(external, Some(Source::External(..) | Source::Input(_))) {
                let expected = format!("input {i}, which it overwrites, to live in a caller's buffer");
                return Err(Error::misuse(op.name(), expected, "the output of another op"));
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
                    half: half && meta.may_be_half() && !op.keep_f32().contains(&i),
                };
                inner.tensors.push(info);
                Tensor { tape: self.clone(), id: inner.id(inner.tensors.len() - 1), meta }
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
            .ok_or_else(|| Error::misuse(name, "an op with an output", "one without"))
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
        Tensor { tape: self.clone(), id: inner.id(inner.tensors.len() - 1), meta }
    }

    /// Records the nodes of `range` once more, on copies of what they made; gives the copy of each tensor.
    pub(super) fn copy_nodes(&self, range: Range<usize>) -> Result<HashMap<TensorId, Tensor>> {
        let mut copies: HashMap<TensorId, Tensor> = HashMap::new();
        for node in range {
            let (op, inputs, outputs, scope) = {
                let inner = self.inner.borrow();
                let node = &inner.nodes[node];
                let op = node.op.recompute_as().unwrap_or_else(|| node.op.clone());
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
