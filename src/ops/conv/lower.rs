//! How the three passes of a convolution become dispatches: kernels for rows, tile engines, depthwise kernels, and the batch
//! norm that is folded into the weights before them.

use crate::Result;
use crate::gpu::Kernel;
use crate::ops::common::per_element;
use crate::ops::conv::conv2d::{Conv2d, ConvSizes};
use crate::ops::conv::rows::{RowConv, Strided};
use crate::ops::costs::Costs;
use crate::ops::epilogue::Epilogue;
use crate::ops::tile::{self, Bias, Job, VectorAxis};
use crate::tape::{Lowering, Slot};

const LOADER: &str = include_str!("../../../shaders/conv/conv2d.wgsl");
const FOLD_WEIGHTS: &str = include_str!("../../../shaders/conv/conv2d_fold.wgsl");

/// What the forward pass binds.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct ConvOperands {
    pub x: Slot,
    pub w: Slot,
    pub bias: Option<Slot>,
    pub norm: Option<Norm>,
    pub residual: Option<Slot>,
    pub y: Slot,
}

/// Batch norm behind a convolution, folded into its weights.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Norm {
    /// gamma, beta, mean, variance.
    pub statistics: [Slot; 4],
    pub eps: f32,
}

impl ConvOperands {
    /// y = conv(x, w).
    pub fn plain(x: Slot, w: Slot, y: Slot) -> Self {
        Self { x, w, bias: None, norm: None, residual: None, y }
    }

    /// The same behind [`ConvSizes::fold`], which is the first of a node to ask for working memory.
    fn folded(&self) -> Self {
        match self.norm {
            Some(_) => Self { w: Slot::Scratch(0), bias: Some(Slot::Scratch(1)), norm: None, ..*self },
            None => *self,
        }
    }
}

impl Norm {
    /// Gives the kernel that prepares weights what it needs to fold.
    pub fn define(&self, kernel: Kernel) -> Kernel {
        kernel.define_f32("EPS", self.eps)
    }

    /// What that kernel binds: weights, their prepared form, the bias where there is one, its prepared form.
    pub fn bindings(&self, [w, prepared]: [Slot; 2], bias: Option<Slot>, folded_bias: Slot) -> Vec<Slot> {
        let mut bindings = vec![w, prepared];
        bindings.extend(bias);
        bindings.push(folded_bias);
        bindings.extend(self.statistics);
        bindings
    }
}

impl ConvSizes {
    pub fn defines(&self) -> Vec<(&'static str, usize)> {
        let Conv2d { stride, padding, dilation, groups } = self.config;
        vec![
            ("IMAGES", self.images),
            ("C_IN", self.c_in),
            ("C_OUT", self.c_out),
            ("H", self.h),
            ("W", self.w),
            ("O_H", self.out[0]),
            ("O_W", self.out[1]),
            ("K_H", self.k[0]),
            ("K_W", self.k[1]),
            ("S_H", stride[0]),
            ("S_W", stride[1]),
            ("P_H", padding[0]),
            ("P_W", padding[1]),
            ("D_H", dilation[0]),
            ("D_W", dilation[1]),
            ("GROUPS", groups),
        ]
    }

    /// A kernel of 1x1 that takes every pixel, on planes of a multiple of 4: four neighbours are one vec4.
    pub fn pointwise_vec4(&self) -> bool {
        let Conv2d { stride, padding, .. } = self.config;
        self.k == [1, 1] && stride == [1, 1] && padding == [0, 0] && (self.h * self.w).is_multiple_of(4)
    }

    /// A job with `pass` set, of the three passes' constants.
    pub fn job(&self, pass: &'static str, m: usize, n: usize, k: usize) -> Job {
        let mut defines = self.defines();
        for name in ["FORWARD", "BACKWARD_X", "BACKWARD_W"] {
            defines.push((name, (name == pass) as usize));
        }
        Job {
            name: "conv2d",
            loader: LOADER,
            defines,
            m,
            n,
            k,
            batch: self.config.groups,
            a: VectorAxis::K { vec4: false },
            b: VectorAxis::Other { vec4: self.pointwise_vec4() },
            out_n4: false,
            bias: Bias::None,
            epilogue: Epilogue::default(),
        }
    }

    /// The forward pass for the row kernel.
    pub fn rows_forward(&self) -> RowConv {
        let Conv2d { stride, padding, dilation, groups } = self.config;
        RowConv {
            images: self.images,
            groups,
            c: self.ci_g(),
            m: self.co_g(),
            x: [self.h, self.w],
            y: self.out,
            kernel: self.k,
            stride,
            padding: padding.map(|p| p as i32),
            dilation,
            flip: false,
            pixels: self.out.map(Strided::whole),
            taps: self.k.map(Strided::whole),
        }
    }

    /// The gradient by x for the row kernel: dy convolved with the flipped kernel. With a stride each residue of row and
    /// column meets taps of its own and is a convolution by itself. Nothing where some residue meets no tap, or where
    /// a dilation is mixed in.
    pub fn rows_backward_x(&self) -> Vec<RowConv> {
        let forward = self.rows_forward();
        let Conv2d { stride, dilation, .. } = self.config;
        let plain = |i: usize| stride[i] == 1 || (dilation[i] == 1 && self.k[i] >= stride[i]);
        if !plain(0) || !plain(1) {
            return Vec::new();
        }
        let residues = (0..stride[0]).flat_map(|h| (0..stride[1]).map(move |w| [h, w]));
        let convs = residues.map(|residue| {
            // x at residue + stride * i meets the taps first, first + stride, ..: tap first + stride * j at dy's i + reach - j.
            let axis = |i: usize| {
                let (size, shifted) = ([self.h, self.w][i], residue[i] + self.config.padding[i]);
                let taps = Strided { first: shifted % stride[i], step: stride[i], all: self.k[i] };
                let pixels = Strided { first: residue[i], step: stride[i], all: size };
                let reach = (shifted / stride[i]) as i32;
                (taps, pixels, (dilation[i] * (taps.count() - 1)) as i32 - reach)
            };
            let [(taps_h, rows, pad_h), (taps_w, columns, pad_w)] = [axis(0), axis(1)];
            RowConv {
                c: forward.m,
                m: forward.c,
                x: forward.y,
                y: [rows.count(), columns.count()],
                kernel: [taps_h.count(), taps_w.count()],
                stride: [1, 1],
                padding: [pad_h, pad_w],
                flip: true,
                pixels: [rows, columns],
                taps: [taps_h, taps_w],
                ..forward.clone()
            }
        });
        convs.filter(|conv| conv.y.iter().all(|&size| size > 0)).collect()
    }

    /// Appends the dispatches of the forward pass.
    pub fn lower_forward(&self, to: &mut Lowering<'_>, at: &ConvOperands, epilogue: Epilogue) -> Result<()> {
        if self.depthwise() {
            self.fold(to, at);
            return self.lower_depthwise(to, &at.folded(), epilogue);
        }
        let ConvOperands { x, w, bias, residual, y, .. } = at.folded();
        let pixels = self.out[0] * self.out[1];
        let k = self.ci_g() * self.taps();
        let job = Job {
            a: VectorAxis::K { vec4: k.is_multiple_of(4) },
            out_n4: pixels.is_multiple_of(4),
            bias: if bias.is_some() { Bias::Row } else { Bias::None },
            epilogue,
            ..self.job("FORWARD", self.co_g(), self.images * pixels, k)
        };
        let by_tiles = tile::Operands { a: w, b: x, bias, residual, c: y };
        self.lower_by_rows_or_tiles(to, &[self.rows_forward()], at, &job, &by_tiles)
    }

    /// The row kernels where they suit the adapter, else, or where that was measured to be faster, a tile engine. A norm is
    /// folded in by the kernel that packs weights for rows, and by one of its own before tiles.
    pub fn lower_by_rows_or_tiles(
        &self,
        to: &mut Lowering<'_>,
        rows: &[RowConv],
        by_rows: &ConvOperands,
        job: &Job,
        by_tiles: &tile::Operands,
    ) -> Result<()> {
        let suits = !rows.is_empty() && rows.iter().all(|conv| conv.suits(to.caps()));
        let mut variants = if suits {
            RowConv::variants(rows, by_rows, job.epilogue, &Costs::of(to.caps()).conv_rows)
        } else {
            Vec::new()
        };
        for tiles in job.variants(to, by_tiles) {
            variants.push(tiles.after(|to| {
                self.fold(to, by_rows);
                Ok(())
            }));
        }
        to.lower_by(variants)
    }

    /// Folds the norm, where there is one, into weights and bias of their own, at the places of [`ConvOperands::folded`].
    fn fold(&self, to: &mut Lowering<'_>, at: &ConvOperands) {
        let Some(norm) = at.norm else { return };
        let per = self.ci_g() * self.taps();
        let (w, bias) = (to.scratch(self.c_out * per), to.scratch(self.c_out));
        let kernel = Kernel::new("conv2d", "fold", FOLD_WEIGHTS)
            .define("C_OUT", self.c_out)
            .define("PER", per)
            .define("BIAS", at.bias.is_some().into());
        per_element(to, norm.define(kernel), &norm.bindings([at.w, w], at.bias, bias), self.c_out * per);
    }
}
