//! The convolution of CPU adapters: shaders/conv/conv2d_rows.wgsl. Its tile is chosen by what loads, products and stores cost
//! there.
//!
//! There loads are expensive, broadcasts and arithmetic cheap. So a lane walks along a row, what it loads serves all taps, and it
//! loads aligned neighbours together ([`RowLoads`]). GPUs take the tile engine.

use crate::gpu::{Caps, Grid, Kernel, TileVariant};
use crate::ops::common::per_element;
use crate::ops::conv::lower::ConvOperands;
use crate::ops::costs::{ConvRowCosts, Costs};
use crate::ops::epilogue::Epilogue;
use crate::tape::{Lowering, Slot, Variant};

const SHADER: &str = include_str!("../../../shaders/conv/conv2d_rows.wgsl");

/// A convolution as the kernel sees it; pairs are (height, width).
#[derive(Debug, Clone)]
pub struct RowConv {
    pub images: usize,
    pub groups: usize,
    /// Channels of x and of y within a group.
    pub c: usize,
    pub m: usize,
    pub x: [usize; 2],
    pub y: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [i32; 2],
    pub dilation: [usize; 2],
    /// The weights are those of the forward pass, and y is its x.
    pub flip: bool,
    /// Which rows and columns of its planes y is.
    pub pixels: [Strided; 2],
    /// Which taps of the weights the kernel is.
    pub taps: [Strided; 2],
}

/// Every `step`-th place from `first` on, of `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strided {
    pub first: usize,
    pub step: usize,
    pub all: usize,
}

impl Strided {
    /// All places.
    pub fn whole(all: usize) -> Self {
        Self { first: 0, step: 1, all }
    }

    /// How many places these are.
    pub fn count(&self) -> usize {
        self.all.saturating_sub(self.first).div_ceil(self.step)
    }
}

/// Channels and pixels of a lane.
#[derive(Debug, Clone, Copy)]
struct Tile {
    rows: usize,
    pixels: usize,
}

impl Tile {
    /// Taps whose weights 8 lanes load at once, four channels each.
    fn taps_at_once(&self) -> usize {
        if 32 % self.rows == 0 { 32 / self.rows } else { 1 }
    }
}

/// How a lane loads neighbours in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLoads {
    /// Values to a load: 4, 2 or 1.
    vec: usize,
    /// Values of the first load before those that are needed: loads are aligned.
    shift: usize,
    loads: usize,
}

impl RowLoads {
    /// For `values` neighbours from `padding` before a multiple of `step` on, where rows are `width` long.
    pub fn new(width: usize, step: usize, padding: i32, values: usize) -> Self {
        let aligned = |vec: &usize| width.is_multiple_of(*vec) && step.is_multiple_of(*vec);
        let vec = [4, 2].into_iter().find(aligned).unwrap_or(1);
        let shift = (-padding).rem_euclid(vec as i32) as usize;
        Self { vec, shift, loads: (shift + values).div_ceil(vec) }
    }

    /// The constants of kernels that load so.
    pub fn defines(&self) -> [(&'static str, usize); 5] {
        [
            ("X_VEC", self.vec),
            ("X_VEC4", (self.vec == 4).into()),
            ("X_VEC2", (self.vec == 2).into()),
            ("SHIFT", self.shift),
            ("LOADS_X", self.loads),
        ]
    }

    /// What it costs 8 lanes.
    fn nanoseconds(&self, costs: &ConvRowCosts) -> f64 {
        costs.load_ns[self.vec / 2] * self.loads as f64
    }
}

impl RowConv {
    /// Most unrolled products of a kernel: more are faster, and take up to a second to compile. A small convolution is
    /// done sooner than that.
    pub fn most_products(&self, costs: &ConvRowCosts) -> usize {
        let taps = self.c * self.kernel[0] * self.kernel[1];
        let all = self.images * self.groups * self.m * self.y[0] * self.y[1] * taps;
        costs.most_products[usize::from(all >= costs.large)]
    }

    /// Whether this kernel is worth a try. It needs subgroups of 8, taps along a row to share loads, and enough subgroups.
    pub fn suits(&self, caps: &Caps) -> bool {
        let costs = &Costs::of(caps).conv_rows;
        caps.tile == TileVariant::Subgroup
            && self.taps[1].all > 1
            && self.subgroups(self.tile(costs)) >= costs.fewest_subgroups
    }

    /// Ways to do these convolutions, one after another, by tiles of the least estimated time; the best one first.
    pub fn variants<'a>(
        all: &'a [Self],
        at: &'a ConvOperands,
        epilogue: Epilogue,
        costs: &ConvRowCosts,
    ) -> Vec<Variant<'a>> {
        let tiles: Vec<Vec<Tile>> = all.iter().map(|conv| conv.tiles(costs)).collect();
        let most = tiles.iter().map(Vec::len).max().unwrap_or(0).min(costs.tiles);
        (0..most)
            .map(|place| {
                let own: Vec<Tile> = tiles.iter().map(|of| of[place.min(of.len() - 1)]).collect();
                let names: Vec<String> = own.iter().map(|t| format!("{}x{}", t.rows, t.pixels)).collect();
                Variant::new(format!("rows {}", names.join(" ")), move |to| {
                    all.iter().zip(own).for_each(|(conv, tile)| conv.lower(to, at, epilogue, tile));
                    Ok(())
                })
            })
            .collect()
    }

    /// Appends the dispatches: packing of the weights, which folds the norm into them, and the convolution.
    fn lower(&self, to: &mut Lowering<'_>, at: &ConvOperands, epilogue: Epilogue, tile: Tile) {
        let kernel = |entry, epilogue: Epilogue, bias: Option<Slot>, fold: bool| {
            let kernel = epilogue.define(self.kernel_for(entry, tile));
            kernel.define("BIAS", bias.is_some().into()).define("FOLD", fold.into())
        };
        let pairs = self.groups * self.c * self.m.next_multiple_of(4);
        let packed = to.scratch(pairs * self.kernel[0] * self.kernel[1]);
        let pack = kernel("pack", Epilogue::default(), at.bias, at.norm.is_some());
        let bias = match at.norm {
            Some(norm) => {
                let folded = to.scratch(self.groups * self.m);
                let bindings = norm.bindings([at.w, packed], at.bias, folded);
                per_element(to, norm.define(pack), &bindings, pairs);
                Some(folded)
            }
            None => {
                per_element(to, pack, &[at.w, packed], pairs);
                at.bias
            }
        };
        let mut bindings = vec![packed, at.x];
        bindings.extend(bias);
        bindings.push(at.y);
        bindings.extend(at.residual);
        let grid = Grid::linear(self.subgroups(tile));
        to.dispatch(kernel("rows", epilogue, bias, false), &bindings, grid);
    }

    fn subgroups(&self, tile: Tile) -> usize {
        let spans = self.images * self.y[0] * self.y[1].div_ceil(tile.pixels);
        self.groups * self.m.div_ceil(tile.rows) * spans.div_ceil(8)
    }

    /// Values of a row of x that one span of pixels needs.
    fn row_values(&self, pixels: usize) -> usize {
        (pixels - 1) * self.stride[1] + (self.kernel[1] - 1) * self.dilation[1] + 1
    }

    fn row_loads(&self, pixels: usize) -> RowLoads {
        let step = pixels * self.stride[1];
        RowLoads::new(self.x[1], step, self.padding[1], self.row_values(pixels))
    }

    /// Neighbours that one store writes: 4, 2 or 1.
    fn stored_at_once(&self, pixels: usize) -> usize {
        let aligned = |n: &usize| pixels.is_multiple_of(*n) && self.y[1].is_multiple_of(*n);
        let neighbours = self.pixels[1].step == 1;
        [4, 2].into_iter().find(|n| neighbours && aligned(n)).unwrap_or(1)
    }

    /// The tile with the least estimated time.
    fn tile(&self, costs: &ConvRowCosts) -> Tile {
        self.tiles(costs)[0]
    }

    /// Tiles by estimated time, at least one.
    fn tiles(&self, costs: &ConvRowCosts) -> Vec<Tile> {
        let most_rows = self.m.next_multiple_of(4).min(32);
        let mut tiles: Vec<Tile> = (1..=most_rows / 4)
            .flat_map(|r| (1..=16).map(move |pixels| Tile { rows: 4 * r, pixels }))
            .filter(|t| t.pixels <= self.y[1].max(1))
            .filter(|t| t.rows * t.pixels * self.kernel[1] <= self.most_products(costs))
            .collect();
        tiles.sort_by(|a, b| self.nanoseconds(*a, costs).total_cmp(&self.nanoseconds(*b, costs)));
        if tiles.is_empty() {
            tiles.push(Tile { rows: 4, pixels: 1 });
        }
        tiles
    }

    /// Estimated time for one row of all channels: loads of weights and of x, products, stores.
    fn nanoseconds(&self, tile: Tile, costs: &ConvRowCosts) -> f64 {
        let [k_h, k_w] = self.kernel;
        let loads = costs.load_weights_ns * k_w.div_ceil(tile.taps_at_once()) as f64
            + self.row_loads(tile.pixels).nanoseconds(costs);
        let products =
            (costs.broadcast_ns + costs.product_ns * tile.pixels as f64) * (tile.rows * k_w) as f64;
        let at_once = self.stored_at_once(tile.pixels);
        let store = costs.store_ns[at_once / 2];
        let one = (self.c * k_h) as f64 * (loads + products) + store * (tile.rows * tile.pixels) as f64;
        one * (self.m.div_ceil(tile.rows) * self.y[1].div_ceil(tile.pixels)) as f64
    }

    fn kernel_for(&self, entry: &'static str, tile: Tile) -> Kernel {
        let at_once = self.stored_at_once(tile.pixels);
        let defines = [
            ("IMAGES", self.images),
            ("GROUPS", self.groups),
            ("C", self.c),
            ("M", self.m),
            ("H", self.x[0]),
            ("W", self.x[1]),
            ("O_H", self.y[0]),
            ("O_W", self.y[1]),
            ("K_H", self.kernel[0]),
            ("K_W", self.kernel[1]),
            ("S_H", self.stride[0]),
            ("S_W", self.stride[1]),
            ("D_H", self.dilation[0]),
            ("D_W", self.dilation[1]),
            ("Y_FIRST_H", self.pixels[0].first),
            ("Y_FIRST_W", self.pixels[1].first),
            ("Y_STEP_H", self.pixels[0].step),
            ("Y_STEP_W", self.pixels[1].step),
            ("Y_ALL_H", self.pixels[0].all),
            ("Y_ALL_W", self.pixels[1].all),
            ("T_FIRST_H", self.taps[0].first),
            ("T_FIRST_W", self.taps[1].first),
            ("T_STEP_H", self.taps[0].step),
            ("T_STEP_W", self.taps[1].step),
            ("T_ALL_H", self.taps[0].all),
            ("T_ALL_W", self.taps[1].all),
            ("ROWS", tile.rows),
            ("PIXELS", tile.pixels),
            ("TAPS_AT_ONCE", tile.taps_at_once()),
            ("LOADS_W", self.kernel[1].div_ceil(tile.taps_at_once())),
            ("FLIP", self.flip.into()),
            ("Y_VEC", at_once),
            ("Y_VEC4", (at_once == 4).into()),
            ("Y_VEC2", (at_once == 2).into()),
            ("STORES", tile.pixels / at_once),
        ];
        let kernel = Kernel::new("conv2d", entry, SHADER)
            .define_i32("P_H", self.padding[0])
            .define_i32("P_W", self.padding[1]);
        let loads = self.row_loads(tile.pixels).defines();
        defines.into_iter().chain(loads).fold(kernel, |kernel, (name, value)| kernel.define(name, value))
    }
}
