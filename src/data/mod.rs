//! Data sets in memory, the loader thread, and the files they come from. Knows nothing of models or the GPU.
//!
//! A [`Source`] is a set of samples, each made of the same named [`Field`]s: pixels and labels, targets, token ids. A
//! [`Loader`] cuts one into [`Batch`]es on background threads, in an order that depends on nothing but the seed and the
//! epoch. What the fields mean is for a task to say; normalising and augmenting images happen later, on the GPU.
//!
//! [`load`] finds a data set by name and gives its training and test parts as [`Dataset`]s: u8 pixels, NCHW, with labels.
//! Adding a data set is one file with a `load` function and one entry in [`DATASETS`].

mod batch;
pub mod boxes;
mod catalog;
pub mod cifar;
mod dataset;
pub mod digits;
#[cfg(feature = "cli")]
pub mod download;
mod field;
pub mod folder;
mod holdout;
pub mod idx;
pub mod image_file;
mod load;
mod loader;
mod memory;
mod packing;
mod places;
mod published;
mod read;
mod shuffle;
mod source;
#[cfg(test)]
mod testing;
pub mod text;

pub use crate::ops::IGNORE_LABEL;
pub use batch::{Batch, HostValues, Row};
pub use catalog::{Content, DATASETS, DatasetInfo, RemoteFile, find};
pub use dataset::{Dataset, ImageSpec, LABELS, PIXELS, Split};
pub use field::{Field, FieldType, Pad, Places};
pub use load::{LoadOptions, load, load_boxes, locate};
pub use loader::{Batches, Loader, LoaderConfig};
pub use memory::InMemory;
pub use places::default_dir;
pub use source::{Order, Source, View};
