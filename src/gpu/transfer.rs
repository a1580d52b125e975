//! Buffers of a device: made, written, read and copied.

use std::sync::Mutex;

use super::buffer::{Buffer, BufferSlice};
use super::device::{Gpu, lock};
use super::readback::Readback;
use crate::{Error, Result};

/// Mappable buffers that are free for another read.
#[derive(Default)]
pub(super) struct StagingPool(Mutex<Vec<wgpu::Buffer>>);

impl StagingPool {
    /// A free buffer of exactly `size` bytes.
    fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut pool = lock(&self.0);
        let at = pool.iter().position(|b| b.size() == size)?;
        Some(pool.swap_remove(at))
    }

    /// Keeps a buffer that has been read and unmapped.
    pub fn recycle(&self, staging: wgpu::Buffer) {
        // A handful of small buffers is worth keeping; large ones (exports) are not.
        const KEEP: usize = 8;
        const LARGEST: u64 = 1 << 20;
        let mut pool = lock(&self.0);
        if pool.len() < KEEP && staging.size() <= LARGEST {
            pool.push(staging);
        }
    }
}

impl Gpu {
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
        let limit = self.device().limits().max_buffer_size;
        if size > limit {
            let hint = "use a smaller batch size or model".to_string();
            return Err(Error::Limit { what: format!("buffer {label}"), needed: size, limit, hint });
        }
        self.count_object();
        let scope = self.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.end_scope(scope, format!("buffer {label} of {size} bytes"))?;
        Ok(Buffer::new(raw, label, Some(self.number())))
    }

    /// Writes `data` at the start of `slice`, before the next submit.
    ///
    /// # Errors
    /// [`Error::Shape`] for more than fits, [`Error::Misuse`] for a buffer that another [`Gpu`] made.
    pub fn write<T: bytemuck::NoUninit>(&self, slice: &BufferSlice, data: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        if bytes.len() as u64 > slice.len {
            let (expected, got) = (format!("at most {} bytes", slice.len), format!("{} bytes", bytes.len()));
            return Err(Error::shape(format!("write to {}", slice.buffer.label()), expected, got));
        }
        self.queue().write_buffer(slice.buffer.raw_on(self.number())?, slice.offset, bytes);
        Ok(())
    }

    /// Starts reading `slice`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a buffer that another [`Gpu`] made.
    pub fn read(&self, slice: &BufferSlice) -> Result<Readback> {
        let raw = slice.buffer.raw_on(self.number())?;
        let size = slice.len.next_multiple_of(4);
        let staging = self.staging(size);
        let mut encoder = self.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(raw, slice.offset, &staging, 0, size);
        self.submit(encoder.finish())?;
        Ok(Readback::start(self.clone(), staging, slice.len as usize))
    }

    /// Copies one slice to another, in its own submit.
    ///
    /// # Errors
    /// [`Error::Shape`] where their lengths differ, [`Error::Misuse`] for a buffer that another [`Gpu`] made.
    pub fn copy(&self, from: &BufferSlice, to: &BufferSlice) -> Result<()> {
        if from.len != to.len {
            let place = format!("copy of {} to {}", from.buffer.label(), to.buffer.label());
            let (expected, got) = (format!("{} bytes at both ends", from.len), format!("{} bytes", to.len));
            return Err(Error::shape(place, expected, got));
        }
        let [source, target] = [from.buffer.raw_on(self.number())?, to.buffer.raw_on(self.number())?];
        let mut encoder = self.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(source, from.offset, target, to.offset, from.len);
        self.submit(encoder.finish())
    }

    /// A mappable buffer of exactly `size` bytes, reused where one is free.
    fn staging(&self, size: u64) -> wgpu::Buffer {
        self.staging_pool().take(size).unwrap_or_else(|| {
            self.count_object();
            self.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("readback"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }
}
