//! What most tests of training begin with.

use std::path::PathBuf;
use std::sync::Arc;

use limbeck::data::Dataset;
use limbeck::gpu::Gpu;
use limbeck::models::Network;
use tempfile::TempDir;

use super::digits::Digits;

/// A device, digits, a teacher, and a folder that is gone after the test.
pub struct Setting {
    pub gpu: Gpu,
    pub training: Arc<Dataset>,
    pub held_out: Arc<Dataset>,
    pub teacher: Network,
    pub folder: TempDir,
}

impl Setting {
    pub fn new(digits: Digits, teacher: Network) -> Self {
        let Digits { gpu, training, held_out } = digits;
        Self { gpu, training, held_out, teacher, folder: super::folder() }
    }

    /// Where a file of this name would be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
