//! What the adapter itself can do: f32 multiply-adds a second, and bytes a second of a copy.
//!
//! Measured by two kernels of their own, so that a rate is a share of what this adapter reached in this run, not of a
//! data sheet: the arithmetic by independent chains of vec4 multiply-adds (so that latency is hidden), the copy by
//! vec4 over buffers that no cache holds.

use serde::{Deserialize, Serialize};

use super::measure::{Effort, samples};
use super::timed_by::TimedBy;
use crate::gpu::{Dispatch, Gpu, Grid, Kernel, Recording, Stopwatch};
use crate::{Error, Result};

const LANES: usize = 64;
/// Rounds of the loop, and links of each chain in a round.
const ROUNDS: usize = 64;
const LINKS: usize = 16;
/// Independent chains of vec4 in each lane. Two fill the registers of a CPU's vector unit, more would spill there; GPUs
/// hide their latency the better the more there are.
const CHAINS: [usize; 3] = [1, 2, 4];
/// Vectors that one lane copies: few on a CPU adapter, where each lane costs, many elsewhere.
const COPIES: [usize; 3] = [1, 4, 16];

/// The adapter's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// f32 arithmetic, 10^9 operations a second; a multiply-add counts as two.
    pub gflops: f64,
    /// Copy bandwidth, 10^9 bytes a second; bytes read and bytes written count.
    pub gbs: f64,
    /// How they were timed.
    pub clock: TimedBy,
}

impl Ceilings {
    /// Measures both: the shortest of several runs, as a ceiling is what the adapter can reach.
    pub fn measure(gpu: &Gpu, effort: &Effort) -> Result<Self> {
        let mut gbs = 0.0f64;
        for per_lane in COPIES {
            gbs = gbs.max(copy_bandwidth(gpu, effort, per_lane)?);
        }
        let mut gflops = 0.0f64;
        for chains in CHAINS {
            gflops = gflops.max(fma_rate(gpu, effort, chains)?);
        }
        Ok(Self { gflops, gbs, clock: TimedBy::of(gpu) })
    }

    /// FLOPs for each byte at which the two ceilings meet.
    pub fn ridge(&self) -> f64 {
        self.gflops / self.gbs
    }
}

fn fma_rate(gpu: &Gpu, effort: &Effort, chains: usize) -> Result<f64> {
    let groups = if gpu.caps().is_cpu { 1 << 10 } else { 1 << 14 };
    let factors = gpu.buffer("factors", 16)?;
    // x -> 0.5 x + 0.25 stays near one half: neither denormal nor infinite.
    gpu.write(&factors.whole(), &[0.5f32, 0.25, 0.0, 0.0])?;
    let sums = gpu.buffer("sums", (groups * LANES * 16) as u64)?;
    let kernel = Kernel::new("ceiling", "multiply_add", include_str!("../../shaders/bench/ceiling_fma.wgsl"))
        .define("LANES", LANES)
        .define("ROUNDS", ROUNDS)
        .define("LINKS", LINKS)
        .define("CHAINS", chains);
    let bindings = vec![factors.whole(), sums.whole()];
    let least = least_ms(gpu, effort, Dispatch { kernel, bindings, grid: Grid::linear(groups) })?;
    let flops = groups * LANES * ROUNDS * LINKS * chains * 4 * 2;
    Ok(flops as f64 * 1e-6 / least)
}

fn copy_bandwidth(gpu: &Gpu, effort: &Effort, per_lane: usize) -> Result<f64> {
    // Beyond every cache: 64 MiB each way on a CPU, 256 MiB on a GPU, less where a binding may not be so large.
    let wanted: u64 = if gpu.caps().is_cpu { 64 << 20 } else { 256 << 20 };
    let chunk = (LANES * per_lane * 16) as u64;
    let bytes = wanted.min(gpu.caps().max_binding_bytes) / chunk * chunk;
    let (from, to) = (gpu.buffer("copied from", bytes)?, gpu.buffer("copied to", bytes)?);
    let groups = (bytes / chunk) as usize;
    let kernel = Kernel::new("ceiling", "copy", include_str!("../../shaders/bench/ceiling_copy.wgsl"))
        .define("LANES", LANES)
        .define("PER_LANE", per_lane)
        .define("VEC4S", (bytes / 16) as usize);
    let bindings = vec![from.whole(), to.whole()];
    let least = least_ms(gpu, effort, Dispatch { kernel, bindings, grid: Grid::linear(groups) })?;
    Ok(2.0 * bytes as f64 * 1e-6 / least)
}

fn least_ms(gpu: &Gpu, effort: &Effort, dispatch: Dispatch<crate::gpu::BufferSlice>) -> Result<f64> {
    let mut recording = Recording::new();
    recording.push(gpu, &dispatch)?;
    let watch = Stopwatch::new(gpu)?;
    let mut time = |runs: u32| watch.time(&recording, 0..1, runs);
    let (_, times) = samples(&mut time, effort)?;
    let least = times.into_iter().filter(|ms| *ms > 0.0).fold(f64::INFINITY, f64::min);
    if least.is_finite() {
        return Ok(least);
    }
    Err(Error::config(
        "ceilings",
        "this adapter's clock says that all work takes no time; try another back end",
    ))
}
