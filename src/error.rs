//! The one error type. A message names the op or file, what was expected, what came, and what to do.

use std::path::{Path, PathBuf};

/// Everything that can go wrong in limbeck.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter, or none that matches the request.
    #[error("no usable GPU adapter: {0}")]
    NoAdapter(String),
    /// The device went away (driver reset, unplugged, watchdog). Training resumes from its last checkpoint.
    #[error(
        "the GPU device was lost: {0}; restart the program, and resume training from its checkpoint (`resume`)"
    )]
    DeviceLost(String),
    /// The device ran out of memory.
    #[error("the GPU ran out of memory: {0}; use a smaller batch size or model")]
    OutOfMemory(String),
    /// A wgpu validation error: a defect in a kernel or in limbeck.
    #[error("GPU validation error in {place}: {message}")]
    Validation {
        /// Kernel, pipeline or call that was refused.
        place: String,
        /// What the validator said.
        message: String,
    },
    /// Operand shapes, types or settings that an op cannot take.
    #[error("{op}: expected {expected}, got {got}")]
    Shape {
        /// The op's name.
        op: String,
        /// What the op takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// The work does not fit the adapter. Raised before anything runs.
    #[error("{what} needs {needed}, but this adapter allows {limit}; {hint}")]
    Limit {
        /// The tensor or dispatch, by name and shape.
        what: String,
        /// How much it needs.
        needed: u64,
        /// The adapter's limit.
        limit: u64,
        /// What to do about it.
        hint: String,
    },
    /// A file or directory that can't be read, written or understood.
    #[error("{}: {message}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What was expected, what was found, and what to do.
        message: String,
    },
    /// A setting, flag or argument that makes no sense.
    #[error("{name}: {message}")]
    Config {
        /// The setting's name, as the user writes it.
        name: String,
        /// What was expected, what came, and what to do.
        message: String,
    },
    /// NaN or infinity in a loss or a gradient. The step that met it changed no weights.
    #[error(
        "NaN or infinity at step {step}, first in {place}; lower the learning rate, clip gradients, or check the input data"
    )]
    NonFinite {
        /// Optimizer step at which it appeared.
        step: u64,
        /// The first op (and tensor) whose output is not finite.
        place: String,
    },
}

/// `std::result::Result` with limbeck's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Shape`].
    pub fn shape(op: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Error::Shape { op: op.into(), expected: expected.into(), got: got.into() }
    }

    /// An [`Error::File`].
    pub fn file(path: impl AsRef<Path>, message: impl std::fmt::Display) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), message: message.to_string() }
    }

    /// An [`Error::Config`].
    pub fn config(name: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Error::Config { name: name.into(), message: message.to_string() }
    }
}
