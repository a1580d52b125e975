//! What can be measured: a case by name, and the prepared work it builds.

use serde::{Deserialize, Serialize};

use super::results::Breakdown;
use super::timed_by::TimedBy;
use crate::gpu::{AdapterRequest, Gpu, GpuOptions};
use crate::{Error, Result};

/// A group of cases that the user asks for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Single ops and their gradients.
    Kernels,
    /// Whole training steps.
    Train,
    /// What everything costs beside the kernels.
    Overhead,
}

impl Suite {
    /// All of them, in the order they run.
    pub const ALL: [Suite; 3] = [Suite::Kernels, Suite::Train, Suite::Overhead];

    /// The word that the user writes.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Kernels => "kernels",
            Suite::Train => "train",
            Suite::Overhead => "overhead",
        }
    }

    /// The suite of a word.
    pub fn parse(word: &str) -> Result<Suite> {
        let found = Suite::ALL.into_iter().find(|suite| suite.name() == word);
        found.ok_or_else(|| {
            let names = Suite::ALL.map(Suite::name).join(", ");
            Error::config("suite", format!("expected one of {names}, got \"{word}\""))
        })
    }
}

/// An open adapter, and how to open it once more: the latency of a first step needs a device without pipelines.
pub struct Target {
    /// The open device.
    pub gpu: Gpu,
    /// What it was opened by.
    pub request: AdapterRequest,
}

impl Target {
    /// Opens the adapter.
    pub fn open(request: AdapterRequest, options: GpuOptions) -> Result<Self> {
        Ok(Self { gpu: Gpu::open_blocking(&request, options)?, request })
    }
}

/// Builds the work of a case on an adapter.
type Build = Box<dyn Fn(&Target) -> Result<Prepared>>;

/// A case by name. Nothing is built or uploaded before [`Benchmark::prepare`].
pub struct Benchmark {
    /// Its suite.
    pub suite: Suite,
    /// Cases of one kind: rates within a group predict how long its larger members take.
    pub group: String,
    /// Unique within suite and group.
    pub name: String,
    build: Build,
}

impl Benchmark {
    /// A case that `build` prepares.
    pub fn new(
        suite: Suite,
        group: impl Into<String>,
        name: impl Into<String>,
        build: impl Fn(&Target) -> Result<Prepared> + 'static,
    ) -> Self {
        Self { suite, group: group.into(), name: name.into(), build: Box::new(build) }
    }

    /// `kernels/gemm/512`: what filters look at.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.suite.name(), self.group, self.name)
    }

    /// Compiles what is to be timed.
    pub fn prepare(&self, target: &Target) -> Result<Prepared> {
        (self.build)(target)
    }
}

/// Compiled work, ready to be timed as often as wanted.
pub struct Prepared {
    /// How its times are taken.
    pub clock: TimedBy,
    /// Shapes of what it works on.
    pub shape: String,
    /// Dispatches of one run; none where dispatches are not the point.
    pub dispatches: Option<usize>,
    /// Floating-point operations of one run.
    pub flops: u64,
    /// Bytes read and written by one run, each operand once.
    pub bytes: u64,
    /// Samples that one run handles, for training steps.
    pub images: Option<usize>,
    /// Does the work `n` times; milliseconds of all of them together.
    pub time: Box<dyn FnMut(u32) -> Result<f64>>,
    /// Compares the result with the f64 reference: the largest error, and the one that is allowed. Up to this many
    /// operations of the reference are affordable; `None` beyond.
    pub check: Option<Check>,
    /// Where the time of one run goes, by op.
    pub breakdown: Option<Box<dyn FnOnce() -> Result<Breakdown>>>,
}

/// From the affordable number of operations to the largest error and the allowed one, as shares of |reference| + rms.
pub type Check = Box<dyn FnOnce(u64) -> Result<Option<(f64, f64)>>>;

impl Prepared {
    /// Work timed by the wall clock, with nothing to count.
    pub fn wall(shape: impl Into<String>, time: impl FnMut(u32) -> Result<f64> + 'static) -> Self {
        Self {
            clock: TimedBy::WallClock,
            shape: shape.into(),
            dispatches: None,
            flops: 0,
            bytes: 0,
            images: None,
            time: Box::new(time),
            check: None,
            breakdown: None,
        }
    }
}
