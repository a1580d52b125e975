//! What readers of every format give.

use std::fmt;
use std::path::PathBuf;

use super::label::Listed;

/// The format of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pascal VOC's XML files.
    Voc,
    /// YOLO label files that a `data.yaml` describes.
    DataYaml,
    /// YOLO label files that darknet's `obj.data` describes.
    DataFile,
    /// YOLO label files in folders.
    Folders,
    /// COCO's JSON files.
    Coco,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Voc => "Pascal VOC",
            Format::DataYaml => "YOLO (data.yaml)",
            Format::DataFile => "YOLO (darknet's .data file)",
            Format::Folders => "YOLO (folders)",
            Format::Coco => "COCO",
        })
    }
}

/// What a reader gives.
#[derive(Debug)]
pub(super) struct Read {
    pub format: Format,
    pub root: PathBuf,
    pub classes: Vec<String>,
    pub parts: Parts,
}

/// Images of each part.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// `None` where nothing says that there is one.
    pub train: Option<Vec<Listed>>,
    pub validation: Option<Vec<Listed>>,
    pub test: Option<Vec<Listed>>,
}

impl Parts {
    pub(super) fn all(&self) -> impl Iterator<Item = &Listed> {
        [&self.train, &self.validation, &self.test].into_iter().flatten().flatten()
    }
}
