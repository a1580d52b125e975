//! A labelled set of images in memory: u8 pixels, (N, C, H, W).

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Field, Row, Source, View};
use crate::files::hex;
use crate::{Error, Result};

/// Which part of the data a set is, or a number was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the optimizer sees.
    Train,
    /// Held out of the training data, to be watched while training and to choose settings by.
    Validation,
    /// Held out for the result. Where there is no validation data, it is what is watched.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        })
    }
}

/// The layout of one image: (C, H, W), one u8 a pixel and channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSpec {
    /// 1 (grey), 3 (red, green, blue), or any other number.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageSpec {
    /// Bytes of one image: `channels * height * width`.
    pub fn bytes(&self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }
}

impl fmt::Display for ImageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// A labelled set of images. The fields are public so that any source can fill them; [`Dataset::check`] says whether
/// they fit together, and whatever takes a `Dataset` calls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// As in [`super::DATASETS`], or a name of your own.
    pub name: String,
    /// Which part this is.
    pub split: Split,
    /// (N, C, H, W), one byte a value.
    pub pixels: Vec<u8>,
    /// (N): class numbers below `class_names.len()`.
    pub labels: Vec<u32>,
    /// C, from 1.
    pub channels: usize,
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// Name of each class.
    pub class_names: Vec<String>,
    /// (C): mean of `pixel / 255`, the default for normalising.
    pub mean: Vec<f32>,
    /// (C): standard deviation of `pixel / 255`, the default for normalising.
    pub std: Vec<f32>,
}

impl Dataset {
    /// Number of samples, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The layout of one image.
    pub fn spec(&self) -> ImageSpec {
        ImageSpec { channels: self.channels, height: self.height, width: self.width }
    }

    /// Number of classes.
    pub fn num_classes(&self) -> usize {
        self.class_names.len()
    }

    /// The (C, H, W) pixels of sample `index`; `None` past the end.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let bytes = self.spec().bytes();
        let start = index.checked_mul(bytes)?;
        self.pixels.get(start..start.checked_add(bytes)?)
    }

    /// Whether the fields fit together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that does not fit.
    pub fn check(&self) -> Result<()> {
        let refuse =
            |what: String| Err(Error::config(format!("data set {} ({})", self.name, self.split), what));
        let spec = self.spec();
        if spec.bytes() == 0 {
            return refuse(format!("expected images of at least 1 channel and 1x1 pixels, got {spec}"));
        }
        if self.len() > u32::MAX as usize {
            return refuse(format!("expected at most {} samples, got {}", u32::MAX, self.len()));
        }
        if Some(self.pixels.len()) != self.len().checked_mul(spec.bytes()) {
            let (found, n) = (self.pixels.len(), self.len());
            return refuse(format!(
                "expected {n} images of {} bytes ({spec}), got {found} bytes",
                spec.bytes()
            ));
        }
        if self.mean.len() != spec.channels || self.std.len() != spec.channels {
            let (m, s) = (self.mean.len(), self.std.len());
            return refuse(format!(
                "expected a mean and std for each of {} channels, got {m} and {s}",
                spec.channels
            ));
        }
        if !self.mean.iter().all(|m| m.is_finite()) || !self.std.iter().all(|s| s.is_finite() && *s > 0.0) {
            return refuse(format!(
                "expected finite means and stds above 0, got {:?} and {:?}",
                self.mean, self.std
            ));
        }
        match self.labels.iter().position(|&label| label as usize >= self.num_classes()) {
            Some(at) => refuse(format!(
                "sample {at} has label {}, but there are {} classes",
                self.labels[at],
                self.num_classes()
            )),
            None => Ok(()),
        }
    }

    /// The samples at `indices`, in that order; an index may repeat.
    ///
    /// # Errors
    /// [`Error::Config`] for an index past the end.
    pub fn subset(&self, indices: &[usize]) -> Result<Dataset> {
        let mut part = self.empty_copy();
        part.pixels.reserve_exact(indices.len().saturating_mul(self.spec().bytes()));
        for &index in indices {
            let (Some(image), Some(&label)) = (self.image(index), self.labels.get(index)) else {
                let message =
                    format!("index {index} is past the end: {} has {} samples", self.name, self.len());
                return Err(Error::config("subset", message));
            };
            part.pixels.extend_from_slice(image);
            part.labels.push(label);
        }
        Ok(part)
    }

    /// The samples of `range`.
    ///
    /// # Errors
    /// [`Error::Config`] for a range past the end.
    pub fn range(&self, range: Range<usize>) -> Result<Dataset> {
        if range.end > self.len() {
            let message = format!(
                "{}..{} is past the end: {} has {} samples",
                range.start,
                range.end,
                self.name,
                self.len()
            );
            return Err(Error::config("range", message));
        }
        self.subset(&range.collect::<Vec<_>>())
    }

    /// Keeps the first `n` samples. Sources sorted by class (`folder`) want [`Dataset::sample`] instead.
    pub fn truncate(&mut self, n: usize) {
        self.pixels.truncate(n.saturating_mul(self.spec().bytes()));
        self.labels.truncate(n);
    }

    /// sha256 over shape, labels and pixels, in hexadecimal: equal for equal contents, whatever they are called.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"limbeck dataset 1\0");
        for n in [self.len(), self.channels, self.height, self.width, self.num_classes()] {
            hash.update((n as u64).to_le_bytes());
        }
        for label in &self.labels {
            hash.update(label.to_le_bytes());
        }
        hash.update(&self.pixels);
        hex(&hash.finalize())
    }

    /// Mean and standard deviation of `pixel / 255` for each channel. A channel that is constant gets a std of 1.
    pub fn pixel_statistics(&self) -> (Vec<f32>, Vec<f32>) {
        let area = self.height.saturating_mul(self.width).max(1);
        // Sums of u8 values and their squares are exact in u64.
        let mut sums = vec![(0u64, 0u64, 0u64); self.channels];
        for (plane, values) in self.pixels.chunks_exact(area).enumerate() {
            let (count, sum, squares) = &mut sums[plane % self.channels];
            *count += values.len() as u64;
            *sum += values.iter().map(|&v| u64::from(v)).sum::<u64>();
            *squares += values.iter().map(|&v| u64::from(v) * u64::from(v)).sum::<u64>();
        }
        sums.into_iter()
            .map(|(count, sum, squares)| {
                let count = count.max(1) as f64;
                let mean = sum as f64 / count;
                let variance = (squares as f64 / count - mean * mean).max(0.0);
                let std = if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 };
                ((mean / 255.0) as f32, std as f32)
            })
            .unzip()
    }

    /// Everything but the samples.
    fn empty_copy(&self) -> Dataset {
        Dataset {
            name: self.name.clone(),
            split: self.split,
            pixels: Vec::new(),
            labels: Vec::new(),
            class_names: self.class_names.clone(),
            mean: self.mean.clone(),
            std: self.std.clone(),
            ..*self
        }
    }
}

/// The field of an image's pixels, u8 (C, H, W).
pub const PIXELS: &str = "pixels";
/// The field of a class number, i32.
pub const LABELS: &str = "labels";

impl Source for Dataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::u8(PIXELS, [self.channels, self.height, self.width]), Field::label(LABELS)]
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> Result<()> {
        let (Some(image), Some(&label)) = (self.image(id), self.labels.get(id)) else {
            let message = format!("sample {id} is past the end: there are {}", self.labels.len());
            return Err(Error::config(format!("data set {}", self.name), message));
        };
        row.u8(PIXELS)?.copy_from_slice(image);
        row.i32(LABELS)?[0] = label as i32;
        Ok(())
    }

    fn fingerprint(&self) -> String {
        Dataset::fingerprint(self)
    }

    fn check(&self) -> Result<()> {
        Dataset::check(self)
    }
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
