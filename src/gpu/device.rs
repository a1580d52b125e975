//! The open device: queue, capabilities, pipeline cache, staging pool and error state.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::adapter::AdapterRequest;
use super::buffer::{Buffer, BufferSlice};
use super::caps::{Caps, TileVariant};
use super::kernel::{Kernel, Pipeline, ready};
use super::limit::SubmitLimit;
use super::matrices::Matrices;
use super::readback::Readback;
use super::tuned::{Tuned, Tuning};
use crate::{Error, Result};

/// An open device. Clones share it.
#[derive(Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

/// Submits that are remembered for [`Gpu::throttle`].
const MOST_IN_FLIGHT: usize = 256;

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

struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    caps: Caps,
    options: GpuOptions,
    tuned: Tuned,
    pipelines: Mutex<HashMap<String, Pipeline>>,
    staging: Mutex<Vec<wgpu::Buffer>>,
    failure: Arc<Mutex<Option<Failure>>>,
    created: AtomicU64,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
}

/// The first thing that went wrong outside a call.
#[derive(Debug, Clone)]
enum Failure {
    Lost(String),
    OutOfMemory(String),
    Validation(String),
}

impl Failure {
    fn of(error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Failure::OutOfMemory(error.to_string()),
            _ => Failure::Validation(error.to_string()),
        }
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({} on {})", self.inner.caps.name, self.inner.caps.backend)
    }
}

impl Gpu {
    /// Opens the adapter that `request` asks for.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where none matches or it refuses; [`Error::Config`] where cooperative matrices are
    /// asked for and the adapter has none that limbeck can use.
    pub async fn open(request: &AdapterRequest, options: GpuOptions) -> Result<Self> {
        let adapter = request.find().await?;
        let matrices = request.cooperative_matrix.then(|| Matrices::need(&adapter)).transpose()?;
        let mut wanted = wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::SHADER_F16
            | wgpu::Features::SHADER_INT64;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if matrices.is_some() {
            wanted |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: wgpu asks to accept that an experimental feature may have unsound bugs. Whoever asks for
            // cooperative matrices accepts that; limbeck has one kernel with them (shaders/tile/tile_matrix.wgsl),
            // which naga validates, and which reads and writes by them only workgroup memory, inside its arrays.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("limbeck"),
            required_features: adapter.features() & wanted,
            required_limits: adapter.limits(),
            experimental_features,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|e| Error::NoAdapter(format!("{} refused a device: {e}", adapter.get_info().name)))?;
        Ok(Self::wrap(device, queue, options, matrices))
    }

    /// [`Gpu::open`] for callers that may block.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_blocking(request: &AdapterRequest, options: GpuOptions) -> Result<Self> {
        crate::platform::block_on(Self::open(request, options))
    }

    /// Wraps a device that the application owns. limbeck takes over its uncaptured-error and device-lost callbacks,
    /// to report them as [`Error`]s. A device does not say which cooperative matrices it has: they are not used.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Self {
        Self::wrap(device, queue, options, None)
    }

    fn wrap(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: GpuOptions,
        matrices: Option<Matrices>,
    ) -> Self {
        let failure = Arc::new(Mutex::new(None));
        let (uncaptured, lost) = (failure.clone(), failure.clone());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            note(&uncaptured, Failure::of(&error));
        }));
        device.set_device_lost_callback(move |reason, message| {
            note(&lost, Failure::Lost(format!("{reason:?}: {message}")));
        });
        let caps = Caps::new(&device, &options, matrices.or(options.emulate_matrices));
        let tuned = Tuned::open(options.tuning, options.tuned_file.clone(), &caps);
        Self {
            inner: Arc::new(Inner {
                device,
                queue,
                caps,
                options,
                tuned,
                pipelines: Mutex::default(),
                staging: Mutex::default(),
                failure,
                created: AtomicU64::new(0),
                in_flight: Mutex::default(),
            }),
        }
    }

    /// What the device offers.
    pub fn caps(&self) -> &Caps {
        &self.inner.caps
    }

    /// How it is used.
    pub fn options(&self) -> &GpuOptions {
        &self.inner.options
    }

    /// Which variants of its kernels were measured to be the fastest.
    pub fn tuned(&self) -> &Tuned {
        &self.inner.tuned
    }

    /// Buffers, bind groups and pipelines created so far: flat once a plan has run its first step.
    pub fn objects_created(&self) -> u64 {
        self.inner.created.load(Ordering::Relaxed)
    }

    /// Fails where the device has no f16 in storage buffers, and says so.
    pub fn need_f16(&self) -> Result<()> {
        let caps = self.caps();
        if caps.f16 {
            return Ok(());
        }
        let what = format!("{} ({}) has no f16 in shaders (SHADER_F16)", caps.name, caps.backend);
        let hint =
            "train with `precision = f32`, or choose another adapter (limbeck adapters says which have f16)";
        Err(Error::config("precision", format!("{what}; {hint}")))
    }

    /// The wgpu device, for applications that share it.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// The wgpu queue, for applications that share it.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    /// The error that the device met outside a call, if any. Out of memory and validation errors are reported once.
    pub fn check(&self) -> Result<()> {
        let mut failure = lock(&self.inner.failure);
        match failure.clone() {
            None => Ok(()),
            Some(Failure::Lost(message)) => Err(Error::DeviceLost(message)),
            Some(Failure::OutOfMemory(message)) => {
                *failure = None;
                Err(Error::OutOfMemory(message))
            }
            Some(Failure::Validation(message)) => {
                *failure = None;
                Err(Error::Validation { place: "the device".into(), message })
            }
        }
    }

    /// A zeroed storage buffer of at least `bytes`.
    pub fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.make_buffer(label, bytes, wgpu::BufferUsages::STORAGE)
    }

    /// A zeroed uniform buffer of at least `bytes`.
    pub fn uniform_buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.make_buffer(label, bytes, wgpu::BufferUsages::UNIFORM)
    }

    fn make_buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let size = bytes.max(16).next_multiple_of(16);
        let limit = self.inner.device.limits().max_buffer_size;
        if size > limit {
            let hint = "use a smaller batch size or model".to_string();
            return Err(Error::Limit { what: format!("buffer {label}"), needed: size, limit, hint });
        }
        self.inner.created.fetch_add(1, Ordering::Relaxed);
        let scope = self.inner.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let refused = ready(scope.pop()).flatten();
        // A lost device makes objects that do nothing, and says nothing.
        self.check()?;
        match refused {
            Some(error) => Err(Error::OutOfMemory(format!("buffer {label} of {size} bytes: {error}"))),
            None => Ok(Buffer::new(raw, label)),
        }
    }

    /// Writes `data` at the start of `slice`, before the next submit.
    pub fn write<T: bytemuck::NoUninit>(&self, slice: &BufferSlice, data: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        if bytes.len() as u64 > slice.len {
            let (expected, got) = (format!("at most {} bytes", slice.len), format!("{} bytes", bytes.len()));
            return Err(Error::shape(format!("write to {}", slice.buffer.label()), expected, got));
        }
        self.inner.queue.write_buffer(slice.buffer.raw(), slice.offset, bytes);
        Ok(())
    }

    /// Starts reading `slice`.
    pub fn read(&self, slice: &BufferSlice) -> Result<Readback> {
        let size = slice.len.next_multiple_of(4);
        let staging = self.staging(size);
        let mut encoder = self.inner.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(slice.buffer.raw(), slice.offset, &staging, 0, size);
        self.submit(encoder.finish())?;
        Ok(Readback::start(self.clone(), staging, slice.len as usize))
    }

    /// Copies one slice to another of the same length, in its own submit.
    pub fn copy(&self, from: &BufferSlice, to: &BufferSlice) -> Result<()> {
        let mut encoder = self.inner.device.create_command_encoder(&Default::default());
        let len = from.len.min(to.len);
        encoder.copy_buffer_to_buffer(from.buffer.raw(), from.offset, to.buffer.raw(), to.offset, len);
        self.submit(encoder.finish())
    }

    /// Blocks until the GPU has finished all that was submitted.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait_idle(&self) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: None };
        self.inner.device.poll(wait).map_err(|e| Error::DeviceLost(e.to_string()))?;
        self.check()
    }

    /// The submits that may be unfinished, oldest first.
    pub(super) fn in_flight(&self) -> MutexGuard<'_, VecDeque<wgpu::SubmissionIndex>> {
        lock(&self.inner.in_flight)
    }

    /// The pipeline for `kernel`, compiled once for equal text.
    pub fn pipeline(&self, kernel: &Kernel) -> Result<Pipeline> {
        let source = kernel.source()?;
        if kernel.half_mask() != 0 {
            self.need_f16()?;
        }
        let key = format!("{} {}\n{source}", kernel.entry(), kernel.half_mask());
        if let Some(found) = lock(&self.inner.pipelines).get(&key) {
            return Ok(found.clone());
        }
        let made = Pipeline::compile(&self.inner.device, kernel, source, self.inner.caps.pairs);
        self.check()?;
        let made = made?;
        self.inner.created.fetch_add(1, Ordering::Relaxed);
        lock(&self.inner.pipelines).insert(key, made.clone());
        Ok(made)
    }

    /// The WGSL text of every pipeline made so far, with its entry point: for tools that look at kernels.
    pub fn kernel_sources(&self) -> Vec<(String, String)> {
        let pipelines = lock(&self.inner.pipelines);
        let text = |(entry, source): (&str, &str)| (entry.to_string(), source.to_string());
        pipelines.values().map(|pipeline| text(pipeline.source())).collect()
    }

    pub(super) fn bind_group(
        &self,
        pipeline: &Pipeline,
        bindings: &[BufferSlice],
    ) -> Result<wgpu::BindGroup> {
        let entries: Vec<_> = pipeline
            .reflection()
            .bindings
            .iter()
            .zip(bindings)
            .map(|(info, bound)| wgpu::BindGroupEntry {
                binding: info.index,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: bound.buffer.raw(),
                    offset: bound.offset,
                    size: std::num::NonZeroU64::new(bound.len),
                }),
            })
            .collect();
        self.inner.created.fetch_add(1, Ordering::Relaxed);
        let scope = self.inner.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let group = self.inner.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pipeline.label()),
            layout: pipeline.layout(),
            entries: &entries,
        });
        let refused = ready(scope.pop()).flatten();
        self.check()?;
        match refused {
            Some(error) => {
                Err(Error::Validation { place: pipeline.label().into(), message: error.to_string() })
            }
            None => Ok(group),
        }
    }

    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> Result<()> {
        self.check()?;
        let index = self.inner.queue.submit([commands]);
        let mut in_flight = lock(&self.inner.in_flight);
        in_flight.push_back(index);
        // Without a caller that throttles, the oldest are of no interest.
        if in_flight.len() > MOST_IN_FLIGHT {
            in_flight.pop_front();
        }
        drop(in_flight);
        self.check()
    }

    /// A mappable buffer of exactly `size` bytes, reused where one is free.
    fn staging(&self, size: u64) -> wgpu::Buffer {
        let mut pool = lock(&self.inner.staging);
        if let Some(at) = pool.iter().position(|b| b.size() == size) {
            return pool.swap_remove(at);
        }
        self.inner.created.fetch_add(1, Ordering::Relaxed);
        self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    pub(super) fn recycle(&self, staging: wgpu::Buffer) {
        // A handful of small buffers is worth keeping; large ones (exports) are not.
        const KEEP: usize = 8;
        const LARGEST: u64 = 1 << 20;
        let mut pool = lock(&self.inner.staging);
        if pool.len() < KEEP && staging.size() <= LARGEST {
            pool.push(staging);
        }
    }
}

fn note(place: &Mutex<Option<Failure>>, failure: Failure) {
    let mut first = lock(place);
    // A lost device explains every later error, so it replaces them.
    if first.is_none() || matches!(failure, Failure::Lost(_)) {
        *first = Some(failure);
    }
}

/// A poisoned mutex only means that another thread panicked while it held plain data: the data is still whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
