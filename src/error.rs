//! The one error type. A message names the op or file, what was expected, what came, and what to do.
//!
//! A message is whole by itself. Where another error is behind it, [`std::error::Error::source`] gives that one, for
//! callers who decide by its kind: [`Error::io_kind`].

use std::io;
use std::path::{Path, PathBuf};

/// What is behind an [`Error`].
type Source = Box<dyn std::error::Error + Send + Sync>;

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
    /// A call that does not go with what it is made on: a tensor of another tape, gradients of a frozen network.
    #[error("{place}: expected {expected}, got {got}")]
    #[non_exhaustive]
    Misuse {
        /// The call, or what it was made on.
        place: String,
        /// What it takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A file or directory that can't be read, written or understood.
    #[error("{}: {message}", path.display())]
    #[non_exhaustive]
    File {
        /// Where.
        path: PathBuf,
        /// What was expected, what was found, and what to do.
        message: String,
        /// The error behind it, where there is one.
        source: Option<Source>,
    },
    /// A setting or argument that makes no sense.
    #[error("{setting}: {message}")]
    #[non_exhaustive]
    Config {
        /// The setting's name, as a file of settings has it.
        setting: String,
        /// What was expected, what came, and what to do.
        message: String,
        /// The error behind it, where there is one.
        source: Option<Source>,
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

    /// An [`Error::Misuse`].
    pub fn misuse(place: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Error::Misuse { place: place.into(), expected: expected.into(), got: got.into() }
    }

    /// An [`Error::File`].
    pub fn file(path: impl AsRef<Path>, message: impl std::fmt::Display) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), message: message.to_string(), source: None }
    }

    /// An [`Error::File`] of what the system says.
    pub fn io(path: impl AsRef<Path>, error: io::Error) -> Self {
        Error::file(path, &error).because(error)
    }

    /// An [`Error::Config`].
    pub fn config(setting: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Error::Config { setting: setting.into(), message: message.to_string(), source: None }
    }

    /// The same with the error that is behind it, where it is of a kind that keeps one ([`Error::File`],
    /// [`Error::Config`]). The message should have said what that one says.
    #[must_use]
    pub fn because(mut self, behind: impl Into<Source>) -> Self {
        if let Error::File { source, .. } | Error::Config { source, .. } = &mut self {
            *source = Some(behind.into());
        }
        self
    }

    /// The kind of the system's error behind this one: tells a file that is not there from one that is damaged.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        let mut at: &dyn std::error::Error = self;
        loop {
            if let Some(error) = at.downcast_ref::<io::Error>() {
                return Some(error.kind());
            }
            at = at.source()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn what_is_behind_an_error_can_be_told() {
        let missing = Error::io("a.toml", io::ErrorKind::NotFound.into());
        assert_eq!(missing.io_kind(), Some(io::ErrorKind::NotFound));
        assert!(missing.to_string().starts_with("a.toml: "), "{missing}");
        let damaged = Error::file("a.toml", "expected a table");
        assert!(damaged.io_kind().is_none() && damaged.source().is_none());
        // A setting refused because of a file that is not there.
        let setting = Error::config("teacher", &missing).because(missing);
        assert_eq!(setting.io_kind(), Some(io::ErrorKind::NotFound));
        assert_eq!(setting.to_string(), format!("teacher: {}", setting.source().unwrap()));
        assert!(Error::misuse("plan", "x", "y").because(damaged).source().is_none());
    }
}
