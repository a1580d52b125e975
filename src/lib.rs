//! limbeck: knowledge distillation on any GPU.
//!
//! See ARCHITECTURE.md for the map of the modules and one batch walked through them.

// A browser has nothing that blocks, and so no use for what only that calls.
#![cfg_attr(target_arch = "wasm32", allow(dead_code, unused_imports))]

#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod distill;
pub mod error;
pub mod files;
pub mod gpu;
pub mod models;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod platform;
pub mod report;
pub mod rng;
pub mod tape;
pub mod tasks;
pub mod train;

pub use error::{Error, Result};
