//! Operators that only move values: their shape rules, shared by tensors on the tape and arrays known already.

use super::array::{Data, OnnxArray};
use super::lower::{At, Value};
use super::window::MOST;
use crate::Result;
use crate::ops::slice::SliceAxis;
use crate::tape::Tensor;

pub(super) fn identity(at: &At<'_>) -> Result<Tensor> {
    at.tensor(0)
}

/// To a float type: everything is f32 here.
pub(super) fn cast(at: &At<'_>) -> Result<Tensor> {
    match at.node.int("to", 1) {
        1 | 10 | 11 | 16 => at.tensor(0),
        other => Err(at.fail(format!("element type {other} is for constants only; expected a float type"))),
    }
}

pub(super) fn reshaped(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let dims = new_dims(at, x.dims())?;
    x.reshape(dims)
}

/// Sizes after Reshape, Flatten, Squeeze or Unsqueeze of `dims`.
pub(super) fn new_dims(at: &At<'_>, dims: &[usize]) -> Result<Vec<usize>> {
    match at.node.op.as_str() {
        "Flatten" => {
            let axis = at.node.int("axis", 1);
            let axis = if axis == dims.len() as i64 { dims.len() } else { at.axis(axis, dims.len())? };
            Ok(vec![dims[..axis].iter().product(), dims[axis..].iter().product()])
        }
        "Squeeze" => {
            let axes = match at.list("axes", 1)? {
                Some(axes) => at.axes(&axes, dims.len())?,
                None => (0..dims.len()).filter(|&axis| dims[axis] == 1).collect(),
            };
            if let Some(axis) = axes.iter().find(|&&axis| dims[axis] != 1) {
                return Err(at.fail(format!("axis {axis} of {dims:?} is not of size 1")));
            }
            Ok((0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect())
        }
        "Unsqueeze" => {
            let axes = at.list("axes", 1)?.ok_or_else(|| at.fail("expected axes, found none"))?;
            let rank = dims.len() + axes.len();
            let axes = at.axes(&axes, rank)?;
            let mut rest = dims.iter().copied();
            Ok((0..rank)
                .map(|axis| if axes.contains(&axis) { 1 } else { rest.next().unwrap_or(1) })
                .collect())
        }
        _ => reshape_dims(at, dims),
    }
}

fn reshape_dims(at: &At<'_>, dims: &[usize]) -> Result<Vec<usize>> {
    let wanted = at.list("shape", 1)?.ok_or_else(|| at.fail("expected a shape, found none"))?;
    let elements: usize = dims.iter().product();
    let fail = |why: &str| at.fail(format!("{dims:?} has no shape {wanted:?}{why}"));
    let mut out = Vec::new();
    let mut open = None;
    for (i, &size) in wanted.iter().enumerate() {
        match size {
            -1 if open.is_none() => {
                open = Some(i);
                out.push(1);
            }
            0 if at.node.int("allowzero", 0) == 0 => {
                out.push(*dims.get(i).ok_or_else(|| fail(": it has no such axis"))?);
            }
            _ => out.push(usize::try_from(size).map_err(|_| fail(""))?),
        }
    }
    // A graph exported for a fixed batch writes that batch into its shapes; the first axis is the batch here too.
    let batch = at.pass.batch;
    if let Some(exported) = at.exported_batch().filter(|&exported| exported != batch)
        && dims.first() == Some(&batch)
        && wanted.first() == Some(&(exported as i64))
    {
        out[0] = batch;
    }
    let known = out.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(|| fail(""))?;
    if let Some(i) = open
        && known > 0
    {
        out[i] = elements / known;
    }
    if out.iter().product::<usize>() == elements {
        return Ok(out);
    }
    Err(match at.exported_batch() {
        Some(exported) if exported != batch => fail(&format!(
            ": the graph was exported for batches of {exported} and does not run with {batch}; export it with a \
             dynamic batch axis, or use `batch_size = {exported}`"
        )),
        _ => fail(""),
    })
}

pub(super) fn transpose(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let order = order(at, x.dims().len())?;
    x.permute(&order)
}

/// The axes that Transpose asks for; backwards where it says none.
pub(super) fn order(at: &At<'_>, rank: usize) -> Result<Vec<usize>> {
    let order = match at.node.ints("perm") {
        Some(order) => at.axes(order, rank)?,
        None => (0..rank).rev().collect(),
    };
    match (0..rank).all(|axis| order.contains(&axis)) && order.len() == rank {
        true => Ok(order),
        false => Err(at.fail(format!("expected each of {rank} axes once, got {order:?}"))),
    }
}

pub(super) fn concat(at: &At<'_>) -> Result<Tensor> {
    let all = (0..at.node.inputs.len()).map(|i| at.tensor(i)).collect::<Result<Vec<_>>>()?;
    let rank = all.first().map_or(0, |x| x.dims().len());
    let axis = at.axis(at.node.int("axis", 0), rank)?;
    Tensor::concat(&all.iter().collect::<Vec<_>>(), axis)
}

pub(super) fn slice(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let axis = |span: Span| {
        let step =
            usize::try_from(span.step).map_err(|_| at.fail("backward steps are for constants only"))?;
        Ok(SliceAxis { start: span.start, len: span.len, step })
    };
    let axes = spans(at, x.dims())?.into_iter().map(axis).collect::<Result<Vec<_>>>()?;
    x.slice_step(&axes)
}

/// What Slice takes of an axis.
pub(super) struct Span {
    pub start: usize,
    pub len: usize,
    /// Not 0; below 0 it goes backward.
    pub step: i64,
}

impl Span {
    /// The `i`-th element's place.
    pub fn place(&self, i: usize) -> usize {
        (self.start as i64 + i as i64 * self.step) as usize
    }

    fn new(size: usize, start: i64, end: i64, step: i64) -> Self {
        let size = size as i64;
        let counted = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
        // Forward from 0 to the size; backward from the last element to the place before the first.
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let (start, end) =
            (counted(start).clamp(low.max(0), high.max(0)), counted(end).clamp(low, high.max(low)));
        let room = if step > 0 { end - start } else { start - end };
        let len = (room.max(0) as u64).div_ceil(step.unsigned_abs()) as usize;
        Self { start: start as usize, len: if size == 0 { 0 } else { len }, step }
    }
}

/// Starts, ends, axes and steps of a Slice, one span for each axis.
pub(super) fn spans(at: &At<'_>, dims: &[usize]) -> Result<Vec<Span>> {
    let need = |what: &str| at.fail(format!("expected {what}, found none"));
    let starts = at.list("starts", 1)?.ok_or_else(|| need("starts"))?;
    let ends = at.list("ends", 2)?.ok_or_else(|| need("ends"))?;
    let axes = at.list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let axes = at.axes(&axes, dims.len())?;
    let steps = at.list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || steps.contains(&0) {
        return Err(at.fail("expected as many starts, ends, axes and steps, and no step of 0"));
    }
    let mut out: Vec<Span> = dims.iter().map(|&len| Span { start: 0, len, step: 1 }).collect();
    for (i, &axis) in axes.iter().enumerate() {
        out[axis] = Span::new(dims[axis], starts[i], ends[i], steps[i]);
    }
    Ok(out)
}

/// One element of an axis, by a constant number.
pub(super) fn gather(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let axis = at.axis(at.node.int("axis", 0), x.dims().len())?;
    let index = at.known(1)?.filter(|index| index.dims.is_empty());
    let index = index.ok_or_else(|| at.fail("only a single constant index is supported"))?;
    let index = index.as_ints().map_err(|e| at.fail(e))?.first().copied().unwrap_or(0);
    let index = at.axis(index, x.dims()[axis])?;
    let mut dims = x.dims().to_vec();
    dims.remove(axis);
    x.slice(axis, index, 1)?.reshape(dims)
}

pub(super) fn pad(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    if let Some(mode) = at.node.text("mode").filter(|mode| *mode != "constant") {
        return Err(at.fail(format!("expected mode constant, got {mode}")));
    }
    let pads = at.list("pads", 1)?.ok_or_else(|| at.fail("expected pads, found none"))?;
    let value = at.number("value", 2)?.unwrap_or(0.0);
    let rank = x.dims().len();
    let axes = match at.list("axes", 3)? {
        Some(axes) => at.axes(&axes, rank)?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(at.fail(format!("expected two pads an axis, got {pads:?} for {} axes", axes.len())));
    }
    let mut all = vec![(0, 0); rank];
    for (i, &axis) in axes.iter().enumerate() {
        let size = |n: i64| match n {
            0..MOST => Ok(n as usize),
            _ => Err(at.fail(format!("expected pads from 0 to {MOST}, got {pads:?}"))),
        };
        all[axis] = (size(pads[i])?, size(pads[axes.len() + i])?);
    }
    if all.iter().all(|&pads| pads == (0, 0)) { Ok(x) } else { x.pad(&all, value) }
}

/// Shape: the sizes of anything, from `start` to `end`.
pub(super) fn shape(at: &At<'_>) -> Result<OnnxArray> {
    let dims: Vec<i64> = match at.input(0) {
        Some(Value::Tensor(x)) => x.dims().iter().map(|&d| d as i64).collect(),
        Some(Value::Known(array, _)) => array.dims.iter().map(|&d| d as i64).collect(),
        None => return Err(at.fail("expected an input, found none")),
    };
    let rank = dims.len() as i64;
    let place = |n: i64| if n < 0 { n.saturating_add(rank) } else { n }.clamp(0, rank) as usize;
    let (start, end) = (place(at.node.int("start", 0)), place(at.node.int("end", rank)));
    Ok(OnnxArray::ints(dims[start..end.max(start)].to_vec()))
}

/// ConstantOfShape.
pub(super) fn filled(at: &At<'_>) -> Result<OnnxArray> {
    let sizes = at.list("", 0)?.unwrap_or_default();
    let dims = sizes.iter().map(|&d| usize::try_from(d).map_err(|_| at.fail(format!("a size of {d}"))));
    let dims = dims.collect::<Result<Vec<usize>>>()?;
    let n = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    at.spend(n)?;
    let data = match at.node.array("value").map(|value| &value.data) {
        Some(Data::Int(values)) => Data::Int(vec![values.first().copied().unwrap_or(0); n]),
        Some(Data::Float(values)) => Data::Float(vec![values.first().copied().unwrap_or(0.0); n]),
        None => Data::Float(vec![0.0; n]),
    };
    OnnxArray::new(dims, data).map_err(|e| at.fail(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_slices() {
        let place = |size, start, end, step| {
            let span = Span::new(size, start, end, step);
            (0..span.len).map(|i| span.place(i)).collect::<Vec<_>>()
        };
        assert_eq!(place(5, 1, i64::MAX, 2), [1, 3]);
        assert_eq!(place(5, -2, 5, 1), [3, 4]);
        assert_eq!(place(5, -1, i64::MIN, -1), [4, 3, 2, 1, 0]);
        assert_eq!(place(5, 9, 1, -2), [4, 2]);
        assert!(place(5, 3, 1, 1).is_empty());
        assert!(place(0, 0, 5, 1).is_empty());
    }
}
