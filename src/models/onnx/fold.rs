//! Nodes whose inputs are all known, computed as the graph is read: shapes, axes, and constants that exporters spread
//! over several nodes.

use std::rc::Rc;

use super::array::{Data, OnnxArray};
use super::lower::{At, Value};
use super::shape;
use crate::Result;
use crate::tape::Shape;

/// The node's value, where nothing about it depends on the images and the operator is one of those below.
pub(super) fn fold(at: &At<'_>) -> Result<Option<Value>> {
    let op = at.node.op.as_str();
    if op == "Shape" {
        return Ok(Some(known(at, shape::shape(at)?)));
    }
    let all_known = at.inputs().all(|value| matches!(value, Value::Known(..)));
    let Some(Value::Known(first, _)) = at.input(0).filter(|_| all_known) else { return Ok(None) };
    let array = match op {
        // The same value under another name: a weight that two layers share stays one.
        "Identity" | "Dropout" => return Ok(at.input(0).cloned()),
        "ConstantOfShape" => shape::filled(at)?,
        "Cast" => cast(first, at.node.int("to", 1)),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let dims = shape::new_dims(at, &first.dims)?;
            at.spend(first.data.len())?;
            OnnxArray::new(dims, whole(at, 0)?.data.clone()).map_err(|e| at.fail(e))?
        }
        "Transpose" => {
            let order = shape::order(at, first.dims.len())?;
            let strides = Shape::new(first.dims.clone()).strides();
            let dims: Vec<usize> = order.iter().map(|&axis| first.dims[axis]).collect();
            let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
            pick(at, whole(at, 0)?, &dims, |index| dot(index, &strides))?
        }
        "Slice" => {
            let spans = shape::spans(at, &first.dims)?;
            let strides = Shape::new(first.dims.clone()).strides();
            let dims: Vec<usize> = spans.iter().map(|span| span.len).collect();
            pick(at, whole(at, 0)?, &dims, |index| {
                let places = index.iter().zip(&spans).map(|(&i, span)| span.place(i));
                places.zip(&strides).map(|(place, stride)| place * stride).sum()
            })?
        }
        "Gather" => gather(at)?,
        "Concat" => concat(at)?,
        "Add" => binary(at, |a, b| a + b, i64::wrapping_add)?,
        "Sub" => binary(at, |a, b| a - b, i64::wrapping_sub)?,
        "Mul" => binary(at, |a, b| a * b, i64::wrapping_mul)?,
        "Div" => binary(at, |a, b| a / b, |a, b| a.checked_div(b).unwrap_or(0))?,
        "Sqrt" => {
            let x = whole(at, 0)?;
            let data = Data::Float(x.to_floats().into_iter().map(f32::sqrt).collect());
            OnnxArray { dims: x.dims.clone(), data }
        }
        _ => return Ok(None),
    };
    Ok(Some(known(at, array)))
}

fn known(at: &At<'_>, array: OnnxArray) -> Value {
    Value::Known(Rc::new(array), at.node.outputs.first().cloned().unwrap_or_default())
}

/// Input `i`, whose values are needed now.
fn whole<'a>(at: &'a At<'_>, i: usize) -> Result<&'a OnnxArray> {
    at.known(i)?.ok_or_else(|| at.fail(format!("expected an input {i}, found none")))
}

fn cast(x: &OnnxArray, to: i64) -> OnnxArray {
    let float = matches!(to, 1 | 10 | 11 | 16);
    let data = match &x.data {
        Data::Float(values) if !float => Data::Int(values.iter().map(|&v| v as i64).collect()),
        Data::Int(_) if float => Data::Float(x.to_floats()),
        same => same.clone(),
    };
    OnnxArray { dims: x.dims.clone(), data }
}

/// An array of these sizes whose elements are those of `x` at the places that `place` says, or 0 where there is none.
fn pick(at: &At<'_>, x: &OnnxArray, dims: &[usize], place: impl Fn(&[usize]) -> usize) -> Result<OnnxArray> {
    let elements = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    at.spend(elements)?;
    let places = (0..elements).map(|i| place(&unravel(i, dims)));
    let data = match &x.data {
        Data::Float(values) => Data::Float(places.map(|p| values.get(p).copied().unwrap_or(0.0)).collect()),
        Data::Int(values) => Data::Int(places.map(|p| values.get(p).copied().unwrap_or(0)).collect()),
    };
    Ok(OnnxArray { dims: dims.to_vec(), data })
}

fn unravel(mut i: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (at, &size) in index.iter_mut().zip(dims).rev() {
        *at = i % size;
        i /= size;
    }
    index
}

fn dot(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, stride)| i * stride).sum()
}

fn gather(at: &At<'_>) -> Result<OnnxArray> {
    let (x, index) = (whole(at, 0)?, whole(at, 1)?);
    let axis = at.axis(at.node.int("axis", 0), x.dims.len())?;
    let rows = index.as_ints().map_err(|e| at.fail(e))?;
    let rows = at.axes(rows, x.dims[axis])?;
    let strides = Shape::new(x.dims.clone()).strides();
    let dims = [&x.dims[..axis], &index.dims, &x.dims[axis + 1..]].concat();
    let inner = axis + index.dims.len();
    pick(at, x, &dims, |i| {
        let row = dot(&i[axis..inner], &Shape::new(index.dims.clone()).strides());
        let outer = dot(&i[..axis], &strides) + dot(&i[inner..], &strides[axis + 1..]);
        outer + rows.get(row).copied().unwrap_or(0) * strides[axis]
    })
}

fn concat(at: &At<'_>) -> Result<OnnxArray> {
    let all = (0..at.node.inputs.len()).map(|i| whole(at, i)).collect::<Result<Vec<_>>>()?;
    let axis = at.axis(at.node.int("axis", 0), all[0].dims.len())?;
    let mut dims = all[0].dims.clone();
    dims[axis] = all.iter().map(|x| x.dims.get(axis).copied().unwrap_or(0)).sum();
    at.spend(all.iter().map(|x| x.data.len()).sum())?;
    let outer: usize = dims[..axis].iter().product();
    let inner: usize = dims[axis + 1..].iter().product();
    let data = if all.iter().all(|x| matches!(x.data, Data::Int(_))) {
        let parts =
            all.iter().map(|x| Ok((x.as_ints()?.to_vec(), x.dims.get(axis).copied().unwrap_or(0) * inner)));
        Data::Int(joined(&parts.collect::<Result<Vec<_>, String>>().map_err(|e| at.fail(e))?, outer))
    } else {
        let parts: Vec<_> =
            all.iter().map(|x| (x.to_floats(), x.dims.get(axis).copied().unwrap_or(0) * inner)).collect();
        Data::Float(joined(&parts, outer))
    };
    OnnxArray::new(dims, data).map_err(|e| at.fail(e))
}

/// Rows of each part in turn.
fn joined<T: Copy>(parts: &[(Vec<T>, usize)], rows: usize) -> Vec<T> {
    let row =
        |r: usize| parts.iter().flat_map(move |(values, n)| values.get(r * n..(r + 1) * n).unwrap_or(&[]));
    (0..rows).flat_map(row).copied().collect()
}

fn binary(at: &At<'_>, float: impl Fn(f32, f32) -> f32, int: impl Fn(i64, i64) -> i64) -> Result<OnnxArray> {
    let (a, b) = (whole(at, 0)?, whole(at, 1)?);
    let rank = a.dims.len().max(b.dims.len());
    let padded = |x: &OnnxArray| [vec![1; rank - x.dims.len()], x.dims.clone()].concat();
    let (da, db) = (padded(a), padded(b));
    if let Some(axis) = (0..rank).find(|&i| da[i] != db[i] && da[i] != 1 && db[i] != 1) {
        return Err(at.fail(format!("{:?} and {:?} differ in axis {axis}", a.dims, b.dims)));
    }
    let dims: Vec<usize> = (0..rank).map(|i| if da[i] == 1 { db[i] } else { da[i] }).collect();
    let place = |of: &[usize]| {
        let strides = Shape::new(of.to_vec()).strides();
        let fixed: Vec<usize> =
            of.iter().zip(strides).map(|(&size, stride)| if size == 1 { 0 } else { stride }).collect();
        move |index: &[usize]| dot(index, &fixed)
    };
    let (a, b) = (pick(at, a, &dims, place(&da))?, pick(at, b, &dims, place(&db))?);
    let data = match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => Data::Int(a.iter().zip(b).map(|(&a, &b)| int(a, b)).collect()),
        _ => Data::Float(a.to_floats().into_iter().zip(b.to_floats()).map(|(a, b)| float(a, b)).collect()),
    };
    Ok(OnnxArray { dims, data })
}
