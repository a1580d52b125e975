//! The tile engines behind gemm and convolution: C[m, n] = sum_k A[m, k] B[k, n] (+ bias), for each batch.
//!
//! An op brings a loader (WGSL that says what A and B are and where C goes); this file says which engines, tiles
//! and splits of the reduction an adapter can take, and which one it takes unless another was measured to be
//! faster. Split reductions are added in a fixed order: results are the same to the bit in every run.

mod matrix;
#[cfg(test)]
mod tests;

use crate::Result;
use crate::gpu::{Caps, Grid, Kernel, TileVariant};
use crate::ops::costs::Costs;
use crate::ops::epilogue::Epilogue;
use crate::ops::tile::matrix::MatrixTile;
use crate::tape::{Lowering, Slot, Variant};

const SUBGROUP: &str = include_str!("../../../shaders/tile/tile_subgroup.wgsl");
const WORKGROUP: &str = include_str!("../../../shaders/tile/tile_workgroup.wgsl");

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
    pub a: VectorAxis,
    /// How B lies in memory.
    pub b: VectorAxis,
    /// Columns n..n+3 of C are one aligned vec4, for n a multiple of 4.
    pub out_n4: bool,
    /// Bias: by row of C, by column, or none.
    pub bias: Bias,
    /// What then happens to C.
    pub epilogue: Epilogue,
}

/// Which index of an operand is contiguous in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorAxis {
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

/// An engine and its tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// Rows of A that a lane loads, and quads of columns that it owns.
    Subgroup { rows: usize, quads: usize },
    /// Invocations along m and n, and blocks of 4 x 4 outputs an invocation along m and n.
    Workgroup { invocations: [usize; 2], blocks: [usize; 2] },
    /// Cooperative matrices.
    Matrix(MatrixTile),
}

impl Engine {
    /// Outputs of a workgroup along m and n.
    fn tile(&self) -> [usize; 2] {
        match *self {
            Self::Subgroup { rows, quads } => [8 * rows, 32 * quads],
            Self::Workgroup { invocations: [tm, tn], blocks: [bm, bn] } => [4 * bm * tm, 4 * bn * tn],
            Self::Matrix(tile) => tile.outputs(),
        }
    }
}

/// A job cut into tiles and parts of the reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    engine: Engine,
    k_slices: usize,
    k_slice: usize,
}

impl Cut {
    /// What it is called in the file of choices.
    fn name(&self) -> String {
        let [m, n] = self.engine.tile();
        let engine = match self.engine {
            Engine::Subgroup { .. } => format!("subgroup {m}x{n}"),
            Engine::Workgroup { blocks: [bm, bn], .. } => {
                format!("workgroup {m}x{n} by {}x{}", 4 * bm, 4 * bn)
            }
            Engine::Matrix(tile) => tile.name(),
        };
        format!("{engine} in {}", self.k_slices)
    }
}

impl Job {
    /// The ways to do it on an adapter, the default first.
    pub fn variants<'a>(&'a self, to: &Lowering<'_>, operands: &'a Operands) -> Vec<Variant<'a>> {
        let half = to.is_half(operands.a) && to.is_half(operands.b);
        self.cuts(to.caps(), half)
            .into_iter()
            .map(|cut| Variant::new(cut.name(), move |to| self.lower_cut(to, &cut, operands)))
            .collect()
    }

    fn lower_cut(&self, to: &mut Lowering<'_>, cut: &Cut, operands: &Operands) -> Result<()> {
        let split = cut.k_slices > 1;
        let kernel = self.kernel(cut);
        let grid = Grid::linear(self.tiles(&cut.engine) * cut.k_slices);
        let target = if split { to.scratch(cut.k_slices * self.batch * self.m * self.n) } else { operands.c };
        let mut bindings = vec![operands.a, operands.b];
        bindings.extend(operands.bias.filter(|_| !split));
        bindings.push(target);
        bindings.extend(operands.residual.filter(|_| !split));
        to.dispatch(kernel, &bindings, grid);
        if split {
            let kernel = self.common("finish", cut).define("FINISH", 1).define("SPLIT", 0);
            let kernel = self.finishing(kernel, true).define("OUT_N4", 0);
            let kernel = kernel.define("A_VEC4", 0).define("B_VEC4", 0);
            let mut bindings: Vec<Slot> = operands.bias.into_iter().collect();
            bindings.extend([operands.c, target]);
            bindings.extend(operands.residual);
            to.dispatch(kernel, &bindings, Grid::linear((self.batch * self.m * self.n).div_ceil(64)));
        }
        Ok(())
    }

    /// Default and alternatives: other tiles, and for the default tile other splits.
    fn cuts(&self, caps: &Caps, half: bool) -> Vec<Cut> {
        let engines = self.engines(caps, half);
        let mut cuts: Vec<Cut> =
            engines.iter().map(|&engine| self.cut(engine, self.slices(&engine, caps))).collect();
        if let Some(Cut { engine, k_slices, .. }) = cuts.first().copied() {
            let least = Costs::of(caps).tiles.least_k.min(self.k);
            let others =
                [1, k_slices / 2, 2 * k_slices].into_iter().filter(|&n| n > 0 && self.k / n >= least);
            cuts.extend(others.map(|slices| self.cut(engine, slices)));
        }
        let mut seen = Vec::new();
        cuts.retain(|cut| {
            !seen.contains(cut) && {
                seen.push(*cut);
                true
            }
        });
        cuts
    }

    /// The engines that this adapter can run, the default first. Tiles that would mostly lie outside C are left
    /// out, except for the default and the smallest of cooperative matrices, which are the default where one fits.
    /// `half`: A and B are stored as f16.
    fn engines(&self, caps: &Caps, half: bool) -> Vec<Engine> {
        let fits = |engine: &Engine| {
            let [m, n] = engine.tile();
            m < 2 * self.m && n < 2 * self.n
        };
        let matrices = MatrixTile::all(caps, half).into_iter().map(Engine::Matrix);
        let (mut all, others): (Vec<_>, Vec<_>) = matrices.partition(fits);
        let last = others.last().filter(|_| all.is_empty()).copied();
        let plain = self.plain_engines(caps);
        let default = plain[0];
        all.extend(plain.into_iter().filter(|engine| *engine == default || fits(engine)));
        all.extend(last);
        all
    }

    /// The engines without cooperative matrices, the default first.
    fn plain_engines(&self, caps: &Caps) -> Vec<Engine> {
        let costs = &Costs::of(caps).tiles;
        let rows = self.m.div_ceil(8).clamp(1, 4);
        // A third fewer loads for the same work, where C is large enough to keep all cores busy with such tiles.
        let wide = Engine::Subgroup { rows, quads: 2 };
        let large = self.n >= 64 && self.tiles(&wide) >= costs.wide_workgroups;
        let narrow = [rows, 4, 2, 1].map(|rows| Engine::Subgroup { rows, quads: 1 });
        let subgroup = if large { [&[wide][..], &narrow].concat() } else { [&narrow[..], &[wide]].concat() };
        // Flat tiles where C has few rows.
        let flat = match self.m {
            0..=16 => [4, 32],
            17..=32 => [8, 16],
            _ => [16, 16],
        };
        let shapes = [
            (flat, [1, 1]),
            ([16, 16], [2, 1]),
            ([16, 16], [2, 2]),
            ([8, 8], [2, 2]),
            ([8, 16], [2, 1]),
            ([8, 8], [1, 1]),
        ];
        let workgroup = shapes.map(|(invocations, blocks)| Engine::Workgroup { invocations, blocks });
        match caps.tile {
            TileVariant::Subgroup if costs.staged => [&subgroup[..], &workgroup[..]].concat(),
            TileVariant::Subgroup => subgroup,
            TileVariant::Workgroup => workgroup.to_vec(),
        }
    }

    fn tiles(&self, engine: &Engine) -> usize {
        let [m, n] = engine.tile();
        self.m.div_ceil(m) * self.n.div_ceil(n) * self.batch
    }

    /// Enough workgroups to fill the adapter, none with little to add up.
    fn slices(&self, engine: &Engine, caps: &Caps) -> usize {
        let costs = &Costs::of(caps).tiles;
        costs.workgroups.div_ceil(self.tiles(engine).max(1)).min(self.k / costs.least_k).max(1)
    }

    fn cut(&self, engine: Engine, slices: usize) -> Cut {
        // A multiple of 16 keeps vec4 loads aligned and whole k tiles.
        let k_slice = self.k.div_ceil(slices).next_multiple_of(16);
        Cut { engine, k_slices: self.k.div_ceil(k_slice).max(1), k_slice }
    }

    fn common(&self, entry: &'static str, cut: &Cut) -> Kernel {
        let mut kernel = Kernel::new(self.name, entry, self.loader)
            .define("M", self.m)
            .define("N", self.n)
            .define("K", self.k)
            .define("BATCH", self.batch)
            .define("K_SLICES", cut.k_slices)
            .define("K_SLICE", cut.k_slice);
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

    fn kernel(&self, cut: &Cut) -> Kernel {
        let split = cut.k_slices > 1;
        // Partial results lie row by row, whatever the layout of C.
        let out_n4 = if split { self.n.is_multiple_of(4) } else { self.out_n4 };
        let kernel = self
            .finishing(self.common("tile", cut), !split)
            .define("FINISH", 0)
            .define("SPLIT", split as usize)
            .define("OUT_N4", out_n4 as usize);
        match cut.engine {
            Engine::Subgroup { rows, quads } => self.subgroup(kernel.define("QUADS", quads), cut, rows),
            Engine::Workgroup { invocations, blocks } => self.workgroup(kernel, invocations, blocks),
            Engine::Matrix(tile) => self.staged(tile.kernel(kernel)),
        }
    }

    fn subgroup(&self, kernel: Kernel, cut: &Cut, rows: usize) -> Kernel {
        let a_k4 = self.a == VectorAxis::K { vec4: true };
        let a_m4 = self.a == VectorAxis::Other { vec4: true } && rows == 4;
        let b_k4 = self.b == VectorAxis::K { vec4: true };
        let b_n4 = self.b == VectorAxis::Other { vec4: true };
        // K4 means that K is a multiple of 4 already. Slices are multiples of 16, or all of K.
        let even = |unroll: &usize| self.k.is_multiple_of(*unroll) && (*unroll != 3 || cut.k_slices == 1);
        let unroll = if a_k4 || b_k4 { 4 } else { [4, 3, 2].into_iter().find(even).unwrap_or(1) };
        kernel
            .with(SUBGROUP)
            .define("ROWS", rows)
            .define("UNROLL", unroll)
            .define("A_K4", a_k4 as usize)
            .define("A_M4", a_m4 as usize)
            .define("A_VEC4", (a_k4 || a_m4) as usize)
            .define("B_K4", b_k4 as usize)
            .define("B_N4", b_n4 as usize)
            .define("B_VEC4", (b_k4 || b_n4) as usize)
    }

    fn workgroup(&self, kernel: Kernel, [tm, tn]: [usize; 2], [bm, bn]: [usize; 2]) -> Kernel {
        self.staged(kernel.with(WORKGROUP))
            .define("TM", tm)
            .define("TN", tn)
            .define("BM", bm)
            .define("BN", bn)
    }

    /// Operands that are staged in workgroup memory, number by number.
    fn staged(&self, kernel: Kernel) -> Kernel {
        kernel
            .define("A_K_FAST", matches!(self.a, VectorAxis::K { .. }) as usize)
            .define("B_K_FAST", matches!(self.b, VectorAxis::K { .. }) as usize)
            .define("A_VEC4", 0)
            .define("B_VEC4", 0)
    }
}
