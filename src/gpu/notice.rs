//! A word to the user where kernels take long to compile: nothing hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::platform::Instant;

/// Given once, where work takes longer than a user waits without a word.
pub(crate) struct Notice {
    start: Instant,
    given: AtomicBool,
}

impl Notice {
    const AFTER: Duration = Duration::from_secs(2);

    pub fn new() -> Self {
        Self { start: Instant::now(), given: AtomicBool::new(false) }
    }

    /// After `done` of `all` of `what`.
    pub fn after(&self, done: usize, all: usize, what: &str) {
        if self.start.elapsed() < Self::AFTER || self.given.swap(true, Ordering::Relaxed) {
            return;
        }
        let so_far = format!("compiling kernels: {done} of {all} {what} so far");
        if cfg!(debug_assertions) {
            log::warn!("{so_far}; naga is slow without optimisation (README, \"Debug builds\")");
        } else {
            log::info!("{so_far}");
        }
    }
}
