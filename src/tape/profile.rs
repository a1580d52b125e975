//! How long each node of a plan takes.

use std::ops::Range;

use super::plan::Plan;
use super::step::Step;
use crate::Result;
use crate::gpu::Stopwatch;
use crate::platform::Instant;

/// A node's cost and time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeTiming {
    /// Scope and op.
    pub name: String,
    /// Input shapes.
    pub inputs: String,
    /// Output shapes.
    pub outputs: String,
    /// Its dispatches, in order.
    pub dispatches: Vec<DispatchTiming>,
    /// Sum of the dispatches' medians, in milliseconds.
    pub ms: f64,
    /// Sum of the dispatches' shortest times: what a busy machine disturbs least.
    pub least_ms: f64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written, each operand once.
    pub bytes: u64,
}

/// One dispatch of a node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DispatchTiming {
    /// `op/entry point`
    pub kernel: String,
    /// Workgroups.
    pub workgroups: u64,
    /// Bytes of all that is bound to it.
    pub bytes: u64,
    /// Its part of the op's floating-point operations, which an op counts as a whole: in proportion to the bytes.
    pub flops: u64,
    /// Median time in milliseconds.
    pub ms: f64,
    /// Shortest time in milliseconds.
    pub least_ms: f64,
}

/// Some neighbouring nodes of a plan: what they do, and where they are for [`Plan::time_part`].
#[derive(Debug, Clone, Default)]
pub struct PlanPart {
    commands: Range<usize>,
    /// Floating-point operations of one run.
    pub flops: u64,
    /// Bytes read and written, each operand of each node once.
    pub bytes: u64,
}

impl PlanPart {
    /// Dispatches of one run.
    pub fn dispatches(&self) -> usize {
        self.commands.len()
    }
}

impl Plan {
    /// From the first node whose name (scope and op) is `wanted` to the last.
    pub fn part(&self, wanted: impl Fn(&str) -> bool) -> PlanPart {
        let mut part = PlanPart::default();
        for node in self.nodes.iter().filter(|n| wanted(&n.name)) {
            let start = if part.commands.is_empty() { node.commands.start } else { part.commands.start };
            part.commands = start..node.commands.end;
            if let Some(cost) = node.cost.and_then(|at| self.cost().nodes.get(at)) {
                part.flops += cost.flops;
                part.bytes += cost.bytes;
            }
        }
        part
    }

    /// Milliseconds of `runs` runs of a part of this plan in one pass, all together. [`Plan::run`] comes before it: that
    /// writes the step, and what the part reads.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn time_part(&self, watch: &Stopwatch, part: &PlanPart, runs: u32) -> Result<f64> {
        self.gpu.block_on(self.time_part_async(watch, part, runs))
    }

    /// [`Plan::time_part`] for callers that may not block.
    pub async fn time_part_async(&self, watch: &Stopwatch, part: &PlanPart, runs: u32) -> Result<f64> {
        watch.time_async(&self.recording, part.commands.clone(), runs).await
    }

    /// Times each node over `repeats` runs of the step, in order of execution. It trains: updates are applied as often
    /// as they run. See [`Recording::time`](crate::gpu::Recording::time) for what is measured.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile(&self, step: &Step, repeats: usize) -> Result<Vec<NodeTiming>> {
        // The first run compiles.
        self.run(step)?;
        let samples = self.recording.time(&self.gpu, repeats.max(1))?;
        let timing = |command: usize| {
            let (kernel, workgroups) = self.recording.describe(command).unwrap_or_default();
            let samples = &samples[command];
            let ms = median(samples).unwrap_or(0.0);
            let least_ms = samples.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0);
            let bytes = self.recording.bound_bytes(command);
            DispatchTiming { kernel: kernel.into(), workgroups, bytes, flops: 0, ms, least_ms }
        };
        let nodes = self.nodes.iter().filter_map(|node| Some((node, &self.cost().nodes[node.cost?])));
        Ok(nodes
            .map(|(node, cost)| {
                let mut dispatches: Vec<_> = node.commands.clone().map(timing).collect();
                share(cost.flops, &mut dispatches);
                NodeTiming {
                    name: node.name.clone(),
                    inputs: cost.inputs.clone(),
                    outputs: cost.outputs.clone(),
                    ms: dispatches.iter().map(|d| d.ms).sum(),
                    least_ms: dispatches.iter().map(|d| d.least_ms).sum(),
                    dispatches,
                    flops: cost.flops,
                    bytes: cost.bytes,
                }
            })
            .collect())
    }

    /// Milliseconds of `repeats` whole steps from submit to idle, one submit each, by the wall clock.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn time_steps(&self, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        self.run(step)?;
        self.gpu.wait_idle()?;
        (0..repeats.max(1))
            .map(|_| {
                let start = Instant::now();
                self.run(step)?;
                self.gpu.wait_idle()?;
                Ok(start.elapsed().as_secs_f64() * 1e3)
            })
            .collect()
    }

    /// Microseconds of CPU that a step takes to encode and submit: `repeats` samples.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn time_encoding(&self, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        (0..repeats.max(1))
            .map(|_| {
                self.gpu.wait_idle()?;
                let start = Instant::now();
                self.run(step)?;
                Ok(start.elapsed().as_secs_f64() * 1e6)
            })
            .collect()
    }
}

/// Gives each dispatch its part of an op's FLOPs; the parts add up to all of them.
fn share(flops: u64, dispatches: &mut [DispatchTiming]) {
    let total: u64 = dispatches.iter().map(|d| d.bytes).sum();
    let (mut bytes, mut given) = (0, 0);
    for dispatch in dispatches {
        bytes += dispatch.bytes;
        let so_far = (u128::from(flops) * u128::from(bytes) / u128::from(total.max(1))) as u64;
        dispatch.flops = so_far - given;
        given = so_far;
    }
}

/// The middle one of some numbers, of two the larger; none of none.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_op_add_up() {
        let of = |bytes| DispatchTiming {
            kernel: String::new(),
            workgroups: 1,
            bytes,
            flops: 0,
            ms: 0.0,
            least_ms: 0.0,
        };
        let parts = |flops, bytes: &[u64]| -> Vec<u64> {
            let mut dispatches: Vec<_> = bytes.iter().map(|b| of(*b)).collect();
            share(flops, &mut dispatches);
            dispatches.iter().map(|d| d.flops).collect()
        };
        assert_eq!(parts(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(parts(u64::MAX, &[1 << 40]), [u64::MAX]);
        assert_eq!((parts(7, &[]), parts(0, &[4, 0])), (vec![], vec![0, 0]));
    }
}
