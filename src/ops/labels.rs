//! What labels mean to losses, metrics and loaders alike.

/// The label of rows that do not count: what a loader fills up the last batch with, and what losses and metrics leave out.
pub const IGNORE_LABEL: i32 = -1;
