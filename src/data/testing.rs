//! What the tests of this module share: a scratch directory, gzip, and small data sets.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Dataset, Split};
use crate::Result;

/// A fresh directory that is deleted when dropped.
pub(super) struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("limbeck-data-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Names of everything directly inside, sorted.
    pub fn list(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

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

/// The error's text, and a failed test where there is none.
#[track_caller]
pub(super) fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(e) => e.to_string(),
    }
}
