//! Batches of bytes as the images that a network reads, seen anew in each epoch: [whole images](images) under a class, and
//! [images with boxes](boxes), which move along.

pub mod boxes;
mod colour;
pub mod images;
mod settings;
mod view;

pub use images::{ImageBatch, SPEC};
pub use settings::BoxAugment;
