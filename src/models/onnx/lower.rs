//! Runs through a graph once, recording limbeck's ops for what depends on the images and computing the rest here.
//!
//! A tape's shapes are known as it is recorded, so the `Shape`, `Gather` and `Concat` nodes with which exporters write
//! down reshapes are plain arithmetic on numbers that are there: no shape inference is needed.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use super::array::OnnxArray;
use super::fold;
use super::graph::{Graph, Node};
use super::ops::OPS;
use crate::nn::ParamKind;
use crate::tape::{Tape, Tensor};
use crate::{Error, Result};

/// What a name of the graph stands for.
#[derive(Clone)]
pub(super) enum Value {
    /// Depends on the images.
    Tensor(Tensor),
    /// Known already, with the name that it is a weight by.
    Known(Rc<OnnxArray>, String),
}

/// Where weights come from, and where nodes are noted.
pub(super) trait Host {
    /// The weight `name`, whose values are `array`, on the tape.
    fn weight(&self, name: &str, array: &Rc<OnnxArray>, kind: ParamKind) -> Result<Tensor>;

    /// The values of `name` are needed here and now.
    fn read(&self, name: &str);

    /// Whether batch norms normalise by the batch's statistics.
    fn by_batch(&self) -> bool {
        false
    }

    /// Records a node that makes `value`.
    fn node(&self, label: &str, value: &str, record: &mut dyn FnMut() -> Result<Tensor>) -> Result<Tensor>;
}

/// Most elements of an activation. What a device holds is checked before anything runs; this keeps products of sizes
/// from overflowing until then.
const MAX_ELEMENTS: u64 = 1 << 40;

/// Whether a tensor of these sizes is within [`MAX_ELEMENTS`], also where usize has 32 bits.
fn is_plausible(sizes: &[usize]) -> bool {
    let elements = sizes.iter().try_fold(1u64, |n, &size| n.checked_mul(size as u64));
    elements.is_some_and(|n| n <= MAX_ELEMENTS && usize::try_from(n).is_ok())
}

/// A pass through the graph.
pub(super) struct Pass<'g> {
    graph: &'g Graph,
    host: &'g dyn Host,
    tape: Tape,
    /// Images a step.
    pub batch: usize,
    /// Elements that constants may still be computed to: a small file must not ask for endless memory.
    allowance: Cell<usize>,
}

/// A node with what its inputs stand for.
pub(super) struct At<'p> {
    pub node: &'p Node,
    pub pass: &'p Pass<'p>,
    inputs: Vec<Option<Value>>,
}

/// Records the graph on images (N, C, H, W), and returns these of its values as they are.
pub(super) fn record(
    graph: &Graph,
    wanted: &[String],
    host: &dyn Host,
    images: &Tensor,
) -> Result<Vec<Tensor>> {
    let given: usize = graph.constants.values().map(|array| array.dims.iter().product::<usize>()).sum();
    let allowance = Cell::new(given.saturating_mul(4).saturating_add(1 << 24));
    let pass = Pass { graph, host, tape: images.tape().clone(), batch: images.dims()[0], allowance };
    let mut values: HashMap<&str, Value> = HashMap::new();
    for (name, array) in &graph.constants {
        values.insert(name, Value::Known(array.clone(), name.clone()));
    }
    values.insert(&graph.input.name, Value::Tensor(images.clone()));
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(|name| values.get(name.as_str()).cloned()).collect();
        let at = At { node, pass: &pass, inputs };
        let made = at.run().map_err(|e| {
            let what = format!("{} of ONNX operator set {}", node.describe(), graph.opset);
            Error::config(what, e)
        })?;
        if let Some(name) = node.outputs.first() {
            values.insert(name, made);
        }
    }
    let output = |name: &String| match values.get(name.as_str()) {
        Some(Value::Tensor(output)) => Ok(output.clone()),
        _ => {
            let message = format!("its output \"{name}\" does not depend on the images");
            Err(Error::config("ONNX graph", message))
        }
    };
    wanted.iter().map(output).collect()
}

impl Pass<'_> {
    /// Whether batch norms normalise by the batch's statistics.
    pub fn by_batch(&self) -> bool {
        self.host.by_batch()
    }
}

impl At<'_> {
    fn run(&self) -> Result<Value> {
        let missing = self.node.inputs.iter().zip(&self.inputs).find(|(n, v)| !n.is_empty() && v.is_none());
        if let Some((name, _)) = missing {
            // An output besides the first: the mask of a dropout, the indices of a pooling.
            return Err(
                self.fail(format!("it reads \"{name}\", a second output, and only first ones are supported"))
            );
        }
        let output = self.node.outputs.first().map_or("", String::as_str);
        if let Some(folded) = fold::fold(self)? {
            return Ok(folded);
        }
        let Some((_, lower)) = OPS.iter().find(|(name, _)| *name == self.node.op) else {
            let known: Vec<&str> = OPS.iter().map(|(name, _)| *name).collect();
            return Err(self.fail(format!("this operator is not supported; there are {}", known.join(", "))));
        };
        let tensor = self.pass.host.node(&self.node.label, output, &mut || lower(self))?;
        if !is_plausible(tensor.dims()) {
            return Err(self.fail(format!("its output {} is too large for any device", tensor.shape())));
        }
        Ok(Value::Tensor(tensor))
    }

    /// Notes that a constant of `elements` elements is about to be computed.
    pub fn spend(&self, elements: usize) -> Result<()> {
        let left = self.pass.allowance.get().checked_sub(elements);
        let left = left.ok_or_else(|| self.fail("its constants grow far larger than the file's weights"))?;
        self.pass.allowance.set(left);
        Ok(())
    }

    pub fn fail(&self, message: impl Into<String>) -> Error {
        Error::config(&self.node.op, message.into())
    }

    /// The version of the standard operators.
    pub fn opset(&self) -> i64 {
        self.pass.graph.opset
    }

    /// The batch that the graph was exported for, where it is fixed.
    pub fn exported_batch(&self) -> Option<usize> {
        self.pass.graph.input.dims[0]
    }

    pub fn input(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i)?.as_ref()
    }

    pub fn inputs(&self) -> impl Iterator<Item = &Value> {
        self.inputs.iter().flatten()
    }

    /// Input `i` as a tensor; a known one as a weight.
    pub fn tensor(&self, i: usize) -> Result<Tensor> {
        self.tensor_of(i, ParamKind::Weight { decay: false })
    }

    /// [`At::tensor`], for a running statistic.
    pub fn statistic(&self, i: usize) -> Result<Tensor> {
        self.tensor_of(i, ParamKind::State)
    }

    fn tensor_of(&self, i: usize, kind: ParamKind) -> Result<Tensor> {
        match self.input(i) {
            Some(Value::Tensor(tensor)) => Ok(tensor.clone()),
            Some(Value::Known(array, name)) if array.dims.is_empty() => {
                self.pass.host.read(name);
                self.constant(vec![1], &array.to_floats())
            }
            Some(Value::Known(array, name)) => self.pass.host.weight(name, array, kind),
            None => Err(self.fail(format!("expected an input {i}, found none"))),
        }
    }

    /// Input `i` where it must be known before anything runs; `None` where it is left out.
    pub fn known(&self, i: usize) -> Result<Option<&OnnxArray>> {
        match self.input(i) {
            None => Ok(None),
            Some(Value::Known(array, name)) => {
                self.pass.host.read(name);
                Ok(Some(array))
            }
            Some(Value::Tensor(_)) => {
                Err(self
                    .fail(format!("input {i} depends on the images; expected a constant, such as a shape")))
            }
        }
    }

    /// Integers that are an attribute in older versions and input `i` in newer ones.
    pub fn list(&self, attribute: &str, i: usize) -> Result<Option<Vec<i64>>> {
        if let Some(list) = self.node.ints(attribute) {
            return Ok(Some(list.to_vec()));
        }
        let array = self.known(i)?;
        array.map(|array| array.as_ints().map(<[i64]>::to_vec).map_err(|e| self.fail(e))).transpose()
    }

    /// A number that is an attribute in older versions and input `i` in newer ones.
    pub fn number(&self, attribute: &str, i: usize) -> Result<Option<f32>> {
        if let Some(x) = self.node.float(attribute) {
            return Ok(Some(x));
        }
        Ok(self.known(i)?.and_then(OnnxArray::number))
    }

    pub fn constant(&self, dims: Vec<usize>, values: &[f32]) -> Result<Tensor> {
        self.pass.tape.constant(dims, values)
    }

    /// An axis counted from either end.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let counted = if axis < 0 { axis + rank as i64 } else { axis };
        let found = usize::try_from(counted).ok().filter(|axis| *axis < rank);
        found.ok_or_else(|| self.fail(format!("expected an axis of {rank}, got {axis}")))
    }

    /// Several axes.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>> {
        axes.iter().map(|&axis| self.axis(axis, rank)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::is_plausible;

    #[test]
    fn sizes_that_no_device_holds_are_not_plausible() {
        assert!(is_plausible(&[]) && is_plausible(&[1 << 20, 1 << 10]));
        // 4 * 2^62 is 0 in 64 bits, and 2^16 * 2^16 is 0 in 32.
        assert!(!is_plausible(&[1 << 20, 1 << 21]) && !is_plausible(&[4, 1 << 31, 1 << 31]));
        assert_eq!(is_plausible(&[1 << 16, 1 << 16]), usize::BITS > 32);
    }
}
