//! What the tests of this module share: gzip, and small data sets.

use std::io::Write;

use super::{Dataset, Split};
use crate::Result;
pub(super) use crate::files::scratch::Scratch;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `n` images of 1x1x3 whose first pixel is the sample's number, with labels `i % classes`.
pub(super) fn tiny(n: usize, classes: usize) -> Dataset {
    Dataset {
        name: "tiny".into(),
        split: Split::Train,
        pixels: (0..n).flat_map(|i| [i as u8, 100, 200]).collect(),
        labels: (0..n).map(|i| (i % classes) as u32).collect(),
        channels: 1,
        height: 1,
        width: 3,
        class_names: (0..classes).map(|c| c.to_string()).collect(),
        mean: vec![0.5],
        std: vec![0.5],
    }
}

/// Samples of each class.
pub(super) fn class_counts(set: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; set.num_classes()];
    set.labels.iter().for_each(|&label| counts[label as usize] += 1);
    counts
}

/// The error's text, and a failed test where there is none.
#[track_caller]
pub(super) fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(e) => e.to_string(),
    }
}
