//! Reading GPU memory: await it, or wait for it. Natively both end at a deadline where the device hangs.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::device::Gpu;
use super::signal::Signal;
use super::waiting::{Deadline, ask_again};
use crate::{Error, Result};

/// How long a read waits before it says that the device hangs.
const DEADLINE: Duration = Duration::from_secs(300);

/// A read under way, which gives way at least once. `.await` it, or call [`Readback::wait`] where blocking is allowed (never in a browser).
#[must_use = "await the read, or call wait()"]
pub struct Readback {
    gpu: Gpu,
    staging: wgpu::Buffer,
    len: usize,
    mapped: Signal<Result<(), wgpu::BufferAsyncError>>,
    deadline: Deadline,
    gave_way: bool,
}

impl Readback {
    /// Starts mapping `staging`, whose copy was submitted.
    pub(super) fn start(gpu: Gpu, staging: wgpu::Buffer, len: usize) -> Self {
        let mapped = Signal::new();
        let sender = mapped.clone();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| sender.send(result));
        Self { gpu, staging, len, mapped, deadline: Deadline::after(DEADLINE), gave_way: false }
    }

    /// Blocks until the bytes are here.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(self) -> Result<Vec<u8>> {
        self.gpu.clone().block_on(self)
    }

    /// The bytes, or what went wrong; none where the device has not answered yet.
    fn take(&self, context: &Context<'_>) -> Option<Result<Vec<u8>>> {
        // What is read may be void where an earlier call failed, and that is known only once all scopes have answered.
        match self.gpu.poll_settled(context) {
            Poll::Pending => return None,
            Poll::Ready(Err(error)) => return Some(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        Some(match self.mapped.take(context)? {
            Err(error) => Err(Error::DeviceLost(format!("a buffer could not be mapped: {error}"))),
            Ok(()) => self.copy_out(),
        })
    }

    fn copy_out(&self) -> Result<Vec<u8>> {
        let bytes = {
            let view = self
                .staging
                .slice(..)
                .get_mapped_range()
                .map_err(|e| Error::DeviceLost(format!("a mapped buffer could not be read: {e}")))?;
            view[..self.len].to_vec()
        };
        self.staging.unmap();
        self.gpu.staging_pool().recycle(self.staging.clone());
        Ok(bytes)
    }
}

impl Future for Readback {
    type Output = Result<Vec<u8>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Once whatever happens, so that loops that share a thread take turns, also where the device is faster than they are.
        if !std::mem::replace(&mut self.gave_way, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Natively nobody else drives the device; in a browser this does nothing and the callback wakes us.
        let _ = self.gpu.device().poll(wgpu::PollType::Poll);
        if let Some(done) = self.take(context) {
            return Poll::Ready(done);
        }
        if self.deadline.is_over() {
            let message = format!("no answer to a read within {} s", DEADLINE.as_secs());
            return Poll::Ready(Err(Error::DeviceLost(message)));
        }
        ask_again(context);
        Poll::Pending
    }
}
