//! What a label file says, before it is known how large the image is and which classes there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image that a part of a data set lists, with its labels.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// The image file.
    pub image: PathBuf,
    /// Its label file, for messages.
    pub labels: Option<Arc<Path>>,
    /// Width and height that the label file says.
    pub size: Option<[u32; 2]>,
    pub boxes: Vec<RawBox>,
}

/// A box as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawBox {
    pub place: Place,
    pub class: RawClass,
    pub at: At,
    /// Pixels of its mask, where they are given.
    pub area: Option<f64>,
    pub crowd: bool,
    pub difficult: bool,
}

/// Where in its file a box is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// This line, from 1.
    Line(u32),
    /// The annotation of this id.
    Id(i64),
}

impl At {
    /// As messages have it, after the file's name.
    pub(super) fn of(self, file: &str) -> String {
        match self {
            At::Line(line) => format!("{file}:{line}"),
            At::Id(id) => format!("{file} annotation {id}"),
        }
    }
}

/// Where a box is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// Centre x, centre y, width, height, in shares of the image.
    Shares([f64; 4]),
    /// Left, top, right, bottom, in pixels.
    Corners([f64; 4]),
    /// Left, top, width, height, in pixels.
    Pixels([f64; 4]),
}

/// A class as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawClass {
    Number(usize),
    Name(Arc<str>),
}
