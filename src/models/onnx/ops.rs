//! The operators there are, and those that compute element by element or with matrices.

use super::lower::{At, Value};
use super::{resize, shape, window};
use crate::Result;
use crate::ops::gemm::Gemm;
use crate::ops::unary::Function;
use crate::tape::Tensor;

/// Records a node's output.
pub(super) type Lower = fn(&At<'_>) -> Result<Tensor>;

/// Every operator that runs on the images. Those on shapes and constants are in `fold.rs`.
#[rustfmt::skip]
pub(super) static OPS: &[(&str, Lower)] = &[
    ("Abs", |at| at.tensor(0)?.abs()),
    ("Add", add),
    ("AveragePool", window::average_pool),
    ("BatchNormalization", batch_norm),
    ("Cast", shape::cast),
    ("Clip", clip),
    ("Concat", shape::concat),
    ("Conv", window::conv),
    ("Div", div),
    ("Dropout", shape::identity),
    ("Exp", |at| at.tensor(0)?.exp()),
    ("Flatten", shape::reshaped),
    ("Gather", shape::gather),
    ("Gelu", gelu),
    ("Gemm", gemm),
    ("GlobalAveragePool", window::global_average_pool),
    ("GlobalMaxPool", window::global_max_pool),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", |at| at.tensor(0)?.hardswish()),
    ("Identity", shape::identity),
    ("LeakyRelu", |at| at.tensor(0)?.leaky_relu(at.node.float("alpha").unwrap_or(0.01))),
    ("LogSoftmax", |at| softmax(at, true)),
    ("MatMul", |at| at.tensor(0)?.matmul(&at.tensor(1)?)),
    ("MaxPool", window::max_pool),
    ("Mish", |at| at.tensor(0)?.mish()),
    ("Mul", mul),
    ("Neg", |at| at.tensor(0)?.scale(-1.0)),
    ("Pad", shape::pad),
    ("ReduceMax", |at| reduce(at, Tensor::max)),
    ("ReduceMean", |at| reduce(at, Tensor::mean)),
    ("ReduceSum", |at| reduce(at, Tensor::sum)),
    ("Relu", |at| at.tensor(0)?.relu()),
    ("Reshape", shape::reshaped),
    ("Resize", resize::resize),
    ("Sigmoid", |at| at.tensor(0)?.sigmoid()),
    ("Slice", shape::slice),
    ("Softmax", |at| softmax(at, false)),
    ("Softplus", |at| at.tensor(0)?.softplus()),
    ("Sqrt", |at| at.tensor(0)?.sqrt()),
    ("Squeeze", shape::reshaped),
    ("Sub", sub),
    ("Sum", sum),
    ("Tanh", |at| at.tensor(0)?.tanh()),
    ("Transpose", shape::transpose),
    ("Unsqueeze", shape::reshaped),
];

fn batch_norm(at: &At<'_>) -> Result<Tensor> {
    if at.node.int("training_mode", 0) == 1 {
        return Err(at.fail("the graph was exported in training mode; export it after model.eval()"));
    }
    let eps = at.node.float("epsilon").unwrap_or(1e-5);
    let (x, gamma, beta) = (at.tensor(0)?, at.tensor(1)?, at.tensor(2)?);
    let (mean, var) = (at.statistic(3)?, at.statistic(4)?);
    if !at.pass.by_batch() {
        return x.batch_norm_eval(&gamma, &beta, &mean, &var, eps);
    }
    // The share that the running statistics keep is what PyTorch calls 1 - momentum. Those of a frozen network stay.
    let kept = if gamma.requires_grad() { at.node.float("momentum").unwrap_or(0.9) } else { 1.0 };
    x.batch_norm_train(&gamma, &beta, &mean, &var, 1.0 - kept, eps)
}

/// alpha * op(A) op(B) + beta * C.
fn gemm(at: &At<'_>) -> Result<Tensor> {
    let (a, b) = (at.tensor(0)?, at.tensor(1)?);
    let factor = |name| at.node.float(name).unwrap_or(1.0);
    let (alpha, beta) = (factor("alpha"), factor("beta"));
    let flag = |name| at.node.int(name, 0) == 1;
    let op = Gemm { trans_a: flag("transA"), trans_b: flag("transB") };
    let c = at.input(2).map(|_| at.tensor(2)).transpose()?;
    match c {
        None => a.tape().record1(op, &[&a, &b])?.scale(alpha),
        Some(c)
            if c.dims().len() == 1
                && (alpha, beta) == (1.0, 1.0)
                && c.dims()[0] == b.dims()[usize::from(!op.trans_b)] =>
        {
            a.tape().record1(op, &[&a, &b, &c])
        }
        Some(c) => a.tape().record1(op, &[&a, &b])?.scale(alpha)?.add(&c.scale(beta)?),
    }
}

/// The one number that an input is, where it is one: cheaper than a tensor that is broadcast.
fn scalar(at: &At<'_>, i: usize) -> Result<Option<f32>> {
    match at.input(i) {
        Some(Value::Known(array, _)) if array.dims.iter().all(|&d| d == 1) && array.dims.len() <= 1 => {
            Ok(at.known(i)?.and_then(|array| array.number()))
        }
        _ => Ok(None),
    }
}

fn add(at: &At<'_>) -> Result<Tensor> {
    match (scalar(at, 0)?, scalar(at, 1)?) {
        (_, Some(b)) => at.tensor(0)?.add_scalar(b),
        (Some(a), None) => at.tensor(1)?.add_scalar(a),
        (None, None) => at.tensor(0)?.add(&at.tensor(1)?),
    }
}

fn sub(at: &At<'_>) -> Result<Tensor> {
    match (scalar(at, 0)?, scalar(at, 1)?) {
        (_, Some(b)) => at.tensor(0)?.add_scalar(-b),
        (Some(a), None) => at.tensor(1)?.scale(-1.0)?.add_scalar(a),
        (None, None) => at.tensor(0)?.sub(&at.tensor(1)?),
    }
}

fn mul(at: &At<'_>) -> Result<Tensor> {
    match (scalar(at, 0)?, scalar(at, 1)?) {
        (_, Some(b)) => at.tensor(0)?.scale(b),
        (Some(a), None) => at.tensor(1)?.scale(a),
        (None, None) => at.tensor(0)?.mul(&at.tensor(1)?),
    }
}

fn div(at: &At<'_>) -> Result<Tensor> {
    match scalar(at, 1)? {
        Some(b) => at.tensor(0)?.scale(1.0 / b),
        None => at.tensor(0)?.div(&at.tensor(1)?),
    }
}

fn sum(at: &At<'_>) -> Result<Tensor> {
    (1..at.node.inputs.len()).try_fold(at.tensor(0)?, |sum, i| sum.add(&at.tensor(i)?))
}

/// min(max(x, low), high), with the kernels of relu: max(x, low) = relu(x - low) + low.
fn clip(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let bound = |name, i| Ok(at.number(name, i)?.filter(|bound| bound.is_finite() && bound.abs() < f32::MAX));
    let shifted = |x: Tensor, by: f32| if by == 0.0 { Ok(x) } else { x.add_scalar(by) };
    match (bound("min", 1)?, bound("max", 2)?) {
        (Some(0.0), Some(6.0)) => x.relu6(),
        (low, high) => {
            let x = match low {
                Some(low) => shifted(shifted(x, -low)?.relu()?, low)?,
                None => x,
            };
            match high {
                Some(high) => shifted(shifted(x.scale(-1.0)?, high)?.relu()?.scale(-1.0)?, high),
                None => Ok(x),
            }
        }
    }
}

/// max(0, min(1, alpha x + beta)), with the kernel of relu6.
fn hard_sigmoid(at: &At<'_>) -> Result<Tensor> {
    let (alpha, beta) = (at.node.float("alpha").unwrap_or(0.2), at.node.float("beta").unwrap_or(0.5));
    at.tensor(0)?.scale(6.0 * alpha)?.add_scalar(6.0 * beta)?.relu6()?.scale(1.0 / 6.0)
}

fn gelu(at: &At<'_>) -> Result<Tensor> {
    let function =
        if at.node.text("approximate") == Some("tanh") { Function::GeluTanh } else { Function::Gelu };
    at.tensor(0)?.unary(function)
}

fn softmax(at: &At<'_>, log: bool) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let rank = x.dims().len();
    let last = at.axis(-1, rank)?;
    let axis = at.axis(at.node.int("axis", if at.opset() < 13 { 1 } else { -1 }), rank)?;
    if at.opset() < 13 && axis != last {
        return Err(
            at.fail("before version 13 it takes all later axes together; export for version 13 or later")
        );
    }
    if log { x.log_softmax(axis) } else { x.softmax(axis) }
}

fn reduce(at: &At<'_>, op: fn(&Tensor, &[usize], bool) -> Result<Tensor>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let rank = x.dims().len();
    let mut axes = match at.list("axes", 1)? {
        Some(axes) => at.axes(&axes, rank)?,
        None if at.node.int("noop_with_empty_axes", 0) == 1 => return Ok(x),
        None => (0..rank).collect(),
    };
    axes.sort_unstable();
    let keep = at.node.int("keepdims", 1) == 1;
    // The mean of whole planes has a kernel of its own.
    if at.node.op == "ReduceMean" && rank == 4 && axes == [2, 3] {
        return if keep { x.adaptive_avg_pool2d([1, 1]) } else { x.global_avg_pool() };
    }
    op(&x, &axes, keep)
}
