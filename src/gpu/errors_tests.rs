//! Answers that come later than their scopes end, as in a browser.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::gpu::signal::Signal;
use crate::gpu::{AdapterRequest, GpuOptions};

fn gpu() -> Gpu {
    let request = AdapterRequest::from_env().unwrap();
    Gpu::open_blocking(&request, GpuOptions::default())
        .expect("an adapter, a software one will do: make setup")
}

/// A scope that has ended, and that answers once it is told.
fn late(gpu: &Gpu) -> Signal<Option<Failure>> {
    let signal = Signal::new();
    let answer = signal.clone();
    let poll = move |context: &mut Context<'_>| answer.take(context).map_or(Poll::Pending, Poll::Ready);
    assert!(gpu.errors().answer(Box::pin(std::future::poll_fn(poll))).is_none());
    signal
}

fn refused() -> Option<Failure> {
    Some(Failure::Validation { place: "relu/forward".into(), message: "no".into() })
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_late_answer_is_found_by_the_next_call() {
    let gpu = gpu();
    let scope = late(&gpu);
    gpu.check().unwrap();
    scope.send(refused());
    let found = gpu.check();
    assert!(matches!(&found, Err(Error::Validation { place, .. }) if place == "relu/forward"), "{found:?}");
    gpu.check().unwrap();
}

#[test]
fn settling_waits_for_every_answer_and_is_woken() {
    let gpu = gpu();
    let (first, second) = (late(&gpu), late(&gpu));
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let mut settled = std::pin::pin!(gpu.settle());
    assert!(settled.as_mut().poll(&mut context).is_pending());
    first.send(None);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(settled.as_mut().poll(&mut context).is_pending());
    // Whoever asks in between, with no waker, does not keep others from being woken.
    gpu.check().unwrap();
    second.send(refused());
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert!(matches!(settled.as_mut().poll(&mut context), Poll::Ready(Err(Error::Validation { .. }))));
}

#[test]
fn a_read_ends_with_the_error_of_an_earlier_scope() {
    let gpu = gpu();
    let buffer = gpu.buffer("x", 64).unwrap();
    let scope = late(&gpu);
    let mut read = std::pin::pin!(gpu.read(&buffer.whole()).unwrap());
    gpu.wait_idle().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(read.as_mut().poll(&mut context).is_pending(), "the bytes may be void");
    }
    scope.send(refused());
    assert!(matches!(read.as_mut().poll(&mut context), Poll::Ready(Err(Error::Validation { .. }))));
}

#[test]
fn what_is_submitted_can_be_awaited() {
    let gpu = gpu();
    let buffer = gpu.buffer("x", 64).unwrap();
    gpu.copy(&buffer.slice(0, 32).unwrap(), &gpu.buffer("y", 32).unwrap().whole()).unwrap();
    gpu.block_on(gpu.idle()).unwrap();
    let scope = late(&gpu);
    scope.send(refused());
    assert!(matches!(gpu.block_on(gpu.idle()), Err(Error::Validation { .. })));
}
