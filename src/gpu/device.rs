//! The open device and what all its clones share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::adapter::AdapterRequest;
use super::caps::Caps;
use super::errors::{Errors, Failure};
use super::matrices::Matrices;
use super::options::GpuOptions;
use super::pipeline::Pipelines;
use super::transfer::StagingPool;
use super::tuned::Tuned;
use crate::{Error, Result};

/// An open device. Clones share it.
#[derive(Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

struct Inner {
    /// Unlike that of any other in this process.
    number: u64,
    device: wgpu::Device,
    queue: wgpu::Queue,
    caps: Caps,
    options: GpuOptions,
    tuned: Tuned,
    pipelines: Pipelines,
    staging: StagingPool,
    errors: Arc<Errors>,
    created: AtomicU64,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
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
    /// to report them as [`Error`]s. A device does not say which cooperative matrices it has: they are not used. Parameters
    /// and other buffers that limbeck makes belong to the `Gpu` that made them and its clones: wrap a device once.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue, options: GpuOptions) -> Self {
        Self::wrap(device, queue, options, None)
    }

    fn wrap(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: GpuOptions,
        matrices: Option<Matrices>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let errors = Arc::new(Errors::default());
        let (uncaptured, lost) = (errors.first(), errors.first());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            uncaptured.note(Failure::of("the device", &error));
        }));
        device.set_device_lost_callback(move |reason, message| {
            lost.note(Failure::Lost(format!("{reason:?}: {message}")));
        });
        let caps = Caps::new(&device, &options, matrices.or(options.emulate_matrices));
        let tuned = Tuned::open(options.tuning, options.tuned_file.clone(), &caps);
        Self {
            inner: Arc::new(Inner {
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                device,
                queue,
                caps,
                options,
                tuned,
                pipelines: Pipelines::default(),
                staging: StagingPool::default(),
                errors,
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

    /// What its buffers carry, to tell them from those of another.
    pub(super) fn number(&self) -> u64 {
        self.inner.number
    }

    /// Counts an object that the device makes.
    pub(super) fn count_object(&self) {
        self.inner.created.fetch_add(1, Ordering::Relaxed);
    }

    /// What went wrong outside a call.
    pub(super) fn errors(&self) -> &Errors {
        &self.inner.errors
    }

    /// The pipelines made so far.
    pub(super) fn pipelines(&self) -> &Pipelines {
        &self.inner.pipelines
    }

    /// Buffers to read by.
    pub(super) fn staging_pool(&self) -> &StagingPool {
        &self.inner.staging
    }

    /// The submits that may be unfinished, oldest first.
    pub(super) fn in_flight(&self) -> MutexGuard<'_, VecDeque<wgpu::SubmissionIndex>> {
        lock(&self.inner.in_flight)
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
}

/// A poisoned mutex only means that another thread panicked while it held plain data: the data is still whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
