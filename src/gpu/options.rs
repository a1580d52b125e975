//! How a device is used: what applications set, and what only tests do.

use std::path::PathBuf;

use super::caps::TileVariant;
use super::matrices::Matrices;
use super::submit_limit::SubmitLimit;
use super::tuned::Tuning;
use crate::Result;

/// How a device is used.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Force one tile engine; the best one for the adapter when absent.
    pub tile: Option<TileVariant>,
    /// Fill every reused buffer with NaN before its next writer, so that a kernel that leaves an element unwritten is
    /// caught. For tests: it adds a dispatch for each tensor.
    pub poison: bool,
    /// Compute every op by itself, also where a plan could take a fused form: to compare the two.
    pub unfused: bool,
    /// Load vectors as kernels are written, also where a CPU adapter would take two words at a time. For tests.
    pub unpaired: bool,
    /// How much work a submit may hold.
    pub submits: SubmitLimit,
    /// Whether work with several variants runs as it was measured.
    pub tuning: Tuning,
    /// The file of what was measured; the user's cache has one.
    pub tuned_file: Option<PathBuf>,
    /// The place of the variant that all work takes, or the last one where there are fewer. For tests.
    pub variant: Option<usize>,
    /// Run the engine for cooperative matrices of this kind on plain arithmetic, whatever the device has. For
    /// tests: it is slow.
    pub emulate_matrices: Option<Matrices>,
}

impl GpuOptions {
    /// Reads `LIMBECK_SUBMIT_SECONDS`.
    pub fn from_env() -> Result<Self> {
        let seconds = std::env::var("LIMBECK_SUBMIT_SECONDS").ok().filter(|v| !v.is_empty());
        let submits = seconds.map_or(Ok(SubmitLimit::default()), |text| SubmitLimit::parse(&text))?;
        Ok(Self { submits, ..Self::default() })
    }
}
