//! A list of bound dispatches that replays as one encoder, one compute pass, one submit, or several where the work of one
//! would be longer than the device's [`SubmitLimit`](super::SubmitLimit).

use std::ops::Range;

use super::buffer::BufferSlice;
use super::device::Gpu;
use super::kernel::Kernel;
use super::pipeline::Pipeline;
use crate::{Error, Result};

/// Workgroups in x, y, z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

/// Workgroups of one dimension that every device takes.
const MOST: usize = 65_535;

impl Grid {
    /// `n` workgroups, folded into two dimensions where one does not hold them. Kernels use `flat_workgroup`, which
    /// counts the fold, and must guard against the few surplus workgroups of the last row.
    pub fn linear(n: usize) -> Self {
        let n = n.max(1);
        if n <= MOST {
            return Grid([n as u32, 1, 1]);
        }
        let rows = n.div_ceil(MOST);
        Grid([n.div_ceil(rows) as u32, rows.min(u32::MAX as usize) as u32, 1])
    }

    /// The workgroups of a linear grid in about `parts` parts, none of which has surplus ones: the first of each, and its
    /// grid.
    fn parts(&self, parts: usize) -> Vec<(u32, Grid)> {
        let count = self.count() as usize;
        let len = count.div_ceil(parts.max(1)).max(1);
        let len = if len > MOST { len.next_multiple_of(MOST) } else { len };
        let mut all = Vec::new();
        for first in (0..count).step_by(len) {
            let n = len.min(count - first);
            let folded = if n > MOST { n / MOST } else { 0 };
            if folded > 0 {
                all.push((first as u32, Grid([MOST as u32, folded as u32, 1])));
            }
            if n > folded * MOST {
                all.push(((first + folded * MOST) as u32, Grid([(n - folded * MOST) as u32, 1, 1])));
            }
        }
        all
    }

    /// Workgroups in all.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&n| u64::from(n)).product()
    }
}

/// One dispatch as plain data, before it has a pipeline. `B` says what is bound.
#[derive(Debug, Clone)]
pub struct Dispatch<B> {
    /// The kernel.
    pub kernel: Kernel,
    /// One per binding, in ascending `@binding` order.
    pub bindings: Vec<B>,
    /// Workgroups.
    pub grid: Grid,
}

impl<B: Clone> Dispatch<B> {
    /// The same work in about `parts` dispatches, where the kernel can be split.
    fn parts(&self, parts: usize) -> Vec<Self> {
        if parts == 1 || self.grid.0[2] != 1 || !self.kernel.splits() {
            return vec![self.clone()];
        }
        let part = |(first, grid)| {
            let kernel = self.kernel.clone().starting_at(first);
            Self { kernel, bindings: self.bindings.clone(), grid }
        };
        self.grid.parts(parts).into_iter().map(part).collect()
    }
}

/// Bound dispatches, ready to replay.
#[derive(Debug, Default)]
pub struct Recording {
    commands: Vec<Command>,
    /// Commands that start a new submit, ascending, and the estimated seconds since the last of them.
    starts: Vec<usize>,
    seconds: f64,
}

#[derive(Debug)]
struct Command {
    pipeline: Pipeline,
    bind_group: wgpu::BindGroup,
    grid: Grid,
    bytes: u64,
}

impl Recording {
    /// An empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes pipeline and bind group for `dispatch` and appends it.
    pub fn push(&mut self, gpu: &Gpu, dispatch: &Dispatch<BufferSlice>) -> Result<()> {
        let pipeline = gpu.pipeline(&dispatch.kernel)?;
        let expected = &pipeline.reflection().bindings;
        if expected.len() != dispatch.bindings.len() {
            let names: Vec<_> = expected.iter().map(|b| b.name.as_str()).collect();
            let message = format!(
                "the kernel uses {} bindings ({}), {} given",
                expected.len(),
                names.join(", "),
                dispatch.bindings.len()
            );
            return Err(Error::Validation { place: pipeline.label().into(), message });
        }
        for (bound, info) in dispatch.bindings.iter().zip(expected) {
            check_size(gpu, &pipeline, &info.name, bound)?;
        }
        if dispatch.grid.0.iter().any(|&n| n > gpu.caps().max_workgroups) {
            return Err(Error::Limit {
                what: format!("dispatch of {}", pipeline.label()),
                needed: dispatch.grid.count(),
                limit: gpu.caps().max_workgroups.into(),
                hint: "use a smaller batch size".into(),
            });
        }
        let bind_group = gpu.bind_group(&pipeline, &dispatch.bindings)?;
        let bytes = dispatch.bindings.iter().map(|bound| bound.len).sum();
        self.commands.push(Command { pipeline, bind_group, grid: dispatch.grid, bytes });
        Ok(())
    }

    /// [`Recording::push`] for all dispatches of an op that together take about `seconds` (see
    /// [`estimate`](super::estimate)). What is longer than a submit may be is split; which of the dispatches has the
    /// work is not known, so each is.
    pub fn push_op(&mut self, gpu: &Gpu, dispatches: &[Dispatch<BufferSlice>], seconds: f64) -> Result<()> {
        let parts = gpu.options().submits.parts(gpu.caps(), seconds);
        if parts == 1 {
            self.make_room(gpu, seconds);
            return dispatches.iter().try_for_each(|dispatch| self.push(gpu, dispatch));
        }
        for dispatch in dispatches {
            let split = dispatch.parts(parts);
            for part in &split {
                self.make_room(gpu, seconds / split.len() as f64);
                self.push(gpu, part)?;
            }
        }
        Ok(())
    }

    /// Starts another submit where the last one would become too long.
    fn make_room(&mut self, gpu: &Gpu, seconds: f64) {
        let start = self.starts.last().copied().unwrap_or(0);
        self.seconds += seconds;
        if self.seconds > gpu.options().submits.seconds(gpu.caps()) && self.len() > start {
            self.starts.push(self.len());
            self.seconds = seconds;
        }
    }

    /// Dispatches recorded.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// True where nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Commands `range` in the parts that are submitted together: most often one.
    pub fn submits(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let Range { start, end } = range;
        let cuts = self.starts.iter().copied().filter(move |cut| start < *cut && *cut < end);
        let mut from = start;
        cuts.chain([end]).map(move |to| std::mem::replace(&mut from, to)..to)
    }

    /// Runs commands `range`, each submit with one encoder and one pass. Returns at once; the GPU may still be at work.
    pub fn submit(&self, gpu: &Gpu, range: Range<usize>) -> Result<()> {
        for part in self.submits(range) {
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                self.encode(&mut pass, part);
            }
            gpu.submit(encoder.finish())?;
        }
        Ok(())
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, range: Range<usize>) {
        for command in self.commands.get(range).unwrap_or_default() {
            let [x, y, z] = command.grid.0;
            pass.set_pipeline(command.pipeline.raw());
            pass.set_bind_group(0, &command.bind_group, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
    }

    /// `op/entry` and the number of workgroups of a command, for traces.
    pub fn describe(&self, command: usize) -> Option<(&str, u64)> {
        self.commands.get(command).map(|c| (c.pipeline.label(), c.grid.count()))
    }

    /// Bytes of all that is bound to a command: what it reads and writes where it touches each once.
    pub fn bound_bytes(&self, command: usize) -> u64 {
        self.commands.get(command).map_or(0, |c| c.bytes)
    }
}

fn check_size(gpu: &Gpu, pipeline: &Pipeline, name: &str, bound: &BufferSlice) -> Result<()> {
    if bound.len <= gpu.caps().max_binding_bytes {
        return Ok(());
    }
    Err(Error::Limit {
        what: format!("binding {name} of {} ({})", pipeline.label(), bound.buffer.label()),
        needed: bound.len,
        limit: gpu.caps().max_binding_bytes,
        hint: "use a smaller batch size or model".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every workgroup of a grid is in one part, and none is in a part that is not in the grid.
    #[test]
    fn parts_cover_a_grid_once() {
        for count in [1, 2, 7, 64, 65_535, 65_536, 131_070, 200_000, 1_000_003] {
            let grid = Grid::linear(count);
            for parts in [1, 2, 3, 5, 64] {
                let mut next = 0u64;
                for (first, Grid([x, y, z])) in grid.parts(parts) {
                    assert!(x as usize <= MOST && y as usize <= MOST && z == 1);
                    assert_eq!(u64::from(first), next, "{count} in {parts}");
                    next += u64::from(x) * u64::from(y);
                }
                assert_eq!(next, grid.count(), "{count} in {parts}");
                let most = if count <= MOST { parts } else { 2 * parts + 1 };
                assert!(grid.parts(parts).len() <= most, "{count} in {parts}");
            }
        }
    }
}
