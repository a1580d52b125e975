//! Short runs on the built-in digits.

use std::path::Path;
use std::sync::Arc;

use limbeck::data::{Dataset, LoadOptions, load};
use limbeck::gpu::Gpu;
use limbeck::models::Network;
use limbeck::train::{Observer, TeachConfig, teach};

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

    /// Writes the teacher's outputs with these taps to a file, of batches of 32 images as they are.
    pub fn write_outputs(&self, path: &Path, teacher: &Network, taps: &[&str]) {
        let taps = taps.iter().map(ToString::to_string).collect();
        let config = TeachConfig { batch_size: 32, topk: None, taps, seed: 0, epochs: 1 };
        teach(&self.gpu, &super::classify(&self.training), teacher, &self.training, &config, path, |_| ())
            .unwrap();
    }
}

/// Ends a run before step `at`, as a user who presses stop.
pub struct StopAt(pub u64);

impl Observer for StopAt {
    fn proceed(&mut self, step: u64) -> bool {
        step < self.0
    }
}
