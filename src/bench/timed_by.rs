//! Which clock a time comes from.

use serde::{Deserialize, Serialize};

use crate::gpu::Gpu;

/// How a time was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimedBy {
    /// Timestamp queries on the adapter around a pass.
    Timestamps,
    /// The host's clock, from before the submit until the device is idle.
    WallClock,
}

impl TimedBy {
    /// What times the kernels of this device.
    pub fn of(gpu: &Gpu) -> Self {
        if gpu.caps().timestamps { TimedBy::Timestamps } else { TimedBy::WallClock }
    }

    /// For tables and pages.
    pub fn name(self) -> &'static str {
        match self {
            TimedBy::Timestamps => "timestamps",
            TimedBy::WallClock => "wall clock",
        }
    }
}
