//! Storage buffers and the slices of them that get bound.
//!
//! All storage is padded to 16 bytes, so that element-wise kernels always work on `vec4` and never have a tail case; no
//! reduction reads what lies in the padding.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// A storage buffer. Clones share it.
#[derive(Debug, Clone)]
pub struct Buffer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    raw: wgpu::Buffer,
    id: u64,
    /// Number of the [`Gpu`](super::Gpu) that made it; none for an application's own.
    maker: Option<u64>,
    label: String,
}

impl Buffer {
    /// A buffer that the [`Gpu`](super::Gpu) of this number made; none for an application's own.
    pub(super) fn new(raw: wgpu::Buffer, label: &str, maker: Option<u64>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { inner: Arc::new(Inner { raw, id, maker, label: label.to_string() }) }
    }

    /// Wraps a buffer that the application owns, of the device that limbeck was given. A tape reads and writes it as an
    /// external tensor. Its usage must include `STORAGE`, and `COPY_SRC` or `COPY_DST` where the host reads or writes it
    /// through limbeck; its size must be a multiple of 16, as kernels work on vec4.
    pub fn wrap(raw: wgpu::Buffer, label: &str) -> Result<Self> {
        if !raw.usage().contains(wgpu::BufferUsages::STORAGE) || !raw.size().is_multiple_of(16) {
            let got = format!("{:?} and {} bytes", raw.usage(), raw.size());
            return Err(Error::misuse(
                format!("buffer {label}"),
                "usage STORAGE and a multiple of 16 bytes",
                got,
            ));
        }
        Ok(Self::new(raw, label, None))
    }

    /// The wgpu buffer, for applications that bind or copy it themselves.
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.inner.raw
    }

    /// Size in bytes, a multiple of 16.
    pub fn size(&self) -> u64 {
        self.inner.raw.size()
    }

    /// The label it was made with.
    pub fn label(&self) -> &str {
        &self.inner.label
    }

    /// True where both are the same buffer.
    pub fn same(&self, other: &Buffer) -> bool {
        self.inner.id == other.inner.id
    }

    /// The wgpu buffer, where it may be of the [`Gpu`](super::Gpu) of this number: of another device wgpu may take it for
    /// one that has the same number there.
    pub(super) fn raw_on(&self, gpu: u64) -> Result<&wgpu::Buffer> {
        if self.inner.maker.is_some_and(|maker| maker != gpu) {
            return Err(Error::misuse(
                format!("buffer {}", self.label()),
                "a buffer (parameters, outputs) of the Gpu that it is used with",
                "one that another Gpu made",
            ));
        }
        Ok(self.raw())
    }

    /// The whole buffer.
    pub fn whole(&self) -> BufferSlice {
        BufferSlice { buffer: self.clone(), offset: 0, len: self.size() }
    }

    /// `len` bytes from `offset`; `None` where that is outside the buffer.
    pub fn slice(&self, offset: u64, len: u64) -> Option<BufferSlice> {
        (offset.checked_add(len)? <= self.size()).then(|| BufferSlice { buffer: self.clone(), offset, len })
    }
}

/// A range of a [`Buffer`], in bytes.
#[derive(Debug, Clone)]
pub struct BufferSlice {
    /// The buffer.
    pub buffer: Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}
