//! What the choice of kernels rests on: every cost and threshold that depends on the adapter, with its unit and its source.
//!
//! A kernel asks [`Costs::of`] and nothing else how an adapter is to be treated; what an adapter *can* do (subgroups of 8,
//! cooperative matrices) is in [`Caps`]. The numbers for CPU adapters are for llvmpipe on two cores (Mesa 22.3.6, LLVM
//! 15.0.6, 256 bit); those for GPUs were set by hand and never measured on one. The tuner measures the variants of an op
//! whatever stands here: these numbers order them, and decide where there is no tuner.
//!
//! To do them again for another adapter: `python3 benches/pin.py target/release/limbeck bench kernels --no-tune --repeats 9
//! --filter ..` with the cases that a field names, its values changed in turns. The figures that chose them stand in docs/results.md of the
//! commit that a field names.

use crate::gpu::{Caps, TileVariant};

/// The costs of one kind of adapter.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Invocations of a workgroup that reduces together. A CPU adapter runs 8 at once (256 bit of f32), one thread a workgroup,
    /// and each barrier makes it store and load what all of them hold. `bench kernels --filter softmax --filter reduce`,
    /// 2026-11-25 (bafd964).
    pub reducing_lanes: usize,
    /// Sums and maxima.
    pub reduce: ReduceCosts,
    /// Places of maxima.
    pub argmax: ArgMaxCosts,
    /// Kernels by row.
    pub rows: RowCosts,
    /// Batch norm.
    pub batch_norm: BatchNormCosts,
    /// The gradient of layer norm by scale and shift.
    pub layer_norm: LayerNormCosts,
    /// Tile engines.
    pub tiles: TileCosts,
    /// Whether and when a product copies B into panels first; never on GPUs, whose tiles are staged anyway.
    pub panels: Option<PanelCosts>,
    /// Convolutions along rows, which need subgroups of 8.
    pub conv_rows: ConvRowCosts,
    /// Depthwise convolutions.
    pub depthwise: DepthwiseCosts,
    /// Invocations that gather's gradient wants: each reads all indices of a line, so there are no more than keep the
    /// adapter busy. `bench kernels --filter gather`, 2026-11-25 (bafd964); GPUs: set by hand there.
    pub gather_lanes: usize,
    /// Invocations that the gradient of upsampling wants. `bench kernels --filter upsample`, 2026-11-25 (bafd964); GPUs: set
    /// by hand there.
    pub upsample_lanes: usize,
    /// Outputs to an element of x that the gradient of upsampling unrolls at most: set by hand (bafd964).
    pub upsample_unrolled: usize,
    /// Pixels of a row that an invocation of `augment_boxes` makes at most. On a CPU adapter each number that is read costs
    /// its 7 ns, and a row's numbers are read once; GPUs want neighbouring stores. `bench kernels --filter augment_boxes`,
    /// 2026-11-30; GPUs: set by hand then.
    pub augmented_pixels: usize,
    /// The norm of all gradients.
    pub grad_norm: PartialSums,
    /// Losses by element.
    pub regression: PartialSums,
}

/// A sum in two passes: many workgroups leave a partial sum each, one workgroup adds these up.
#[derive(Debug, Clone, Copy)]
pub struct PartialSums {
    /// vec4 that an invocation of the first pass takes where there are enough.
    pub vec4s_each: usize,
    /// Workgroups of the first pass at most: enough to fill any GPU, few enough for one workgroup to add up.
    pub most_workgroups: usize,
}

/// When a reduction is done by one invocation an output (serial), and when in two passes.
#[derive(Debug, Clone, Copy)]
pub struct ReduceCosts {
    /// Rows of at most n elements are serial.
    pub short: usize,
    /// So are those of n outputs or more,
    pub plenty: usize,
    /// if their rows have at most n elements.
    pub longest: usize,
    /// Columns in two passes, counted in invocations.
    pub columns: SplitCosts,
    /// Rows in two passes, counted in workgroups.
    pub rows: SplitCosts,
}

/// How one reduction becomes several.
#[derive(Debug, Clone, Copy)]
pub struct SplitCosts {
    /// Elements of an output from which on it is split.
    pub from: usize,
    /// Elements of a part at least.
    pub least: usize,
    /// Parts of all outputs that are wanted.
    pub jobs: usize,
    /// Parts of one output at most.
    pub most: usize,
}

/// When argmax is done by one invocation an output.
#[derive(Debug, Clone, Copy)]
pub struct ArgMaxCosts {
    /// At most n elements: always.
    pub short: usize,
    /// Outputs that are plenty where they are columns, and where they are rows.
    pub plenty: [usize; 2],
    /// Elements of a row at most, where there are plenty of outputs.
    pub longest: usize,
}

/// How rows are spread over invocations.
#[derive(Debug, Clone, Copy)]
pub struct RowCosts {
    /// A workgroup shares a row of more than n elements,
    pub shared_columns: usize,
    /// if there are fewer rows than this: else one invocation a row keeps all cores busy, without a barrier.
    pub shared_rows: usize,
    /// Invocations that share a row of fewer than `long` elements, and a longer one.
    pub shared_workgroup: [usize; 2],
    /// See there.
    pub long: usize,
    /// Invocations a workgroup, with a row each: of fewer than `plenty` rows, and of more.
    pub own_workgroup: [usize; 2],
    /// See there.
    pub plenty: usize,
    /// Elements up to which one workgroup sums a loss over all rows, to save a dispatch.
    pub single: usize,
}

/// How a channel is shared.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormCosts {
    /// From n channels on, each is one workgroup's.
    pub whole_channels: usize,
    /// With fewer: loads that a workgroup takes,
    pub loads_each: usize,
    /// and workgroups of all channels together at most.
    pub workgroups: usize,
    /// Invocations a workgroup that reduces, with small planes and with large ones:
    pub workgroup: [usize; 2],
    /// those of n loads or more.
    pub large_plane: usize,
    /// Invocations a workgroup that does not.
    pub element_workgroup: usize,
}

/// How the rows are shared that one column sums.
#[derive(Debug, Clone, Copy)]
pub struct LayerNormCosts {
    /// Rows that an invocation sums.
    pub rows_each: usize,
    /// Partial sums of a column at most.
    pub most_parts: usize,
}

/// What the choice of tiles and splits goes by.
#[derive(Debug, Clone, Copy)]
pub struct TileCosts {
    /// Workgroups that fill the adapter: reductions are split until there are n.
    pub workgroups: usize,
    /// Workgroups that are enough for wide tiles.
    pub wide_workgroups: usize,
    /// Elements that a part of a split reduction adds up at least.
    pub least_k: usize,
    /// Whether engines with barriers are worth a try where there are subgroups of 8.
    pub staged: bool,
}

/// When B is copied into panels first.
#[derive(Debug, Clone, Copy)]
pub struct PanelCosts {
    /// Rows of A and elements of a reduction that make the copy worth it.
    pub fewest: usize,
    /// f32 to a memory page: where rows of B are a multiple of it, a panel of B as it lies falls into few sets of each cache.
    pub page: usize,
}

/// Times of 8 lanes in nanoseconds, and bounds.
#[derive(Debug, Clone, Copy)]
pub struct ConvRowCosts {
    /// A load of one value, of two neighbours, of four.
    pub load_ns: [f64; 3],
    /// A load of four weights.
    pub load_weights_ns: f64,
    /// For a weight: what its broadcast costs,
    pub broadcast_ns: f64,
    /// and each of its products with its share of spills.
    pub product_ns: f64,
    /// A value stored alone, with a neighbour, with three.
    pub store_ns: [f64; 3],
    /// Products of a large convolution and on: it may take the compiler a second.
    pub large: usize,
    /// Unrolled products at most, of a small convolution and of a large one.
    pub most_products: [usize; 2],
    /// Subgroups that keep all cores busy: with fewer, tiles do better.
    pub fewest_subgroups: usize,
    /// Tiles that are worth measuring.
    pub tiles: usize,
    /// Subgroups that the gradient by weights is cut into, to keep all cores busy to the end,
    pub dw_subgroups: usize,
    /// if each then has n chunks of four pixels.
    pub dw_fewest_chunks: usize,
}

/// Times of 8 lanes in nanoseconds, and bounds.
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseCosts {
    /// A load of one value.
    pub load_ns: f64,
    /// A load of four.
    pub load_vec4_ns: f64,
    /// A product.
    pub product_ns: f64,
    /// A value stored alone, and as one of four.
    pub store_ns: [f64; 2],
    /// What a step down a strip costs besides.
    pub step_ns: f64,
    /// Whether strips are ordered by these times; else narrow ones come first, since a GPU wants lanes.
    pub by_time: bool,
    /// Lanes that are wanted.
    pub lanes: usize,
    /// Steps of a lane at most.
    pub longest: usize,
    /// Unrolled products at most, and values held: more take the compiler too long.
    pub most_products: usize,
    /// See there.
    pub most_values: usize,
}

impl SplitCosts {
    /// Parts of each output, of `elements`.
    pub fn parts(&self, elements: usize, outputs: usize) -> usize {
        if elements < self.from {
            return 1;
        }
        (elements / self.least).min(self.jobs / outputs.max(1)).clamp(1, self.most)
    }
}

impl Costs {
    /// Those of an adapter.
    pub fn of(caps: &Caps) -> &'static Self {
        match (caps.is_cpu, caps.tile) {
            (true, TileVariant::Subgroup) => &LAVAPIPE,
            (true, TileVariant::Workgroup) => &CPU_BY_WORKGROUPS,
            (false, _) => &GPU,
        }
    }
}

/// Software Vulkan with subgroups of 8.
pub const LAVAPIPE: Costs = Costs {
    reducing_lanes: 8,
    // `bench kernels --filter reduce`, 2026-11-25 (bafd964); the splits are those of GPUs.
    reduce: ReduceCosts { plenty: 64, longest: 4096, ..GPU.reduce },
    // `bench kernels --filter argmax`, 2026-11-25 (bafd964).
    argmax: ArgMaxCosts { plenty: [64, 64], longest: 16_384, ..GPU.argmax },
    // `bench kernels --filter softmax`, 2026-11-25 (bafd964).
    rows: RowCosts {
        shared_columns: 512,
        shared_rows: 64,
        shared_workgroup: [8, 8],
        own_workgroup: [8, 64],
        plenty: 1024,
        single: 1 << 16,
        ..GPU.rows
    },
    // Set by hand, commits 68bca92 and 34c6939 (2026-11-24): few cores, so that a few channels keep them busy and saved
    // dispatches count; a small workgroup walks memory in order, and its barriers are cheap.
    batch_norm: BatchNormCosts {
        whole_channels: 4,
        workgroup: [16, 8],
        element_workgroup: 64,
        ..GPU.batch_norm
    },
    layer_norm: GPU.layer_norm,
    // `bench kernels --filter gemm`, 2026-11-25 (24dcf4e): enough workgroups to keep the cores busy to the end.
    tiles: TileCosts { workgroups: 16, staged: false, ..GPU.tiles },
    // `bench kernels --filter gemm/1024 --filter gemm/2048`, 2026-11-25 (aafbadf).
    panels: Some(PanelCosts { fewest: 256, page: 4096 / 4 }),
    conv_rows: CONV_ROWS,
    // `bench kernels --filter depthwise` with `perf record`, 2026-11-25 (66ad064; the step ca105d0). That was before loads
    // and stores of 64-bit words (a301f5c), and was not measured again.
    depthwise: DepthwiseCosts { by_time: true, lanes: 1024, longest: usize::MAX, ..GPU.depthwise },
    gather_lanes: 128,
    upsample_lanes: 1024,
    augmented_pixels: 32,
    // `bench kernels --filter grad_norm`, 2026-11-25 (a301f5c): barriers are expensive, so that fewer workgroups do more each.
    grad_norm: PartialSums { vec4s_each: 64, ..GPU.grad_norm },
    ..GPU
};

/// A CPU adapter without subgroups of 8. Also a forced engine of workgroups, by which tests see a GPU's cuts.
pub const CPU_BY_WORKGROUPS: Costs = Costs { panels: None, depthwise: GPU.depthwise, ..LAVAPIPE };

/// Every GPU. Set by hand in the commits named, never measured on one.
pub const GPU: Costs = Costs {
    reducing_lanes: 64,
    // 1afefa8: enough invocations, and of rows enough workgroups, to fill one.
    reduce: ReduceCosts {
        short: 16,
        plenty: 2048,
        longest: 512,
        columns: SplitCosts { from: 512, least: 32, jobs: 8192, most: 256 },
        rows: SplitCosts { from: 4096, least: 1024, jobs: 1024, most: usize::MAX },
    },
    // 1afefa8: columns read neighbours with neighbouring invocations; long rows need a workgroup for that.
    argmax: ArgMaxCosts { short: 32, plenty: [64, 2048], longest: 512 },
    // 0dbc9db.
    rows: RowCosts {
        shared_columns: 32,
        shared_rows: usize::MAX,
        shared_workgroup: [64, 256],
        long: 4096,
        own_workgroup: [64, 64],
        plenty: 0,
        single: usize::MAX,
    },
    // 68bca92: about a thousand workgroups, with eight or more loads an invocation.
    batch_norm: BatchNormCosts {
        whole_channels: usize::MAX,
        loads_each: 2048,
        workgroups: 1024,
        workgroup: [256, 256],
        large_plane: 64,
        element_workgroup: 256,
    },
    // 4bc4391.
    layer_norm: LayerNormCosts { rows_each: 128, most_parts: 64 },
    // 868a5c4; wide tiles 24dcf4e, which are for subgroups of 8 and were measured on lavapipe.
    tiles: TileCosts { workgroups: 512, wide_workgroups: 16, least_k: 128, staged: true },
    panels: None,
    conv_rows: CONV_ROWS,
    // 66ad064: a GPU has registers and wants lanes. The times are lavapipe's and order nothing here.
    depthwise: DepthwiseCosts {
        load_ns: 13.0,
        load_vec4_ns: 24.0,
        product_ns: 1.0,
        store_ns: [18.0, 7.0],
        step_ns: 60.0,
        by_time: false,
        lanes: 32_768,
        longest: 16,
        most_products: 640,
        most_values: 160,
    },
    gather_lanes: 16_384,
    upsample_lanes: 32_768,
    upsample_unrolled: 16,
    augmented_pixels: 4,
    // a3ae945.
    grad_norm: PartialSums { vec4s_each: 8, most_workgroups: 4096 },
    // 4bc4391: no more partial sums than one workgroup adds up in a few rounds.
    regression: PartialSums { vec4s_each: 16, most_workgroups: 1024 },
};

/// The same on all adapters with subgroups of 8, since lavapipe is the only one that was measured: loads, products and stores
/// by `bench kernels --filter conv` with `perf record` and a disassembly, 2026-11-25 (a301f5c, products 55a07ab). The bounds were set by hand with the same cases in view: f3f0a02, 97771c6 and 89b9003,
/// 2026-11-24.
const CONV_ROWS: ConvRowCosts = ConvRowCosts {
    load_ns: [8.0, 7.0, 10.0],
    load_weights_ns: 10.0,
    broadcast_ns: 0.3,
    product_ns: 0.2,
    store_ns: [20.0, 11.0, 8.0],
    large: 1 << 22,
    most_products: [256, 768],
    fewest_subgroups: 16,
    tiles: 4,
    dw_subgroups: 48,
    dw_fewest_chunks: 64,
};
