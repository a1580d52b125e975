//! Submitting work and waiting for it: an executor that blocks, and futures that ask again.
//!
//! Waiting is async, blocking is a wrapper that does not exist on wasm32: reads, trainer, evaluator and checkpoints are futures,
//! and blocking sleeps until the oldest submit is done, where a general executor would spin.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wgpu::{PollError, PollType};

use super::device::Gpu;
use super::signal::Signal;
use crate::platform::Instant;
use crate::{Error, Result};

/// How long [`Gpu::block_on`] sleeps at most before it asks a future again.
const NAP: Duration = Duration::from_millis(100);

/// Submits that are remembered for [`Gpu::throttle`].
const MOST_IN_FLIGHT: usize = 256;

impl Gpu {
    /// Submits one command buffer.
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> Result<()> {
        self.check()?;
        let index = self.queue().submit([commands]);
        let mut in_flight = self.in_flight();
        in_flight.push_back(index);
        // Without a caller that throttles, the oldest are of no interest.
        if in_flight.len() > MOST_IN_FLIGHT {
            in_flight.pop_front();
        }
        drop(in_flight);
        self.check()
    }

    /// Starts the copies of all that was written so far, and natively waits for them, which frees the memory that they take on
    /// the host: without it they wait for the next submit.
    pub(crate) fn send_writes(&self) -> Result<()> {
        let nothing = self.device().create_command_encoder(&Default::default());
        self.submit(nothing.finish())?;
        #[cfg(not(target_arch = "wasm32"))]
        self.wait_idle()?;
        Ok(())
    }

    /// Blocks until the GPU has finished all that was submitted.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait_idle(&self) -> Result<()> {
        let wait = PollType::Wait { submission_index: None, timeout: None };
        self.device().poll(wait).map_err(|e| Error::DeviceLost(e.to_string()))?;
        self.check()
    }

    /// [`Gpu::wait_idle`] for callers that may not block.
    pub async fn idle(&self) -> Result<()> {
        let done = Signal::new();
        let sender = done.clone();
        self.queue().on_submitted_work_done(move || sender.send(()));
        std::future::poll_fn(|context| {
            // Natively nobody else drives the device.
            let _ = self.device().poll(PollType::Poll);
            if done.take(context).is_some() {
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = self.check() {
                return Poll::Ready(Err(error));
            }
            ask_again(context);
            Poll::Pending
        })
        .await?;
        self.settle().await
    }

    /// Runs a future of this library to its end, and blocks meanwhile. Natively it is the waiting thread that must ask the
    /// device whether it is done: a general executor spins on that, this one sleeps until the oldest submit is finished.
    /// A browser has none: what would block there does not compile.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            // Whatever goes wrong here, the future finds out.
            let _ = self.await_oldest(NAP);
        }
    }

    /// Blocks until at most `ahead` submits are unfinished: a caller that never reads would otherwise queue work, and
    /// the memory of its uploads, without end.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn throttle(&self, ahead: usize) -> Result<()> {
        self.block_on(self.throttle_async(ahead))
    }

    /// [`Gpu::throttle`] for callers that may not block. A browser can't tell which submits are finished: there it returns
    /// at once, and only reads wait.
    pub async fn throttle_async(&self, ahead: usize) -> Result<()> {
        std::future::poll_fn(|context| {
            while self.in_flight().len() > ahead {
                match self.await_oldest(Duration::ZERO) {
                    Ok(true) => {}
                    Ok(false) => {
                        ask_again(context);
                        return Poll::Pending;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Poll::Ready(self.check())
        })
        .await
    }

    /// Sleeps until the oldest unfinished submit is finished, or for so long. False where it is not.
    fn await_oldest(&self, most: Duration) -> Result<bool> {
        let oldest = self.in_flight().pop_front();
        let wait = PollType::Wait { submission_index: oldest.clone(), timeout: Some(most) };
        match self.device().poll(wait) {
            Ok(_) => Ok(true),
            Err(PollError::Timeout) => {
                if let Some(oldest) = oldest {
                    self.in_flight().push_front(oldest);
                }
                Ok(false)
            }
            Err(error) => Err(Error::DeviceLost(error.to_string())),
        }
    }
}

/// Has a future polled again: natively nobody else asks the device, in a browser a callback wakes it.
pub(super) fn ask_again(context: &Context<'_>) {
    if cfg!(not(target_family = "wasm")) {
        std::thread::yield_now();
        context.waker().wake_by_ref();
    }
}

/// The end of a wait.
pub(super) struct Deadline {
    end: Instant,
}

impl Deadline {
    pub fn after(time: Duration) -> Self {
        Self { end: Instant::now() + time }
    }

    pub fn is_over(&self) -> bool {
        Instant::now() > self.end
    }
}
