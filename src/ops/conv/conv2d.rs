//! 2-D convolution (cross-correlation, as in every framework), NCHW activations, OIHW weights.
//!
//! `y[img, co, oh, ow] = bias[co] + sum over ci, kh, kw of w[co, ci, kh, kw] *`
//! `x[img, group * CI_G + ci, oh * stride - padding + kh * dilation, ..]`. Forward, dX and dW are each an implicit GEMM;
//! depthwise convolutions have kernels of their own.

use crate::ops::common::expect_f32;
use crate::ops::conv::backward::{Conv2dBackwardW, Conv2dBackwardX};
use crate::ops::conv::lower::ConvOperands;
use crate::ops::epilogue::Epilogue;
use crate::ops::spec::{Case, Input, OpSpec};
use crate::tape::{Array, Backward, Consumer, Fused, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

/// Settings of a convolution; each pair is (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Step between windows.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: [usize; 2],
    /// Step between kernel taps.
    pub dilation: [usize; 2],
    /// Independent groups of channels.
    pub groups: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

/// All sizes of one convolution.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct ConvSizes {
    pub images: usize,
    pub c_in: usize,
    pub h: usize,
    pub w: usize,
    pub c_out: usize,
    pub k: [usize; 2],
    pub out: [usize; 2],
    pub config: Conv2d,
}

impl Conv2d {
    /// Stride and padding, square.
    pub fn square(stride: usize, padding: usize) -> Self {
        Self { stride: [stride; 2], padding: [padding; 2], ..Self::default() }
    }

    pub(in crate::ops) fn sizes(self, x: &[usize], w: &[usize]) -> Result<ConvSizes> {
        let fail = |expected: String| Error::shape("conv2d", expected, format!("x {x:?}, w {w:?}, {self:?}"));
        let (&[images, c_in, h, width], &[c_out, ci_g, k_h, k_w]) = (x, w) else {
            return Err(fail("x (N, C, H, W) and w (c_out, c_in / groups, k_h, k_w)".into()));
        };
        let g = self.groups;
        if g == 0 || !c_in.is_multiple_of(g) || !c_out.is_multiple_of(g) || c_in / g != ci_g {
            return Err(fail(format!("c_in = {g} groups * {ci_g} and c_out a multiple of the groups")));
        }
        if self.stride.contains(&0)
            || self.dilation.contains(&0)
            || k_h == 0
            || k_w == 0
            || ci_g == 0
            || c_out == 0
        {
            return Err(fail("strides, dilations, channels and kernel sizes of at least 1".into()));
        }
        let extent = |size: usize, k: usize, i: usize| {
            let reach = self.dilation[i] * (k - 1) + 1;
            (size + 2 * self.padding[i]).checked_sub(reach).map(|room| room / self.stride[i] + 1)
        };
        let (Some(o_h), Some(o_w)) = (extent(h, k_h, 0), extent(width, k_w, 1)) else {
            return Err(fail("an image at least as large as the dilated kernel".into()));
        };
        Ok(ConvSizes { images, c_in, h, w: width, c_out, k: [k_h, k_w], out: [o_h, o_w], config: self })
    }
}

impl ConvSizes {
    pub fn x(&self) -> [usize; 4] {
        [self.images, self.c_in, self.h, self.w]
    }

    pub fn y(&self) -> [usize; 4] {
        [self.images, self.c_out, self.out[0], self.out[1]]
    }

    pub fn ci_g(&self) -> usize {
        self.c_in / self.config.groups
    }

    pub fn co_g(&self) -> usize {
        self.c_out / self.config.groups
    }

    pub fn taps(&self) -> usize {
        self.k[0] * self.k[1]
    }

    pub fn flops(&self) -> u64 {
        2 * (self.images * self.c_out * self.out[0] * self.out[1] * self.ci_g() * self.taps()) as u64
    }

    /// Calls `f(x index, w index, y index)` for every product of the convolution.
    pub fn each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let Conv2d { stride, padding, dilation, .. } = self.config;
        let (ci_g, co_g, [k_h, k_w], [o_h, o_w]) = (self.ci_g(), self.co_g(), self.k, self.out);
        for img in 0..self.images {
            for co in 0..self.c_out {
                for y in 0..o_h * o_w {
                    let (oh, ow) = (y / o_w, y % o_w);
                    for tap in 0..ci_g * k_h * k_w {
                        let (ci, kh, kw) = (tap / (k_h * k_w), tap / k_w % k_h, tap % k_w);
                        let h = (oh * stride[0] + kh * dilation[0]).wrapping_sub(padding[0]);
                        let w = (ow * stride[1] + kw * dilation[1]).wrapping_sub(padding[1]);
                        if h < self.h && w < self.w {
                            let c = co / co_g * ci_g + ci;
                            let x = ((img * self.c_in + c) * self.h + h) * self.w + w;
                            f(x, co * ci_g * k_h * k_w + tap, (img * self.c_out + co) * o_h * o_w + y);
                        }
                    }
                }
            }
        }
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_f32("conv2d", inputs)?;
        let (x, w) = match inputs {
            [x, w] | [x, w, _] => (x.shape.dims(), w.shape.dims()),
            _ => return Err(Error::shape("conv2d", "x, w and optionally a bias", inputs.len().to_string())),
        };
        let sizes = self.sizes(x, w)?;
        if let Some(bias) = inputs.get(2).filter(|bias| bias.shape.dims() != [sizes.c_out]) {
            return Err(Error::shape(
                "conv2d",
                format!("a bias of shape [{}]", sizes.c_out),
                bias.to_string(),
            ));
        }
        Ok(vec![Meta::f32(sizes.y())])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, w, dy) = (&at.inputs[0], &at.inputs[1], at.dy()?);
        let tape = x.tape();
        let dx = Conv2dBackwardX { config: *self, x: x.dims().to_vec() };
        let dx = at.needs(0).then(|| tape.record1(dx, &[w, dy])).transpose()?;
        // The bias' gradient comes along with that of the weights.
        let mut grads = match (at.needs(1), at.needs(2)) {
            (true, bias) => {
                let dw = Conv2dBackwardW { config: *self, w: w.dims().to_vec(), bias };
                tape.record(dw, &[x, dy])?.into_iter().map(Some).collect()
            }
            (false, true) => vec![None, Some(dy.sum(&[0, 2, 3], false)?)],
            (false, false) => Vec::new(),
        };
        grads.resize(at.inputs.len() - 1, None);
        Ok([vec![dx], grads].concat())
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bias = (to.input_count() == 3).then_some(Slot::Input(2));
        let plain = ConvOperands::plain(Slot::Input(0), Slot::Input(1), Slot::Output(0));
        let at = ConvOperands { bias, ..plain };
        self.sizes(to.input(0), to.input(1))?.lower_forward(to, &at, Epilogue::default())
    }

    fn absorb(&self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        self.absorb_into_fused(own, consumer)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, w) = (&inputs[0], &inputs[1]);
        let Ok(s) = self.sizes(x.dims(), w.dims()) else { return Vec::new() };
        let mut y = Array::zeros(s.y());
        s.each_product(|xi, wi, yi| y.data[yi] += x.data[xi] * w.data[wi]);
        if let Some(bias) = inputs.get(2) {
            let pixels = s.out[0] * s.out[1];
            y.data.iter_mut().enumerate().for_each(|(i, y)| *y += bias.data[i / pixels % s.c_out]);
        }
        vec![y]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        self.sizes(inputs[0].shape.dims(), inputs[1].shape.dims()).map_or(0, |s| s.flops())
    }
}

impl Tensor {
    /// conv2d of self (N, c_in, H, W) with weight (c_out, c_in / groups, k_h, k_w) and bias (c_out).
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, config: Conv2d) -> Result<Tensor> {
        match bias {
            Some(bias) => self.tape().record1(config, &[self, weight, bias]),
            None => self.tape().record1(config, &[self, weight]),
        }
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "conv2d", cases };

fn cases() -> Vec<Case> {
    let base = Conv2d::default();
    let strided = Conv2d { stride: [2, 3], padding: [1, 2], dilation: [2, 1], groups: 1 };
    let grouped = Conv2d { groups: 3, ..Conv2d::square(1, 1) };
    let depthwise = |groups, stride| Conv2d { groups, ..Conv2d::square(stride, 1) };
    let unpadded = Conv2d { groups: 2, ..base };
    let shapes: [(Conv2d, [usize; 4], [usize; 4]); 40] = [
        (base, [1, 1, 1, 1], [1, 1, 1, 1]),
        (base, [2, 3, 5, 7], [4, 3, 3, 3]),
        (Conv2d::square(1, 1), [2, 4, 8, 8], [32, 4, 3, 3]),
        (Conv2d::square(1, 1), [1, 2, 6, 41], [5, 2, 3, 3]),
        (Conv2d::square(1, 1), [1, 2, 4, 47], [9, 2, 3, 3]),
        (Conv2d::square(1, 1), [1, 1, 3, 55], [17, 1, 3, 3]),
        (Conv2d::square(2, 1), [2, 3, 9, 9], [33, 3, 3, 3]),
        (Conv2d::square(2, 0), [3, 8, 8, 8], [16, 8, 1, 1]),
        (base, [2, 8, 6, 6], [12, 8, 1, 1]),
        (base, [3, 36, 4, 6], [40, 36, 1, 1]),
        (Conv2d { groups: 2, ..base }, [2, 14, 5, 4], [10, 7, 1, 1]),
        (Conv2d::square(1, 2), [2, 1, 12, 12], [3, 1, 5, 5]),
        (strided, [2, 3, 13, 11], [4, 3, 3, 2]),
        (grouped, [2, 6, 7, 5], [9, 2, 3, 3]),
        (Conv2d { groups: 2, ..Conv2d::square(2, 1) }, [1, 8, 6, 6], [16, 4, 3, 3]),
        (depthwise(4, 1), [2, 4, 7, 9], [4, 1, 3, 3]),
        (depthwise(3, 2), [2, 3, 8, 7], [6, 1, 3, 3]),
        (Conv2d { dilation: [2, 2], ..depthwise(2, 1) }, [1, 2, 9, 9], [2, 1, 3, 3]),
        // Depthwise: whole vec4 and not, one strip and several, the last one cut off; too large to unroll.
        (depthwise(3, 1), [2, 3, 4, 1], [3, 1, 3, 3]),
        (depthwise(2, 1), [3, 2, 1, 3], [4, 1, 3, 3]),
        (depthwise(2, 2), [2, 2, 5, 5], [2, 1, 3, 3]),
        (depthwise(2, 2), [2, 2, 11, 7], [2, 1, 3, 3]),
        (depthwise(3, 1), [1, 3, 6, 41], [3, 1, 3, 3]),
        (depthwise(5, 1), [3, 5, 8, 8], [5, 1, 3, 3]),
        (depthwise(2, 2), [3, 2, 9, 40], [4, 1, 3, 3]),
        (depthwise(2, 2), [2, 2, 10, 32], [2, 1, 3, 3]),
        (Conv2d { padding: [2, 2], ..depthwise(2, 1) }, [2, 2, 5, 28], [2, 1, 5, 5]),
        (Conv2d { stride: [3, 2], padding: [0, 2], ..depthwise(2, 1) }, [2, 2, 10, 24], [2, 1, 2, 5]),
        (Conv2d { stride: [1, 3], dilation: [1, 2], ..depthwise(2, 1) }, [1, 2, 5, 20], [2, 1, 3, 3]),
        (Conv2d { padding: [4, 0], ..unpadded }, [1, 2, 6, 12], [2, 1, 3, 2]),
        (Conv2d { padding: [6, 6], ..unpadded }, [1, 2, 9, 15], [2, 1, 13, 13]),
        // Enough planes for walks of several rows, and for several images a lane.
        (depthwise(64, 1), [20, 64, 5, 4], [64, 1, 3, 3]),
        (depthwise(64, 2), [17, 64, 7, 8], [64, 1, 3, 3]),
        (Conv2d { padding: [2, 2], ..depthwise(40, 1) }, [13, 40, 7, 5], [40, 1, 5, 5]),
        (Conv2d { stride: [3, 1], ..depthwise(35, 1) }, [19, 35, 10, 3], [70, 1, 5, 2]),
        (Conv2d::square(1, 1), [8, 16, 16, 16], [16, 16, 3, 3]),
        (Conv2d::square(2, 1), [8, 16, 16, 16], [16, 16, 3, 3]),
        (Conv2d::square(2, 0), [16, 5, 15, 14], [6, 5, 3, 3]),
        (Conv2d::square(2, 2), [16, 4, 11, 13], [9, 4, 5, 5]),
        (
            Conv2d { stride: [1, 3], padding: [2, 3], ..Conv2d { groups: 2, ..base } },
            [16, 6, 9, 17],
            [8, 3, 2, 4],
        ),
    ];
    let mut all: Vec<Case> = shapes
        .into_iter()
        .map(|(config, x, w)| Case::new(config, vec![Input::normal(x), Input::normal(w)]))
        .collect();
    for (config, x, w) in
        [(Conv2d::square(1, 1), [2, 3, 6, 6], [5, 3, 3, 3]), (depthwise(3, 1), [1, 3, 5, 5], [3, 1, 3, 3])]
    {
        all.push(Case::new(config, vec![Input::normal(x), Input::normal(w), Input::normal([w[0]])]));
    }
    all
}
