//! How long each dispatch of a recording takes: by timestamp queries where the device has them, else by the wall clock
//! over repeated submits.

use std::ops::Range;

use super::buffer::Buffer;
use super::device::Gpu;
use super::recording::Recording;
use crate::Result;
use crate::platform::Instant;

/// Commands timed by one query set: a set holds at most 4,096 queries, and a command takes two.
const MOST_COMMANDS: usize = 2048;

/// Repeats of one command between two looks at the wall clock, so that the submit itself weighs little.
const COPIES: u32 = 8;

/// Milliseconds of one command, once for each repeat.
pub type Samples = Vec<f64>;

impl Recording {
    /// Times every command, `repeats` times over. Each command gets a pass of its own, so the sum is more than what the
    /// recording takes in one pass. Without timestamps commands run out of order: their results are void then. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn time(&self, gpu: &Gpu, repeats: usize) -> Result<Vec<Samples>> {
        gpu.block_on(self.time_async(gpu, repeats))
    }

    /// [`Recording::time`] for callers that may not block.
    pub async fn time_async(&self, gpu: &Gpu, repeats: usize) -> Result<Vec<Samples>> {
        let mut samples = vec![Samples::with_capacity(repeats); self.len()];
        let chunks = |part: Range<usize>| {
            part.clone().step_by(MOST_COMMANDS).map(move |start| start..(start + MOST_COMMANDS).min(part.end))
        };
        for commands in self.submits(0..self.len()).flat_map(chunks) {
            let queries = TimestampQueries::where_there_are(gpu, commands.len())?;
            for _ in 0..repeats {
                let times = match &queries {
                    Some(queries) => self.by_timestamps(gpu, queries, commands.clone()).await?,
                    None => self.by_wall_clock(gpu, commands.clone()).await?,
                };
                for (command, time) in commands.clone().zip(times) {
                    samples[command].push(time);
                }
            }
        }
        Ok(samples)
    }

    async fn by_timestamps(
        &self,
        gpu: &Gpu,
        queries: &TimestampQueries,
        commands: Range<usize>,
    ) -> Result<Vec<f64>> {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        for (i, command) in commands.enumerate() {
            self.encode(&mut queries.pass(&mut encoder, i), command..command + 1);
        }
        queries.submit(gpu, encoder).await
    }

    async fn by_wall_clock(&self, gpu: &Gpu, commands: Range<usize>) -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(commands.len());
        for command in commands {
            times.push(self.wall(gpu, command..command + 1, COPIES).await? / f64::from(COPIES));
        }
        Ok(times)
    }

    /// Milliseconds from submit to idle of `copies` runs in one pass.
    async fn wall(&self, gpu: &Gpu, range: Range<usize>, copies: u32) -> Result<f64> {
        gpu.idle().await?;
        let start = Instant::now();
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            (0..copies).for_each(|_| self.encode(&mut pass, range.clone()));
        }
        gpu.submit(encoder.finish())?;
        gpu.idle().await?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

/// Times many runs of a range of commands in one pass, which beats clocks that are coarser than one run.
pub struct Stopwatch {
    gpu: Gpu,
    queries: Option<TimestampQueries>,
}

impl Stopwatch {
    /// By timestamp queries where the device has them, else by the wall clock.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self { gpu: gpu.clone(), queries: TimestampQueries::where_there_are(gpu, 1)? })
    }

    /// Milliseconds of `copies` runs of commands `range`, all together, one after another in one pass. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn time(&self, recording: &Recording, range: Range<usize>, copies: u32) -> Result<f64> {
        self.gpu.block_on(self.time_async(recording, range, copies))
    }

    /// [`Stopwatch::time`] for callers that may not block.
    pub async fn time_async(&self, recording: &Recording, range: Range<usize>, copies: u32) -> Result<f64> {
        let Some(queries) = &self.queries else { return recording.wall(&self.gpu, range, copies).await };
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        {
            let mut pass = queries.pass(&mut encoder, 0);
            (0..copies).for_each(|_| recording.encode(&mut pass, range.clone()));
        }
        Ok(queries.submit(&self.gpu, encoder).await?.first().copied().unwrap_or(0.0))
    }
}

/// A query set and the buffer that it is resolved to.
struct TimestampQueries {
    queries: wgpu::QuerySet,
    resolved: Buffer,
}

impl TimestampQueries {
    /// Queries for `commands` commands, where the device has any.
    fn where_there_are(gpu: &Gpu, commands: usize) -> Result<Option<Self>> {
        if gpu.caps().timestamps { Self::new(gpu, commands).map(Some) } else { Ok(None) }
    }

    fn new(gpu: &Gpu, commands: usize) -> Result<Self> {
        let count = 2 * commands as u32;
        let queries = gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profiler"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let resolved = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("profiler"),
            size: u64::from(count) * 8,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        gpu.check()?;
        Ok(Self { queries, resolved: Buffer::new(resolved, "profiler", Some(gpu.number())) })
    }

    /// A pass whose beginning and end are stamped as span `i`.
    fn pass<'a>(&self, encoder: &'a mut wgpu::CommandEncoder, i: usize) -> wgpu::ComputePass<'a> {
        let writes = wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * i as u32),
            end_of_pass_write_index: Some(2 * i as u32 + 1),
        };
        encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) })
    }

    /// Runs what was encoded; the milliseconds of each span.
    async fn submit(&self, gpu: &Gpu, mut encoder: wgpu::CommandEncoder) -> Result<Vec<f64>> {
        let count = self.queries.count();
        encoder.resolve_query_set(&self.queries, 0..count, self.resolved.raw(), 0);
        gpu.submit(encoder.finish())?;
        let bytes = gpu.read(&self.resolved.whole())?.await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let ms = f64::from(gpu.queue().get_timestamp_period()) * 1e-6;
        // Some drivers round so coarsely that a short pass ends before it begins.
        let times = ticks.chunks_exact(2).map(|t| t[1].saturating_sub(t[0]) as f64 * ms);
        Ok(times.take(count as usize / 2).collect())
    }
}
