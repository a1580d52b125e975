//! The tile engines behind gemm and convolution: C[m, n] = sum_k A[m, k] B[k, n] (+ bias), for each batch.
//!
//! An op brings a loader (WGSL that says what A and B are and where C goes); this file picks the engine for the adapter,
//! the tile, and how often the reduction is split. Split reductions are added in a fixed order: results are the same
//! to the bit in every run.

use super::epilogue::Epilogue;
use crate::Result;
use crate::gpu::{Caps, Grid, Kernel, TileVariant};
use crate::tape::{Lowering, Slot};

const SUBGROUP: &str = include_str!("../../shaders/tile_subgroup.wgsl");
const WORKGROUP: &str = include_str!("../../shaders/tile_workgroup.wgsl");
const STORE: &str = include_str!("../../shaders/tile_store.wgsl");

/// One matrix product for the engines.
pub struct Job {
    /// Op name for labels.
    pub name: &'static str,
    /// The loader's WGSL.
    pub loader: &'static str,
    /// The loader's own constants.
    pub defines: Vec<(&'static str, usize)>,
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Length of the reduction.
    pub k: usize,
    /// Independent products (convolution groups, batched gemm).
    pub batch: usize,
    /// How A lies in memory.
    pub a: Along,
    /// How B lies in memory.
    pub b: Along,
    /// Columns n..n+3 of C are one aligned vec4, for n a multiple of 4.
    pub out_n4: bool,
    /// Bias: by row of C, by column, or none.
    pub bias: Bias,
    /// What then happens to C.
    pub epilogue: Epilogue,
}

/// Which index of an operand is contiguous in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// k; with `vec4`, every run of four is aligned and may be loaded as one.
    K { vec4: bool },
    /// The other index (m of A, n of B).
    Other { vec4: bool },
}

/// Where a bias is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// Nowhere.
    None,
    /// bias[m]
    Row,
    /// bias[n]
    Column,
}

/// Binding slots of a job: A, B, the bias where there is one, what is added to C where something is, C.
pub struct Operands {
    pub a: Slot,
    pub b: Slot,
    pub bias: Option<Slot>,
    pub residual: Option<Slot>,
    pub c: Slot,
}

impl Operands {
    /// C = A B.
    pub fn plain(a: Slot, b: Slot, c: Slot) -> Self {
        Self { a, b, bias: None, residual: None, c }
    }
}

/// The tile and the split for one job on one adapter.
struct Shape {
    tile_m: usize,
    tile_n: usize,
    k_slices: usize,
    k_slice: usize,
}

impl Job {
    /// Appends the dispatches.
    pub fn lower(self, to: &mut Lowering<'_>, operands: &Operands) -> Result<()> {
        let variant = to.caps().tile;
        let shape = self.shape(to.caps());
        let split = shape.k_slices > 1;
        let kernel = match variant {
            TileVariant::Subgroup => self.subgroup(&shape),
            TileVariant::Workgroup => self.workgroup(&shape),
        };
        let tiles = self.m.div_ceil(shape.tile_m) * self.n.div_ceil(shape.tile_n);
        let grid = Grid::linear(tiles * self.batch * shape.k_slices);
        let target =
            if split { to.scratch(shape.k_slices * self.batch * self.m * self.n) } else { operands.c };
        let mut bindings = vec![operands.a, operands.b];
        bindings.extend(operands.bias.filter(|_| !split));
        bindings.push(target);
        bindings.extend(operands.residual.filter(|_| !split));
        to.dispatch(kernel, &bindings, grid);
        if split {
            let kernel = self.common("finish", &shape).with(STORE).define("FINISH", 1).define("SPLIT", 0);
            let kernel = self.finishing(kernel, true).define("OUT_N4", 0);
            let kernel = kernel.define("A_VEC4", 0).define("B_VEC4", 0);
            let mut bindings: Vec<Slot> = operands.bias.into_iter().collect();
            bindings.extend([operands.c, target]);
            bindings.extend(operands.residual);
            to.dispatch(kernel, &bindings, Grid::linear((self.batch * self.m * self.n).div_ceil(64)));
        }
        Ok(())
    }

    fn shape(&self, caps: &Caps) -> Shape {
        let (tile_m, tile_n) = match caps.tile {
            TileVariant::Subgroup => (8 * self.rows(), 32),
            TileVariant::Workgroup => {
                let (tm, tn) = self.workgroup_tile();
                (4 * tm, 4 * tn)
            }
        };
        // Enough workgroups to fill the adapter, none with less than MIN_K to add up.
        const MIN_K: usize = 128;
        let wanted: usize = if caps.is_cpu { 16 } else { 512 };
        let tiles = self.m.div_ceil(tile_m) * self.n.div_ceil(tile_n) * self.batch;
        let slices = wanted.div_ceil(tiles.max(1)).min(self.k / MIN_K).max(1);
        // A multiple of 16 keeps vec4 loads aligned and whole k tiles.
        let k_slice = self.k.div_ceil(slices).next_multiple_of(16);
        Shape { tile_m, tile_n, k_slices: self.k.div_ceil(k_slice).max(1), k_slice }
    }

    fn common(&self, entry: &'static str, shape: &Shape) -> Kernel {
        let mut kernel = Kernel::new(self.name, entry, self.loader)
            .define("M", self.m)
            .define("N", self.n)
            .define("K", self.k)
            .define("BATCH", self.batch)
            .define("K_SLICES", shape.k_slices)
            .define("K_SLICE", shape.k_slice);
        for &(name, value) in &self.defines {
            kernel = kernel.define(name, value);
        }
        kernel
    }

    /// Bias and epilogue, in the kernel that knows the whole sums.
    fn finishing(&self, kernel: Kernel, apply: bool) -> Kernel {
        let epilogue = if apply { self.epilogue } else { Epilogue::default() };
        epilogue
            .define(kernel)
            .define("BIAS_M", (apply && self.bias == Bias::Row) as usize)
            .define("BIAS_N", (apply && self.bias == Bias::Column) as usize)
    }

    fn engine(&self, shape: &Shape, engine: &'static str) -> Kernel {
        let split = shape.k_slices > 1;
        // Partial results lie row by row, whatever the layout of C.
        let out_n4 = if split { self.n.is_multiple_of(4) } else { self.out_n4 };
        let kernel = self.common("tile", shape).with(STORE).with(engine);
        self.finishing(kernel, !split)
            .define("FINISH", 0)
            .define("SPLIT", split as usize)
            .define("OUT_N4", out_n4 as usize)
    }

    fn subgroup(&self, shape: &Shape) -> Kernel {
        let rows = self.rows();
        let a_k4 = self.a == Along::K { vec4: true };
        let a_m4 = self.a == Along::Other { vec4: true } && rows == 4;
        let b_k4 = self.b == Along::K { vec4: true };
        let b_n4 = self.b == Along::Other { vec4: true };
        // K4 means that K is a multiple of 4 already. Slices are multiples of 16, or all of K.
        let even = |unroll: &usize| self.k.is_multiple_of(*unroll) && (*unroll != 3 || shape.k_slices == 1);
        let unroll = if a_k4 || b_k4 { 4 } else { [4, 3, 2].into_iter().find(even).unwrap_or(1) };
        self.engine(shape, SUBGROUP)
            .define("ROWS", rows)
            .define("UNROLL", unroll)
            .define("A_K4", a_k4 as usize)
            .define("A_M4", a_m4 as usize)
            .define("A_VEC4", (a_k4 || a_m4) as usize)
            .define("B_K4", b_k4 as usize)
            .define("B_N4", b_n4 as usize)
            .define("B_VEC4", (b_k4 || b_n4) as usize)
    }

    fn workgroup(&self, shape: &Shape) -> Kernel {
        let (tm, tn) = self.workgroup_tile();
        self.engine(shape, WORKGROUP)
            .define("TM", tm)
            .define("TN", tn)
            .define("A_K_FAST", matches!(self.a, Along::K { .. }) as usize)
            .define("B_K_FAST", matches!(self.b, Along::K { .. }) as usize)
            .define("A_VEC4", 0)
            .define("B_VEC4", 0)
    }

    /// Rows of A a lane of the subgroup engine loads.
    fn rows(&self) -> usize {
        self.m.div_ceil(8).clamp(1, 4)
    }

    /// Invocations of the workgroup engine along m and n: flat tiles where C has few rows.
    fn workgroup_tile(&self) -> (usize, usize) {
        match self.m {
            0..=16 => (4, 32),
            17..=32 => (8, 16),
            _ => (16, 16),
        }
    }
}
