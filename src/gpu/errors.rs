//! What goes wrong outside a call, and error scopes.
//!
//! Natively an error scope answers as it ends, so that the call that opened it fails. In a browser the answer comes
//! later, and reaches no other handler: it is kept here, asked for by every later call and read, and awaited by
//! [`Gpu::settle`], with which a compiled plan ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::device::{Gpu, lock};
use crate::{Error, Result};

/// The first thing that went wrong outside a call.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Lost(String),
    OutOfMemory(String),
    Validation { place: String, message: String },
}

impl Failure {
    /// What was being done where `place` is what the device refused.
    pub fn of(place: &str, error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Failure::OutOfMemory(format!("{place}: {error}")),
            _ => Failure::Validation { place: place.into(), message: error.to_string() },
        }
    }

    fn error(self) -> Error {
        match self {
            Failure::Lost(message) => Error::DeviceLost(message),
            Failure::OutOfMemory(message) => Error::OutOfMemory(message),
            Failure::Validation { place, message } => Error::Validation { place, message },
        }
    }
}

/// The answer to an error scope that has ended: none where nothing went wrong.
#[cfg(not(target_family = "wasm"))]
type Answer = Pin<Box<dyn Future<Output = Option<Failure>> + Send>>;
#[cfg(target_family = "wasm")]
type Answer = Pin<Box<dyn Future<Output = Option<Failure>>>>;

/// The errors of a device that no call has reported yet.
#[derive(Default)]
pub(super) struct Errors {
    first: Arc<First>,
    /// Answers that are not here yet, in the order of their scopes.
    pending: Mutex<Vec<Answer>>,
    waiting: Arc<Waiting>,
}

/// The first failure that nobody was told of: all that the device's own callbacks reach, from any thread.
#[derive(Default)]
pub(super) struct First(Mutex<Option<Failure>>);

impl First {
    /// Keeps a failure, where it is the first one.
    pub fn note(&self, failure: Failure) {
        let mut first = lock(&self.0);
        // A lost device explains every later error, so it replaces them.
        if first.is_none() || matches!(failure, Failure::Lost(_)) {
            *first = Some(failure);
        }
    }
}

/// Who is to be woken when an answer is here: whoever asks last must not keep the others from hearing of it.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Errors {
    /// Keeps a failure, where it is the first one.
    pub fn note(&self, failure: Failure) {
        self.first.note(failure);
    }

    /// What the device's callbacks note in.
    pub fn first(&self) -> Arc<First> {
        self.first.clone()
    }

    /// The failure of an answer that is here; one that is not is kept.
    fn answer(&self, mut answer: Answer) -> Option<Failure> {
        let waker = Waker::from(self.waiting.clone());
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(failure) => failure,
            Poll::Pending => {
                lock(&self.pending).push(answer);
                None
            }
        }
    }

    /// Notes the failures of the answers that are here by now. True where none is open any more.
    fn hear(&self) -> bool {
        let waker = Waker::from(self.waiting.clone());
        let mut context = Context::from_waker(&waker);
        let mut pending = lock(&self.pending);
        pending.retain_mut(|answer| match answer.as_mut().poll(&mut context) {
            Poll::Pending => true,
            Poll::Ready(failure) => {
                failure.into_iter().for_each(|failure| self.note(failure));
                false
            }
        });
        pending.is_empty()
    }

    /// What went wrong. A lost device stays lost; all else is said once.
    fn take(&self) -> Result<()> {
        self.hear();
        let mut first = lock(&self.first.0);
        match first.clone() {
            None => Ok(()),
            Some(lost @ Failure::Lost(_)) => Err(lost.error()),
            Some(failure) => {
                *first = None;
                Err(failure.error())
            }
        }
    }
}

impl Gpu {
    /// The error that the device met outside a call, if any. Out of memory and validation errors are reported once.
    pub fn check(&self) -> Result<()> {
        self.errors().take()
    }

    /// Waits until all that was asked of the device so far is known to be in order, or says what is not. Natively that
    /// is known at once; in a browser an error comes later than the call that it belongs to.
    pub async fn settle(&self) -> Result<()> {
        std::future::poll_fn(|context| self.poll_settled(context)).await
    }

    /// [`Gpu::settle`], polled.
    pub(super) fn poll_settled(&self, context: &Context<'_>) -> Poll<Result<()>> {
        let errors = self.errors();
        if errors.hear() {
            return Poll::Ready(self.check());
        }
        lock(&errors.waiting.0).push(context.waker().clone());
        // An answer may have come before the waker was known.
        if errors.hear() { Poll::Ready(self.check()) } else { Poll::Pending }
    }

    /// Ends an error scope around what `place` names. The error where it is here already; otherwise it is found by
    /// [`Gpu::check`] once it is.
    pub(super) fn end_scope(&self, scope: wgpu::ErrorScopeGuard, place: String) -> Result<()> {
        let popped = scope.pop();
        let answer = Box::pin(async move { popped.await.map(|error| Failure::of(&place, &error)) });
        let refused = self.errors().answer(answer);
        // A lost device makes objects that do nothing, and says nothing.
        self.check()?;
        refused.map_or(Ok(()), |failure| Err(failure.error()))
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
