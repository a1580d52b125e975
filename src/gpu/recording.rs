//! A list of bound dispatches that replays as one encoder, one compute pass, one submit.

use super::buffer::BufferSlice;
use super::device::Gpu;
use super::kernel::{Kernel, Pipeline};
use crate::{Error, Result};

/// Workgroups in x, y, z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

impl Grid {
    /// `n` workgroups, folded into two dimensions where one does not hold them. Kernels use `flat_workgroup`, which
    /// counts the fold, and must guard against the few surplus workgroups of the last row.
    pub fn linear(n: usize) -> Self {
        const MOST: usize = 65_535;
        let n = n.max(1);
        if n <= MOST {
            return Grid([n as u32, 1, 1]);
        }
        let rows = n.div_ceil(MOST);
        Grid([n.div_ceil(rows) as u32, rows.min(u32::MAX as usize) as u32, 1])
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

/// Bound dispatches, ready to replay.
#[derive(Debug, Default)]
pub struct Recording {
    commands: Vec<Command>,
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

    /// Dispatches recorded.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// True where nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Runs commands `range` in one encoder, one pass and one submit. Returns at once; the GPU may still be at work.
    pub fn submit(&self, gpu: &Gpu, range: std::ops::Range<usize>) -> Result<()> {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            self.encode(&mut pass, range);
        }
        gpu.submit(encoder.finish())
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, range: std::ops::Range<usize>) {
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
