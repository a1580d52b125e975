//! Training: what a run measures and what it tells the user.

pub mod metrics;
pub mod report;
pub mod stats;
