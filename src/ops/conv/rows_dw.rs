//! Gradients by weights and bias for CPU adapters: shaders/conv/conv2d_rows_dw.wgsl.

use crate::gpu::{Caps, Grid, Kernel, TileVariant};
use crate::ops::common::per_element;
use crate::ops::conv::rows::{RowConv, RowLoads};
use crate::ops::costs::ConvRowCosts;
use crate::tape::{Lowering, Slot, Variant};

const SHADER: &str = include_str!("../../../shaders/conv/conv2d_rows_dw.wgsl");

/// Binding slots.
pub struct DwOperands {
    pub x: Slot,
    pub dy: Slot,
    pub dw: Slot,
    pub db: Option<Slot>,
}

/// How the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DwTile {
    /// Lanes that load channels of dy, four each.
    lanes: usize,
    /// Pairs of input channel and kernel row a lane.
    pairs: usize,
    /// Parts of the sum over images and pixels, and chunks of four pixels of each.
    slices: usize,
    slice: usize,
}

/// Whether the kernel can do it, and there are taps along a row to share loads.
pub fn suits(conv: &RowConv, caps: &Caps) -> bool {
    caps.tile == TileVariant::Subgroup
        && (2..=7).contains(&conv.kernel[1])
        && conv.stride == [1, 1]
        && conv.dilation[1] == 1
        && conv.y[1] == conv.x[1]
}

/// Ways to do it, the one estimated to be the fastest first: other numbers of channels and of pairs a lane.
pub fn variants<'a>(conv: &'a RowConv, at: &'a DwOperands, costs: &ConvRowCosts) -> Vec<Variant<'a>> {
    let best =
        DwTile::new(conv, costs, conv.m.div_ceil(4).min(8), if conv.c * conv.kernel[0] > 8 { 2 } else { 1 });
    let mut tiles = vec![best];
    for (lanes, pairs) in
        [(best.lanes, 3 - best.pairs), (best.lanes.div_ceil(2), best.pairs), (best.lanes.div_ceil(2), 2)]
    {
        let tile = DwTile::new(conv, costs, lanes, pairs);
        if !tiles.contains(&tile) {
            tiles.push(tile);
        }
    }
    let variant = |tile: DwTile| {
        let name = format!("rows {}x{} in {}", 4 * tile.lanes, tile.pairs, tile.slices);
        Variant::new(name, move |to| {
            lower(conv, to, at, &tile);
            Ok(())
        })
    };
    tiles.into_iter().map(variant).collect()
}

/// Appends the dispatches: the sums, and where they are cut into slices, the sum of these.
fn lower(conv: &RowConv, to: &mut Lowering<'_>, at: &DwOperands, tile: &DwTile) {
    let kernel = |entry| define(conv, Kernel::new("conv2d", entry, SHADER), tile, at.db.is_some());
    let (weights, biases) =
        (conv.groups * conv.m * conv.c * conv.kernel[0] * conv.kernel[1], conv.groups * conv.m);
    let split = tile.slices > 1;
    let dw = if split { to.scratch(tile.slices * weights) } else { at.dw };
    let db = at.db.map(|db| if split { to.scratch(tile.slices * biases) } else { db });
    let len = weights + at.db.map_or(0, |_| biases);
    let bindings: Vec<Slot> = [at.dy, at.x, dw].into_iter().chain(db).collect();
    let subgroups = tiles(conv, tile) * tile.slices;
    to.dispatch(kernel("rows_dw").define("LEN", len), &bindings, Grid::linear(subgroups));
    if split {
        let bindings: Vec<Slot> = [dw].into_iter().chain(db).chain([at.dw]).chain(at.db).collect();
        per_element(to, kernel("finish"), &bindings, len);
    }
}

fn tiles(conv: &RowConv, tile: &DwTile) -> usize {
    let columns = conv.c * conv.kernel[0];
    conv.groups * conv.m.div_ceil(4 * tile.lanes) * columns.div_ceil(8 * tile.pairs)
}

impl DwTile {
    fn new(conv: &RowConv, costs: &ConvRowCosts, lanes: usize, pairs: usize) -> Self {
        let most = conv.most_products(costs) / (16 * pairs * conv.kernel[1]);
        let uncut = Self { lanes: lanes.min(most).max(1), pairs, slices: 1, slice: 0 };
        let chunks = (conv.images * (conv.y[0] * conv.y[1]).div_ceil(4)).max(1);
        let subgroups = costs.dw_subgroups.div_ceil(tiles(conv, &uncut));
        let wanted = subgroups.min(chunks / costs.dw_fewest_chunks).max(1);
        let slice = chunks.div_ceil(wanted);
        Self { slices: chunks.div_ceil(slice), slice, ..uncut }
    }
}

fn define(conv: &RowConv, kernel: Kernel, tile: &DwTile, bias: bool) -> Kernel {
    let defines = [
        ("IMAGES", conv.images),
        ("GROUPS", conv.groups),
        ("C", conv.c),
        ("M", conv.m),
        ("H", conv.x[0]),
        ("W", conv.x[1]),
        ("O_H", conv.y[0]),
        ("O_W", conv.y[1]),
        ("K_H", conv.kernel[0]),
        ("K_W", conv.kernel[1]),
        ("D_H", conv.dilation[0]),
        ("LANES", tile.lanes),
        ("PAIRS", tile.pairs),
        ("SLICES", tile.slices),
        ("SLICE", tile.slice),
        ("DY_VEC4", (conv.y[0] * conv.y[1]).is_multiple_of(4).into()),
        ("BIAS", bias.into()),
    ];
    let kernel = kernel.define_i32("P_H", conv.padding[0]).define_i32("P_W", conv.padding[1]);
    // Four pixels at a time, each with its neighbours.
    let loads = RowLoads::new(conv.x[1], 4, conv.padding[1], 3 + conv.kernel[1]).defines();
    defines.into_iter().chain(loads).fold(kernel, |kernel, (name, value)| kernel.define(name, value))
}
