//! Slices: `y[o] = x[start + o * step]` along each axis. The gradient is zero where no element was taken.

use crate::ops::common::expect_inputs;
use crate::ops::shape::pad::{Pad, PadAxis};
use crate::ops::shape::strided::{View, copy_view, expect_rank, unravel};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Step, Tensor};
use crate::{Error, Result};

/// Elements `start`, `start + step`, ... of one axis, `len` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceAxis {
    /// First element.
    pub start: usize,
    /// How many.
    pub len: usize,
    /// Distance between neighbours, at least 1.
    pub step: usize,
}

impl SliceAxis {
    /// All of an axis of this size.
    pub fn all(size: usize) -> Self {
        Self { start: 0, len: size, step: 1 }
    }

    /// Every `step`-th element of an axis of this size, from the first: Python's `::step`.
    pub fn every(size: usize, step: usize) -> Self {
        Self { start: 0, len: size.div_ceil(step.max(1)), step }
    }

    fn fits(&self, size: usize) -> bool {
        let last = self.len.checked_sub(1).and_then(|n| n.checked_mul(self.step)).unwrap_or(0);
        let end = self.start.checked_add(last).and_then(|n| n.checked_add(usize::from(self.len > 0)));
        self.step > 0 && end.is_some_and(|end| end <= size)
    }
}

/// y = x at these elements of every axis. Any element type.
#[derive(Debug, Clone)]
pub struct Slice {
    /// One for each axis, outermost first.
    pub axes: Vec<SliceAxis>,
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_rank(self.name(), &inputs[0])?;
        let dims = inputs[0].shape.dims();
        if self.axes.len() != dims.len() {
            let expected = format!("one range for each dimension of {}", inputs[0]);
            return Err(Error::shape(self.name(), expected, self.axes.len().to_string()));
        }
        for (a, (axis, &size)) in self.axes.iter().zip(dims).enumerate() {
            if !axis.fits(size) {
                let SliceAxis { start, len, step } = axis;
                let expected = format!("a range inside the {size} elements of axis {a} of {}", inputs[0]);
                let got = format!("start {start}, len {len}, step {step}");
                return Err(Error::shape(self.name(), expected, got));
            }
        }
        let sizes: Vec<usize> = self.axes.iter().map(|axis| axis.len).collect();
        Ok(vec![Meta { shape: sizes.into(), dtype: inputs[0].dtype }])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, dy) = (&at.inputs[0], at.dy()?);
        let axes = self.axes.iter().zip(x.dims()).map(|(axis, &size)| PadAxis::around(axis, size)).collect();
        Ok(vec![Some(x.tape().record1(Pad { axes, value: 0.0 }, &[dy])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let strides = crate::tape::Shape::from(to.input(0)).strides();
        let axes =
            self.axes.iter().zip(&strides).map(|(axis, stride)| (axis.len, axis.step * stride)).collect();
        let base = self.axes.iter().zip(&strides).map(|(axis, stride)| axis.start * stride).sum();
        copy_view(to, self.name(), &View { axes, base });
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let sizes: Vec<usize> = self.axes.iter().map(|axis| axis.len).collect();
        let strides = inputs[0].shape.strides();
        let mut y = Array::zeros(sizes.clone());
        for (i, value) in y.data.iter_mut().enumerate() {
            let index = unravel(i, &sizes);
            let at = index.iter().zip(&self.axes).zip(&strides).map(|((o, a), s)| (a.start + o * a.step) * s);
            *value = inputs[0].data[at.sum::<usize>()];
        }
        vec![y]
    }
}

impl Tensor {
    /// Elements `start .. start + len` of an axis.
    pub fn slice(&self, axis: usize, start: usize, len: usize) -> Result<Tensor> {
        let mut axes: Vec<SliceAxis> = self.dims().iter().map(|&size| SliceAxis::all(size)).collect();
        let rank = axes.len();
        match axes.get_mut(axis) {
            Some(range) => *range = SliceAxis { start, len, step: 1 },
            None => return Err(Error::shape("slice", format!("an axis below {rank}"), axis.to_string())),
        }
        self.slice_step(&axes)
    }

    /// These elements of each axis; one range for every axis.
    pub fn slice_step(&self, axes: &[SliceAxis]) -> Result<Tensor> {
        self.tape().record1(Slice { axes: axes.to_vec() }, &[self])
    }

    /// Every `steps[a]`-th element along each axis: `x[:, :, ::2, ::2]` is `x.slice_every(&[1, 1, 2, 2])`.
    pub fn slice_every(&self, steps: &[usize]) -> Result<Tensor> {
        let axes: Vec<SliceAxis> =
            self.dims().iter().zip(steps).map(|(&size, &step)| SliceAxis::every(size, step)).collect();
        if steps.len() != self.dims().len() {
            let expected = format!("one step for each dimension of {}", self.meta());
            return Err(Error::shape("slice", expected, steps.len().to_string()));
        }
        self.slice_step(&axes)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "slice", cases };

fn cases() -> Vec<Case> {
    let slice = |shape: &[usize], ranges: &[(usize, usize, usize)]| {
        let axes = ranges.iter().map(|&(start, len, step)| SliceAxis { start, len, step }).collect();
        Case::new(Slice { axes }, vec![Input::normal(shape)])
    };
    let words = Input { meta: Meta::i32([5, 7]), fill: Fill::Below(99), grad: false };
    let rows = vec![SliceAxis { start: 1, len: 3, step: 1 }, SliceAxis { start: 2, len: 5, step: 1 }];
    vec![
        slice(&[1], &[(0, 1, 1)]),
        slice(&[47], &[(5, 41, 1)]),
        slice(&[41, 55], &[(1, 39, 1), (2, 47, 1)]),
        slice(&[7, 12], &[(2, 4, 1), (0, 12, 1)]),
        slice(&[3, 16], &[(0, 3, 1), (4, 8, 1)]),
        slice(&[3, 16], &[(0, 3, 1), (3, 8, 1)]),
        slice(&[3, 5, 7], &[(1, 2, 1), (0, 5, 1), (2, 3, 1)]),
        // Option-A shortcuts: x[:, :, ::2, ::2], odd and even.
        slice(&[2, 3, 8, 8], &[(0, 2, 1), (0, 3, 1), (0, 4, 2), (0, 4, 2)]),
        slice(&[2, 2, 7, 5], &[(0, 2, 1), (0, 2, 1), (0, 4, 2), (0, 3, 2)]),
        slice(&[41], &[(1, 13, 3)]),
        slice(&[2, 1, 3, 2, 4, 3], &[(0, 2, 1), (0, 1, 1), (0, 2, 2), (1, 1, 1), (0, 2, 3), (1, 2, 1)]),
        slice(&[3, 4], &[(1, 0, 1), (0, 4, 1)]),
        Case::new(Slice { axes: rows }, vec![words]),
    ]
}
