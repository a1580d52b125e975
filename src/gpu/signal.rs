//! One value from a callback of the device to a future.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use super::device::lock;

/// Both ends of it. Clones share it.
pub(super) struct Signal<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Signal<T> {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State { value: None, waker: None })))
    }

    /// Sends the value, and wakes who waits for it.
    pub fn send(&self, value: T) {
        let waker = {
            let mut state = lock(&self.0);
            state.value = Some(value);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The value, once; who asks before it was sent is woken then.
    pub fn take(&self, context: &Context<'_>) -> Option<T> {
        let mut state = lock(&self.0);
        let value = state.value.take();
        if value.is_none() {
            state.waker = Some(context.waker().clone());
        }
        value
    }
}
