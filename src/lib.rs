//! [docs/methods.md]: guide::methods
//! [docs/performance.md]: guide::performance
//! [docs/results.md]: guide::results
//! [docs/runs.md]: guide::runs
//! [docs/sweeps.md]: guide::sweeps
//! [docs/teacher-outputs.md]: guide::teacher_outputs
//! [ARCHITECTURE.md]: guide::architecture
//! [CHANGELOG.md]: guide::changelog
//!
// A link's first definition counts: in the documentation these, in the repository those at the README's end.
#![doc = include_str!("../README.md")]
// A browser has nothing that blocks, and so no use for what only that calls.
#![cfg_attr(target_arch = "wasm32", allow(dead_code, unused_imports))]

mod algebra;
#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod distill;
pub mod error;
pub mod files;
pub mod gpu;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod models;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod platform;
pub mod report;
pub mod rng;
pub mod sentences;
pub mod tape;
pub mod tasks;
pub mod train;
pub mod vectors;

pub use error::{Error, Result};
