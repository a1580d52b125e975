//! Padding with a constant: y = value with x laid into it, its elements `step` apart. The gradient is a slice.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise, expect_f32, expect_inputs};
use crate::ops::shape::slice::{Slice, SliceAxis};
use crate::ops::shape::strided::{expect_rank, unravel};
use crate::ops::spec::{Case, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/shape/pad.wgsl");

/// Padding of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PadAxis {
    /// Elements before x.
    pub before: usize,
    /// Elements after x.
    pub after: usize,
    /// Distance between neighbours of x in y, at least 1; between them lies the padding value too.
    pub step: usize,
}

impl PadAxis {
    /// The padding that puts what `axis` took from `size` elements back in its place.
    pub(in crate::ops) fn around(axis: &SliceAxis, size: usize) -> Self {
        let before = axis.start;
        Self { before, after: size.saturating_sub(before + span(axis.len, axis.step)), step: axis.step }
    }
}

/// How far `len` elements `step` apart reach.
fn span(len: usize, step: usize) -> usize {
    if len == 0 { 0 } else { (len - 1) * step + 1 }
}

/// y = x surrounded by, and where a step is above 1 interleaved with, `value`.
#[derive(Debug, Clone)]
pub struct Pad {
    /// One for each axis, outermost first.
    pub axes: Vec<PadAxis>,
    /// What the padding holds; finite.
    pub value: f32,
}

impl Pad {
    fn sizes(&self, dims: &[usize]) -> Vec<usize> {
        self.axes.iter().zip(dims).map(|(a, &len)| a.before + span(len, a.step) + a.after).collect()
    }
}

/// One axis as the kernel sees it.
#[derive(Clone, Copy)]
struct KernelAxis {
    size: usize,
    before: usize,
    len: usize,
    step: usize,
    stride: usize,
}

impl Pad {
    /// Fewest axes that say the same, innermost first; at least one.
    fn kernel_axes(&self, dims: &[usize]) -> Vec<KernelAxis> {
        let strides = Shape::from(dims).strides();
        let mut merged: Vec<KernelAxis> = Vec::new();
        for (a, size) in self.sizes(dims).into_iter().enumerate().rev() {
            let PadAxis { before, step, .. } = self.axes[a];
            let axis = KernelAxis { size, before, len: dims[a], step, stride: strides[a] };
            match merged.last_mut() {
                // An inner axis without padding only makes this one's elements longer.
                Some(inner) if axis.step == 1 && inner.size == inner.len && inner.step == 1 => {
                    let run = inner.size;
                    *inner = KernelAxis {
                        size: size * run,
                        before: before * run,
                        len: axis.len * run,
                        step: 1,
                        stride: inner.stride,
                    };
                }
                _ => merged.push(axis),
            }
        }
        if merged.is_empty() {
            merged.push(KernelAxis { size: 1, before: 0, len: 1, step: 1, stride: 1 });
        }
        merged
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        expect_rank(self.name(), &inputs[0])?;
        let dims = inputs[0].shape.dims();
        if self.axes.len() != dims.len() || self.axes.iter().any(|a| a.step == 0) {
            let expected = format!("padding for each dimension of {}, steps of at least 1", inputs[0]);
            return Err(Error::shape(self.name(), expected, format!("{:?}", self.axes)));
        }
        if !self.value.is_finite() {
            return Err(Error::shape(self.name(), "a finite padding value", self.value.to_string()));
        }
        Ok(vec![Meta::f32(self.sizes(dims))])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let x = &at.inputs[0];
        let range = |(a, &len): (&PadAxis, &usize)| SliceAxis { start: a.before, len, step: a.step };
        let axes = self.axes.iter().zip(x.dims()).map(range).collect();
        Ok(vec![Some(x.tape().record1(Slice { axes }, &[at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        let mut axes = self.kernel_axes(to.input(0));
        let inner = axes[0];
        let vec4 = inner.step == 1 && [inner.size, inner.before, inner.len].iter().all(|n| n % 4 == 0);
        if vec4 {
            axes[0] =
                KernelAxis { size: inner.size / 4, before: inner.before / 4, len: inner.len / 4, ..inner };
            axes[1..].iter_mut().for_each(|axis| axis.stride /= 4);
        }
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("VEC4", vec4.into())
            .define("AXES", axes.len())
            .define_f32("VALUE", self.value)
            .define_each("SIZE", axes.iter().map(|axis| axis.size))
            .define_each("BEFORE", axes.iter().map(|axis| axis.before))
            .define_each("SPAN", axes.iter().map(|axis| span(axis.len, axis.step)))
            .define_each("STEP", axes.iter().map(|axis| axis.step))
            .define_each("STRIDE", axes.iter().map(|axis| axis.stride));
        elementwise(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let sizes = self.sizes(x.dims());
        let strides = Shape::from(sizes.as_slice()).strides();
        let mut y = Array::zeros(sizes).map(|_| f64::from(self.value));
        for (i, &value) in x.data.iter().enumerate() {
            let index = unravel(i, x.dims());
            let at =
                index.iter().zip(&self.axes).zip(&strides).map(|((t, a), s)| (a.before + t * a.step) * s);
            y.data[at.sum::<usize>()] = value;
        }
        vec![y]
    }
}

impl Tensor {
    /// x with (before, after) elements of `value` along each axis, outermost axis first.
    pub fn pad(&self, pads: &[(usize, usize)], value: f32) -> Result<Tensor> {
        let axes = pads.iter().map(|&(before, after)| PadAxis { before, after, step: 1 }).collect();
        self.tape().record1(Pad { axes, value }, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "pad", cases };

fn cases() -> Vec<Case> {
    let pad = |shape: &[usize], pads: &[(usize, usize, usize)], value: f32| {
        let axes = pads.iter().map(|&(before, after, step)| PadAxis { before, after, step }).collect();
        Case::new(Pad { axes, value }, vec![Input::normal(shape)])
    };
    vec![
        pad(&[1], &[(0, 0, 1)], 3.0),
        pad(&[47], &[(5, 3, 1)], -1.5),
        pad(&[3, 8], &[(1, 2, 1), (4, 8, 1)], 0.5),
        pad(&[3, 7], &[(0, 0, 1), (1, 1, 1)], 0.0),
        pad(&[2, 3, 41], &[(0, 0, 1), (1, 2, 1), (0, 0, 1)], 2.0),
        // Option-A shortcuts: zeros for the missing channels.
        pad(&[2, 3, 4, 4], &[(0, 0, 1), (1, 2, 1), (0, 0, 1), (0, 0, 1)], 0.0),
        pad(&[2, 5, 3], &[(0, 0, 1), (1, 1, 2), (2, 0, 3)], 0.0),
        pad(&[2, 1, 3, 2, 4, 3], &[(1, 0, 1), (0, 1, 1), (1, 0, 2), (0, 1, 1), (1, 0, 3), (0, 1, 1)], 1.0),
        pad(&[0, 3], &[(1, 1, 1), (0, 2, 1)], 1.0),
    ]
}
