//! Resizing (N, C, H, W) to any height and width, with PyTorch's coordinates.
//!
//! Nearest reads element floor(o * in / out), the quotient rounded to f32 first. Bilinear reads between elements, at
//! max((o + 0.5) * in / out - 0.5, 0), or with aligned corners at o * (in - 1) / (out - 1).

use crate::gpu::{Caps, Grid, Kernel};
use crate::ops::common::{expect_f32, expect_inputs, per_element};
use crate::ops::costs::Costs;
use crate::ops::pool::max::expect_planes;
use crate::ops::spec::{Case, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/pool/upsample.wgsl");
const SHADER_WHOLE: &str = include_str!("../../../shaders/pool/upsample_whole.wgsl");

/// Sizes up to here keep the kernel's whole-number coordinates in 32 bits.
const MOST: usize = 30_000;

/// Repeats across that shaders/pool/upsample_whole.wgsl unrolls at most.
const MOST_REPEATS: usize = 16;

/// How values between elements come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest element.
    Nearest,
    /// Linear between rows and between columns.
    Bilinear {
        /// Whether the outermost elements of x and y coincide.
        align_corners: bool,
    },
}

/// y = x at another height and width.
#[derive(Debug, Clone, Copy)]
pub struct Upsample {
    /// Height and width of y.
    pub size: [usize; 2],
    /// How.
    pub interpolation: Interpolation,
}

/// dx of [`Upsample`], from dy.
#[derive(Debug, Clone)]
struct UpsampleBackward {
    forward: Upsample,
    shape: Shape,
}

/// Invocations a workgroup of the gradient that walks.
const WALKING_WORKGROUP: usize = 64;

/// How far an invocation of the gradient walks down a column of x, and how many share one.
struct Walk {
    steps: usize,
    chunks: usize,
    /// Outputs to an element of x that are unrolled at most.
    unrolled: usize,
}

impl Walk {
    /// As far as leaves enough invocations.
    fn new(caps: &Caps, x: &[usize]) -> Self {
        let costs = Costs::of(caps);
        let steps = x[2].div_ceil(costs.upsample_lanes.div_ceil((x[0] * x[1] * x[3]).max(1)).min(x[2]));
        Self { steps, chunks: x[2].div_ceil(steps), unrolled: costs.upsample_unrolled }
    }

    fn define(&self, op: &Upsample, x: &[usize], kernel: Kernel) -> Kernel {
        let touched = op.interpolation.touched(x[3], op.size[1]);
        kernel
            .define("STEPS", self.steps)
            .define("CHUNKS", self.chunks)
            .define("PLANES", x[0] * x[1])
            .define("TOUCHED", if touched <= self.unrolled { touched } else { 0 })
    }
}

/// The elements that an output lies between, and the share of the second.
struct Between {
    low: usize,
    high: usize,
    share: f64,
}

impl Interpolation {
    fn between(self, o: usize, size_in: usize, size_out: usize) -> Between {
        let at = match self {
            Interpolation::Nearest => {
                let low = ((o as f32 * (size_in as f32 / size_out as f32)) as usize).min(size_in - 1);
                return Between { low, high: low, share: 0.0 };
            }
            Interpolation::Bilinear { align_corners: true } => {
                o as f64 * (size_in - 1) as f64 / (size_out.max(2) - 1) as f64
            }
            Interpolation::Bilinear { align_corners: false } => {
                ((o as f64 + 0.5) * size_in as f64 / size_out as f64 - 0.5).max(0.0)
            }
        };
        let low = (at as usize).min(size_in - 1);
        Between { low, high: (low + 1).min(size_in - 1), share: at - low as f64 }
    }

    /// From the first to the last output that reads an element, how many there are at most.
    fn touched(self, size_in: usize, size_out: usize) -> usize {
        let mut spans = vec![(usize::MAX, 0); size_in];
        for o in 0..size_out {
            let at = self.between(o, size_in, size_out);
            for i in [at.low, at.high] {
                spans[i] = (spans[i].0.min(o), spans[i].1.max(o));
            }
        }
        spans.iter().map(|(first, last)| (last + 1).saturating_sub(*first)).max().unwrap_or(0)
    }

    fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "upsample_nearest",
            Interpolation::Bilinear { .. } => "upsample_bilinear",
        }
    }
}

impl Upsample {
    fn kernel(&self, entry: &'static str, x: &[usize]) -> Kernel {
        let align = self.interpolation == Interpolation::Bilinear { align_corners: true };
        Kernel::new(self.name(), entry, SHADER)
            .define("BILINEAR", (self.interpolation != Interpolation::Nearest).into())
            .define("ALIGN_CORNERS", align.into())
            .define("H_IN", x[2])
            .define("W_IN", x[3])
            .define("H_OUT", self.size[0])
            .define("W_OUT", self.size[1])
            .define_f32("SCALE_H", x[2] as f32 / self.size[0] as f32)
            .define_f32("SCALE_W", x[3] as f32 / self.size[1] as f32)
    }

    /// How often each element is repeated down and across, where that is all there is to it.
    fn whole(&self, x: &[usize]) -> Option<[usize; 2]> {
        let repeats = |size_in: usize, size_out: usize| {
            let factor = size_out / size_in;
            let element = |o: usize| self.interpolation.between(o, size_in, size_out).low;
            // The rounded scale decides, as in PyTorch.
            let all = size_out.is_multiple_of(size_in) && (0..size_out).all(|o| element(o) == o / factor);
            (all && factor <= MOST_REPEATS).then_some(factor)
        };
        let nearest = self.interpolation == Interpolation::Nearest;
        let (down, across) = (repeats(x[2], self.size[0])?, repeats(x[3], self.size[1])?);
        nearest.then_some([down, across])
    }

    /// Dispatches an entry point of upsample_whole.wgsl.
    fn repeat(&self, to: &mut Lowering<'_>, entry: &'static str, x: &[usize], [down, across]: [usize; 2]) {
        let width = if x[3].is_multiple_of(4) { 4 } else { 1 };
        let kernel = Kernel::new(self.name(), entry, SHADER_WHOLE)
            .define("VECTOR", (width == 4).into())
            .define("ELEMS", x[3] / width)
            .define("F_H", down)
            .define("F_W", across);
        per_element(to, kernel, &[Slot::Input(0), Slot::Output(0)], x.iter().product::<usize>() / width);
    }

    /// Calls `visit(element of x, element of y, weight)` for all that count.
    fn each(&self, x: &[usize], mut visit: impl FnMut(usize, usize, f64)) {
        let [h_out, w_out] = self.size;
        for o in 0..x[0] * x[1] * h_out * w_out {
            let plane = o / (h_out * w_out) * x[2] * x[3];
            let h = self.interpolation.between(o / w_out % h_out, x[2], h_out);
            let w = self.interpolation.between(o % w_out, x[3], w_out);
            for (row, down) in [(h.low, 1.0 - h.share), (h.high, h.share)] {
                for (column, across) in [(w.low, 1.0 - w.share), (w.high, w.share)] {
                    visit(plane + row * x[3] + column, o, down * across);
                }
            }
        }
    }
}

impl Op for Upsample {
    fn name(&self) -> &'static str {
        self.interpolation.name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        let x = &inputs[0];
        let [h, w] = expect_planes(self.name(), x)?;
        if [h, w, self.size[0], self.size[1]].iter().any(|&size| size == 0 || size > MOST) {
            let got = format!("{:?} for {x}", self.size);
            return Err(Error::shape(self.name(), format!("heights and widths from 1 to {MOST}"), got));
        }
        Ok(vec![Meta::f32([x.shape[0], x.shape[1], self.size[0], self.size[1]])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let x = &at.inputs[0];
        let op = UpsampleBackward { forward: *self, shape: x.shape().clone() };
        Ok(vec![Some(x.tape().record1(op, &[at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let x = to.input(0);
        if let Some(factors) = self.whole(x) {
            self.repeat(to, "forward", x, factors);
            return Ok(());
        }
        let unrolled = Costs::of(to.caps()).upsample_unrolled;
        let kernel = Walk { steps: 1, chunks: 1, unrolled }.define(self, x, self.kernel("forward", x));
        let len = to.output(0).iter().product();
        per_element(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let mut y = Array::zeros([x.dims()[0], x.dims()[1], self.size[0], self.size[1]]);
        self.each(x.dims(), |i, o, weight| y.data[o] += weight * x.data[i]);
        vec![y]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        match self.interpolation {
            Interpolation::Nearest => 0,
            Interpolation::Bilinear { .. } => 9 * outputs[0].len() as u64,
        }
    }
}

impl Op for UpsampleBackward {
    fn name(&self) -> &'static str {
        self.forward.name()
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.shape.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let x = to.output(0);
        if let Some(factors) = self.forward.whole(x) {
            self.forward.repeat(to, "backward_x", x, factors);
            return Ok(());
        }
        let walk = Walk::new(to.caps(), x);
        let kernel = walk.define(&self.forward, x, self.forward.kernel("backward_x", x)).define("LEN", 0);
        let grid = Grid::linear((x[0] * x[1] * x[3] * walk.chunks).div_ceil(WALKING_WORKGROUP));
        to.dispatch(kernel, &[Slot::Input(0), Slot::Output(0)], grid);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let dy = &inputs[0];
        let mut dx = Array::zeros(self.shape.clone());
        self.forward.each(self.shape.dims(), |i, o, weight| dx.data[i] += weight * dy.data[o]);
        vec![dx]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        self.forward.flops(&[], inputs)
    }
}

impl Tensor {
    /// (N, C, H, W) to (N, C, `size`) by the nearest element.
    pub fn upsample_nearest(&self, size: [usize; 2]) -> Result<Tensor> {
        self.tape().record1(Upsample { size, interpolation: Interpolation::Nearest }, &[self])
    }

    /// (N, C, H, W) to (N, C, `size`), linear between elements.
    pub fn upsample_bilinear(&self, size: [usize; 2], align_corners: bool) -> Result<Tensor> {
        let interpolation = Interpolation::Bilinear { align_corners };
        self.tape().record1(Upsample { size, interpolation }, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "upsample", cases };

fn cases() -> Vec<Case> {
    let modes = [
        Interpolation::Nearest,
        Interpolation::Bilinear { align_corners: false },
        Interpolation::Bilinear { align_corners: true },
    ];
    let shapes = [
        ([2, 3, 4, 4], [8, 8]),
        ([1, 2, 5, 3], [7, 11]),
        ([1, 1, 7, 9], [3, 2]),
        ([1, 1, 1, 1], [3, 5]),
        ([1, 1, 4, 3], [1, 1]),
        ([1, 1, 3, 41], [3, 47]),
        ([1, 1, 13, 2], [13, 1]),
        ([2, 2, 3, 5], [9, 10]),
        // Enough columns for walks of several rows.
        ([9, 7, 6, 13], [11, 17]),
        ([10, 11, 5, 10], [3, 2]),
        ([3, 1, 2, 12], [2, 60]),
    ];
    let case = |interpolation, (x, size): ([usize; 4], [usize; 2])| {
        Case::new(Upsample { size, interpolation }, vec![Input::normal(x)])
    };
    modes.iter().flat_map(|&mode| shapes.iter().map(move |&shape| case(mode, shape))).collect()
}
