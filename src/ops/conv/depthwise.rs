//! Convolutions with one input channel a group (depthwise: Howard et al. 1704.04861), x (N, C, H, W) and
//! w (C * M, 1, k_h, k_w): `y[img, co, oh, ow] = bias[co] + sum over kh, kw of w[co, kh, kw] *`
//! `x[img, co / M, oh * stride - padding + kh * dilation, ow * stride - padding + kw * dilation]`.
//!
//! They have far too few rows for a tile. shaders/conv/depthwise_rows*.wgsl walk down strips of columns instead,
//! so that an element is loaded once for all taps; shaders/conv/depthwise.wgsl does whatever these can't, one
//! invocation an element: kernels too large to unroll, and of dX a multiplier or dilation.
//!
//! dX does every residue of a stride in one dispatch; dW leaves one partial sum a lane, added in a fixed order.

use crate::Result;
use crate::gpu::{Caps, Grid, Kernel};
use crate::ops::common::per_element;
use crate::ops::conv::conv2d::{Conv2d, ConvSizes};
use crate::ops::conv::lower::ConvOperands;
use crate::ops::costs::{Costs, DepthwiseCosts};
use crate::ops::epilogue::Epilogue;
use crate::ops::reduce;
use crate::tape::{Lowering, Slot, Variant};

const ANY: &str = include_str!("../../../shaders/conv/depthwise.wgsl");
const FORWARD: &str = include_str!("../../../shaders/conv/depthwise_rows_forward.wgsl");
const BACKWARD_X: &str = include_str!("../../../shaders/conv/depthwise_rows_dx.wgsl");
const BACKWARD_W: &str = include_str!("../../../shaders/conv/depthwise_rows_dw.wgsl");

/// Invocations a workgroup of the walking kernels.
const WORKGROUP: usize = 64;

/// Which gradient, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Forward,
    BackwardX,
    BackwardW,
}

/// What a pass walks along. The source is x, of dX it is dy; the result is y, also of dW, which reads it; of
/// dX it is dx.
#[derive(Debug, Clone, Copy)]
struct Walk<'a> {
    sizes: &'a ConvSizes,
    pass: Pass,
    source: [usize; 2],
    result: [usize; 2],
    /// Values of the source that the first row and column of the result need before its own.
    halo: [usize; 2],
    /// Rows of the source that a step needs, and how many of them the step before had.
    window: usize,
    keep: usize,
    /// Steps down a plane, and rows of the result in each.
    steps: usize,
    rows: usize,
}

/// How the result is cut into lanes.
#[derive(Debug, Clone, Copy)]
struct StripCut {
    /// Columns of a lane.
    columns: usize,
    /// Steps of a lane down a plane.
    steps: usize,
    /// Images whose planes a lane walks one after another.
    images: usize,
}

/// How a row of the source is loaded: numbers, vec4, numbers.
struct Loads {
    left: usize,
    body: usize,
    right: usize,
}

impl<'a> Walk<'a> {
    /// The walk of a pass, where there is one.
    fn new(sizes: &'a ConvSizes, pass: Pass) -> Option<Self> {
        let Conv2d { stride, padding, dilation, .. } = sizes.config;
        let (x, y, k) = ([sizes.h, sizes.w], sizes.out, sizes.k);
        if pass != Pass::BackwardX {
            // Rows that are dilated have no neighbours in common.
            let keep = if dilation[0] == 1 { k[0].saturating_sub(stride[0]) } else { 0 };
            let (steps, window) = (y[0], k[0]);
            return Some(Self {
                sizes,
                pass,
                source: x,
                result: y,
                halo: padding,
                window,
                keep,
                steps,
                rows: 1,
            });
        }
        let suits = sizes.co_g() == 1 && dilation == [1, 1] && (0..2).all(|i| padding[i] < k[i]);
        // Row h meets dy's rows from (h + padding - (k - 1)) / stride to (h + padding) / stride.
        let halo = [0, 1].map(|i| (k[i] - 1).saturating_sub(padding[i]).div_ceil(stride[i]));
        let keep = halo[0] + padding[0].div_ceil(stride[0]);
        let steps = x[0].div_ceil(stride[0]);
        let (window, rows) = (keep + 1, stride[0]);
        suits.then_some(Self { sizes, pass, source: y, result: x, halo, window, keep, steps, rows })
    }

    /// Values of a row of the source that a strip needs.
    fn values(&self, columns: usize) -> usize {
        let Conv2d { stride, padding, dilation, .. } = self.sizes.config;
        match self.pass {
            Pass::BackwardX => (columns - 1 + padding[1]) / stride[1] + self.halo[1] + 1,
            _ => (columns - 1) * stride[1] + (self.sizes.k[1] - 1) * dilation[1] + 1,
        }
    }

    /// Columns of the source from strip to strip.
    fn shift(&self, columns: usize) -> usize {
        let stride = self.sizes.config.stride[1];
        if self.pass == Pass::BackwardX { columns / stride } else { columns * stride }
    }

    fn loads(&self, columns: usize) -> Loads {
        let (values, halo) = (self.values(columns), self.halo[1]);
        let aligned = self.source[1].is_multiple_of(4) && self.shift(columns).is_multiple_of(4);
        if !aligned || values < halo + 4 {
            return Loads { left: values, body: 0, right: 0 };
        }
        let body = (values - halo) / 4;
        Loads { left: halo, body, right: values - halo - 4 * body }
    }

    fn vec4_result(&self, columns: usize) -> bool {
        self.result[1].is_multiple_of(4) && columns.is_multiple_of(4)
    }

    fn planes(&self) -> usize {
        let channels = if self.pass == Pass::BackwardX { self.sizes.c_in } else { self.sizes.c_out };
        self.sizes.images * channels
    }

    fn strips(&self, columns: usize) -> usize {
        self.result[1].div_ceil(columns)
    }

    /// Widths of a strip that are worth a try, the one estimated to be the fastest first. None for kernels so
    /// large that unrolling them would take the compiler too long.
    fn widths(&self, caps: &Caps) -> Vec<usize> {
        let costs = &Costs::of(caps).depthwise;
        let (stride, width) = (self.sizes.config.stride[1], self.result[1]);
        let unit = if self.pass == Pass::BackwardX { stride } else { 1 };
        let mut widths: Vec<usize> =
            [4, 8, 16, width].map(|columns| columns.min(width).clamp(1, 16).next_multiple_of(unit)).to_vec();
        widths.sort_unstable();
        widths.dedup();
        widths.retain(|&columns| {
            columns * self.sizes.taps() * self.rows <= costs.most_products
                && self.window * self.values(columns) <= costs.most_values
        });
        if costs.by_time {
            widths.sort_by(|a, b| self.nanoseconds(*a, costs).total_cmp(&self.nanoseconds(*b, costs)));
        }
        widths
    }

    /// Estimated time of one step over the width of a plane: loads, products, stores, and what a step costs besides.
    fn nanoseconds(&self, columns: usize, costs: &DepthwiseCosts) -> f64 {
        let Loads { left, body, right } = self.loads(columns);
        let loads = (costs.load_ns * (left + right) as f64 + costs.load_vec4_ns * body as f64)
            * (self.window - self.keep) as f64;
        let products = costs.product_ns * (columns * self.sizes.taps()) as f64;
        let store = costs.store_ns[usize::from(self.vec4_result(columns))];
        let result = store * (columns * self.rows) as f64;
        // Of dX's taps, a pixel meets those of its residue.
        let stride = self.sizes.config.stride[1] as f64;
        let products = if self.pass == Pass::BackwardX { products / stride } else { products };
        (loads + products + result + costs.step_ns) * self.strips(columns) as f64
    }

    /// The cut for a width: as long a walk as leaves enough lanes.
    fn cut(&self, caps: &Caps, columns: usize) -> StripCut {
        let &DepthwiseCosts { lanes, longest, .. } = &Costs::of(caps).depthwise;
        let strips = self.strips(columns);
        let one = self.planes() * strips;
        if self.pass == Pass::BackwardW {
            // Each lane leaves sums to be added up: planes are cut only where images are too few.
            let per_image = (self.sizes.c_out * strips).max(1);
            let slices = lanes.div_ceil(per_image).clamp(1, self.sizes.images.max(1));
            let images = self.sizes.images.div_ceil(slices).max(1);
            let chunks = lanes.div_ceil((per_image * slices).max(1)).clamp(1, self.steps.max(1));
            return StripCut { columns, steps: self.steps.div_ceil(chunks).max(1), images };
        }
        let chunks = lanes.div_ceil(one.max(1)).clamp(1, self.steps.max(1));
        StripCut { columns, steps: self.steps.div_ceil(chunks).min(longest).max(1), images: 1 }
    }

    /// Lanes down a plane, and slices of the images.
    fn parts(&self, cut: &StripCut) -> [usize; 2] {
        let slices = if self.pass == Pass::BackwardW { self.sizes.images.div_ceil(cut.images) } else { 1 };
        [self.steps.div_ceil(cut.steps), slices]
    }

    fn lanes(&self, cut: &StripCut) -> usize {
        let [chunks, slices] = self.parts(cut);
        let planes = if self.pass == Pass::BackwardW { self.sizes.c_out * slices } else { self.planes() };
        planes * self.strips(cut.columns) * chunks
    }

    fn grid(&self, cut: &StripCut) -> Grid {
        Grid::linear(self.lanes(cut).div_ceil(WORKGROUP))
    }

    fn kernel(&self, cut: &StripCut) -> Kernel {
        let Loads { left, body, right } = self.loads(cut.columns);
        let (entry, text) = match self.pass {
            Pass::Forward => ("forward", FORWARD),
            Pass::BackwardX => ("backward_x", BACKWARD_X),
            Pass::BackwardW => ("backward_w", BACKWARD_W),
        };
        let defines = [
            ("X_H", self.source[0]),
            ("X_W", self.source[1]),
            ("HALO_H", self.halo[0]),
            ("HALO", self.halo[1]),
            ("SHIFT", self.shift(cut.columns)),
            ("NX", self.values(cut.columns)),
            ("LEFT", left),
            ("BODY", body),
            ("RIGHT", right),
            ("X_VEC4", (body > 0).into()),
            ("Y_VEC4", self.vec4_result(cut.columns).into()),
            ("COLUMNS", cut.columns),
            ("COLUMNS_4", cut.columns / 4),
            ("STRIPS", self.strips(cut.columns)),
            ("STEPS", cut.steps),
            ("CHUNKS", self.parts(cut)[0]),
            ("IMAGES_EACH", cut.images),
            ("WINDOW", self.window),
            ("KEEP", self.keep),
            ("FRESH", self.window - self.keep),
            ("TAPS", self.sizes.taps()),
            ("LANES", self.lanes(cut)),
        ];
        let kernel = self.sizes.define(Kernel::new("depthwise", entry, text));
        defines.into_iter().fold(kernel, |kernel, (name, value)| kernel.define(name, value))
    }

    /// The ways to walk, by what appends the dispatches of one cut.
    fn variants(
        &self,
        caps: &Caps,
        lower: impl Fn(&mut Lowering<'_>, &StripCut) + Clone + 'a,
    ) -> Vec<Variant<'a>> {
        let cuts = self.widths(caps).into_iter().map(|columns| self.cut(caps, columns));
        let variant = |cut: StripCut| {
            let lower = lower.clone();
            Variant::new(format!("strips {}x{}", cut.columns, cut.steps), move |to: &mut Lowering<'_>| {
                lower(to, &cut);
                Ok(())
            })
        };
        cuts.map(variant).collect()
    }
}

impl ConvSizes {
    /// One input channel a group.
    pub fn depthwise(&self) -> bool {
        self.ci_g() == 1 && self.config.groups > 1
    }

    fn define(&self, kernel: Kernel) -> Kernel {
        self.defines().into_iter().fold(kernel, |kernel, (name, value)| kernel.define(name, value))
    }

    fn any(&self, entry: &'static str) -> Kernel {
        self.define(Kernel::new("depthwise", entry, ANY))
    }

    /// Appends the dispatches of the forward pass, with no norm left to fold.
    pub fn lower_depthwise(
        &self,
        to: &mut Lowering<'_>,
        at: &ConvOperands,
        epilogue: Epilogue,
    ) -> Result<()> {
        let mut bindings = vec![at.x, at.w];
        bindings.extend(at.bias);
        bindings.push(at.y);
        bindings.extend(at.residual);
        let define = move |kernel| epilogue.define(kernel).define("BIAS", at.bias.is_some().into());
        let (any, all) = (define(self.any("forward")), bindings.clone());
        let mut variants = Vec::new();
        if let Some(walk) = Walk::new(self, Pass::Forward) {
            variants = walk.variants(to.caps(), move |to, cut| {
                to.dispatch(define(walk.kernel(cut)), &bindings, walk.grid(cut));
            });
        }
        variants.push(Variant::new("any", move |to: &mut Lowering<'_>| {
            per_element(to, any, &all, self.y().iter().product());
            Ok(())
        }));
        to.lower_by(variants)
    }

    /// Appends the dispatches of the gradient by x.
    pub fn lower_depthwise_x(&self, to: &mut Lowering<'_>, [w, dy, dx]: [Slot; 3]) -> Result<()> {
        let plain = |kernel| Epilogue::default().define(kernel).define("BIAS", 0);
        let any = plain(self.any("backward_x"));
        let mut variants = Vec::new();
        if let Some(walk) = Walk::new(self, Pass::BackwardX) {
            variants = walk.variants(to.caps(), move |to, cut| {
                to.dispatch(plain(walk.kernel(cut)), &[dy, w, dx], walk.grid(cut));
            });
        }
        variants.push(Variant::new("any", move |to: &mut Lowering<'_>| {
            per_element(to, any, &[w, dy, dx], self.x().iter().product());
            Ok(())
        }));
        to.lower_by(variants)
    }

    /// The ways to the gradient by w. A lane leaves sums of what it walked over; these are added up in order.
    pub fn depthwise_w_variants<'a>(&'a self, caps: &Caps, [x, dy, dw]: [Slot; 3]) -> Vec<Variant<'a>> {
        let plain = |kernel| Epilogue::default().define(kernel).define("BIAS", 0);
        let weights = self.c_out * self.taps();
        let mut variants = Vec::new();
        // Without an image there is no lane, but a sum of nothing.
        if let Some(walk) = Walk::new(self, Pass::BackwardW).filter(|_| self.images > 0) {
            variants = walk.variants(caps, move |to, cut| {
                let [chunks, slices] = walk.parts(cut);
                let parts = walk.strips(cut.columns) * chunks * slices;
                let sums = if parts > 1 { to.scratch(parts * weights) } else { dw };
                to.dispatch(plain(walk.kernel(cut)), &[x, dy, sums], walk.grid(cut));
                if parts > 1 {
                    reduce::lower_sum(to, &[parts, weights], &[0], sums, dw);
                }
            });
        }
        let any = plain(self.any("backward_w")).define("LEN", weights);
        variants.push(Variant::new("any", move |to: &mut Lowering<'_>| {
            to.dispatch(any, &[x, dy, dw], Grid::linear(weights));
            Ok(())
        }));
        variants
    }
}
