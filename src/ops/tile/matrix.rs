//! The tile engine for cooperative matrices: which tiles it has, and its kernel (shaders/tile/tile_matrix.wgsl).
//!
//! A workgroup's subgroups lie 2 x 2, or side by side where C has few rows; each adds up blocks of matrices.
//! A and B are staged as f32 and multiplied as f32 8 x 8 matrices; where both are stored as f16, they are
//! staged and multiplied as f16, which is exact, and added up in f32. [`Matrices`] says which of the two a
//! device has; without the one that a job needs, the job takes another engine.
//!
//! It has not been timed on a GPU: the tuner measures it against the other engines.

use crate::gpu::{Caps, Kernel, Matrices};

const ENGINE: &str = include_str!("../../../shaders/tile/tile_matrix.wgsl");
const EMULATED: &str = include_str!("../../../shaders/tile/tile_matrix_emulated.wgsl");

/// Values of k that are staged at a time.
const TILE_K: usize = 16;

/// A workgroup's tile of matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixTile {
    /// Rows and columns of a matrix.
    size: usize,
    /// A and B are f16.
    half: bool,
    /// Subgroups along m and n.
    subgroups: [usize; 2],
    /// Matrices a subgroup along m and n.
    blocks: [usize; 2],
    lanes: usize,
    emulated: bool,
}

impl MatrixTile {
    /// The tiles that a device can run, large ones first: none without cooperative matrices for such
    /// operands.
    pub fn all(caps: &Caps, half: bool) -> Vec<Self> {
        let Some(Matrices { full, half: size_of_half, lanes, emulated }) = caps.matrices else {
            return Vec::new();
        };
        let (size, half) = match (full, size_of_half.filter(|_| half)) {
            (_, Some(size)) => (size, true),
            (Some(size), None) => (size, false),
            (None, None) => return Vec::new(),
        };
        // Outputs a subgroup: 32 x 32, 16 x 32, 16 x 16, 8 x 16.
        let shapes: &[([usize; 2], [usize; 2])] = match size {
            8 => &[([2, 2], [4, 4]), ([2, 2], [2, 4]), ([2, 2], [2, 2]), ([1, 4], [2, 2]), ([1, 4], [1, 2])],
            _ => &[([2, 2], [2, 2]), ([2, 2], [1, 2]), ([2, 2], [1, 1]), ([1, 4], [1, 1])],
        };
        let tile = |&(subgroups, blocks)| Self { size, half, subgroups, blocks, lanes, emulated };
        shapes.iter().map(tile).collect()
    }

    /// Outputs of a workgroup along m and n.
    pub fn outputs(&self) -> [usize; 2] {
        [0, 1].map(|i| self.subgroups[i] * self.blocks[i] * self.size)
    }

    /// What it is called in the file of choices.
    pub fn name(&self) -> String {
        let ([m, n], kind) = (self.outputs(), if self.half { "f16" } else { "f32" });
        let [bm, bn] = self.blocks.map(|blocks| blocks * self.size);
        format!("matrix {m}x{n} by {bm}x{bn} of {kind} {0}x{0}", self.size)
    }

    /// Adds the engine to a loader.
    pub fn kernel(&self, kernel: Kernel) -> Kernel {
        let kernel =
            if self.emulated { kernel.with(EMULATED) } else { kernel.enable("wgpu_cooperative_matrix") };
        let kernel = if self.half { kernel.enable("f16") } else { kernel };
        kernel
            .with(ENGINE)
            .define("SIZE", self.size)
            .define("SIZE_16", (self.size == 16) as usize)
            .define("QUADS", self.size / 4)
            .define("TILE_K", TILE_K)
            .define("STEPS", TILE_K / self.size)
            .define("SUBGROUPS_M", self.subgroups[0])
            .define("SUBGROUPS_N", self.subgroups[1])
            .define("BM", self.blocks[0])
            .define("BN", self.blocks[1])
            .define("LANES", self.lanes)
            .define("HALF", self.half as usize)
            .define("EMULATED", self.emulated as usize)
    }
}
