//! Short runs on the built-in digits.

use std::sync::Arc;

use limbeck::data::{Dataset, LoadOptions, load};
use limbeck::gpu::Gpu;
use limbeck::train::Observer;

/// The test device, and a part of the digits.
pub struct Digits {
    pub gpu: Gpu,
    pub training: Arc<Dataset>,
    pub held_out: Arc<Dataset>,
}

impl Digits {
    /// So many images to train on, and so many others.
    pub fn new(training: usize, held_out: usize) -> Self {
        let (all, others) = load("digits", None, &LoadOptions::default()).unwrap();
        let sample = |data: Dataset, n| Arc::new(data.sample(n, 0).unwrap());
        Self { gpu: super::gpu(), training: sample(all, training), held_out: sample(others, held_out) }
    }
}

/// Ends a run before step `at`, as a user who presses stop.
pub struct StopAt(pub u64);

impl Observer for StopAt {
    fn proceed(&mut self, step: u64) -> bool {
        step < self.0
    }
}
