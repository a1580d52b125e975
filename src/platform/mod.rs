//! What a computer and a browser do differently, below everything else: clocks, waiting, and a place to keep files.

#[cfg(test)]
pub(crate) mod damage;
#[cfg(not(target_arch = "wasm32"))]
mod native;
pub(crate) mod parallel;
pub mod store;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(not(target_arch = "wasm32"))]
pub use native::{Folder, block_on};
pub use store::{Memory, Store};
#[cfg(target_arch = "wasm32")]
pub use web::OriginFiles;
/// Clocks that a browser has, too: there those of the standard library panic.
pub use web_time::{Instant, SystemTime};
