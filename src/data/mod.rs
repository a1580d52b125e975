//! Data sets in memory, the loader thread, and the files they come from. Knows nothing of models or the GPU.
//!
//! [`load`] finds a data set by name and gives its training and test parts as [`Dataset`]s: u8 pixels, NCHW, with labels.
//! A [`Loader`] cuts one into [`Batch`]es on a background thread, in an order that depends on nothing but the seed and
//! the epoch. Normalising and augmenting happen later, on the GPU.
//!
//! Adding a data set is one file with a `load` function and one entry in [`DATASETS`].

mod catalog;
pub mod cifar;
mod dataset;
pub mod digits;
#[cfg(feature = "cli")]
pub mod download;
pub mod folder;
mod holdout;
pub mod idx;
pub mod image_file;
mod load;
mod loader;
mod places;
mod read;
mod shuffle;
#[cfg(test)]
mod testing;

pub use catalog::{DATASETS, DatasetInfo, RemoteFile, find};
pub use dataset::{Dataset, ImageSpec, Split};
pub use load::{LoadOptions, load, locate};
pub use loader::{Batch, Batches, IGNORE_LABEL, Loader, LoaderConfig};
pub use places::default_dir;
