//! CIFAR-10 and CIFAR-100 in the authors' binary format.
//!
//! A CIFAR-10 record is a label and 3,072 bytes, (3, 32, 32); a CIFAR-100 record has a coarse label (0..20) before the
//! fine one (0..100), and the fine one is used. Both know files called train.bin and test.bin: the data set that was asked
//! for decides, and record length and labels are checked against it. Source: www.cs.toronto.edu/~kriz/cifar.html.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Dataset, Split, read};
use crate::{Error, Result};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CifarKind {
    /// 10 classes, one label byte.
    Cifar10,
    /// 100 classes, two label bytes.
    Cifar100,
}

const IMAGE: usize = 3 * 32 * 32;

impl CifarKind {
    fn name(self) -> &'static str {
        match self {
            CifarKind::Cifar10 => "cifar10",
            CifarKind::Cifar100 => "cifar100",
        }
    }

    fn other(self) -> CifarKind {
        match self {
            CifarKind::Cifar10 => CifarKind::Cifar100,
            CifarKind::Cifar100 => CifarKind::Cifar10,
        }
    }

    /// How many values each label byte of a record can take; the last is the class.
    fn label_limits(self) -> &'static [u8] {
        match self {
            CifarKind::Cifar10 => &[10],
            CifarKind::Cifar100 => &[20, 100],
        }
    }

    fn classes(self) -> usize {
        self.label_limits().last().map_or(0, |&limit| usize::from(limit))
    }

    fn record(self) -> usize {
        self.label_limits().len() + IMAGE
    }

    /// The folder in the authors' archive.
    fn folder(self) -> &'static str {
        match self {
            CifarKind::Cifar10 => "cifar-10-batches-bin",
            CifarKind::Cifar100 => "cifar-100-binary",
        }
    }
}

/// Reads (train, test) from `dir`, or from the archive's own folder in it. `max_bytes` limits each part.
///
/// # Errors
/// [`Error::File`] for a file that is missing, not a whole number of records, or has a label out of range.
pub fn load(kind: CifarKind, dir: &Path, max_bytes: u64) -> Result<(Dataset, Dataset)> {
    let dir = home(kind, dir);
    let names_file = match kind {
        CifarKind::Cifar10 => "batches.meta.txt",
        CifarKind::Cifar100 => "fine_label_names.txt",
    };
    let class_names =
        read::class_names(&dir.join(names_file), kind.classes())?.unwrap_or_else(|| built_in(kind));
    let split = |split: Split| -> Result<Dataset> {
        let (pixels, labels) = read_records(kind, &files(kind, &dir, split), max_bytes)?;
        let (mean, std) = match kind {
            CifarKind::Cifar10 => ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
            CifarKind::Cifar100 => ([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]),
        };
        Ok(Dataset {
            name: kind.name().into(),
            split,
            pixels,
            labels,
            channels: 3,
            height: 32,
            width: 32,
            class_names: class_names.clone(),
            mean: mean.to_vec(),
            std: std.to_vec(),
        })
    };
    Ok((split(Split::Train)?, split(Split::Test)?))
}

/// Whether any of the files is there.
pub(super) fn present(kind: CifarKind, dir: &Path) -> bool {
    let dir = home(kind, dir);
    [Split::Train, Split::Test].iter().any(|&split| files(kind, &dir, split).iter().any(|path| path.exists()))
}

fn home(kind: CifarKind, dir: &Path) -> PathBuf {
    let nested = dir.join(kind.folder());
    if nested.is_dir() { nested } else { dir.to_path_buf() }
}

/// The files of a split. CIFAR-10 prefers the authors' batches; one that is missing is then an error.
fn files(kind: CifarKind, dir: &Path, split: Split) -> Vec<PathBuf> {
    let (batches, single) = match split {
        Split::Train => {
            ((1..=5).map(|i| dir.join(format!("data_batch_{i}.bin"))).collect(), dir.join("train.bin"))
        }
        Split::Validation | Split::Test => (vec![dir.join("test_batch.bin")], dir.join("test.bin")),
    };
    let has_batches = batches.iter().any(|path: &PathBuf| path.exists());
    if kind == CifarKind::Cifar100 || (!has_batches && single.exists()) { vec![single] } else { batches }
}

fn read_records(kind: CifarKind, paths: &[PathBuf], max_bytes: u64) -> Result<(Vec<u8>, Vec<u32>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        let bytes = read_file(kind, path, max_bytes.saturating_sub(pixels.len() as u64))?;
        let limits = kind.label_limits();
        pixels.reserve_exact(bytes.len() / kind.record() * IMAGE);
        for (number, record) in bytes.chunks_exact(kind.record()).enumerate() {
            let (record_labels, image) = record.split_at(limits.len());
            for (at, (&label, &limit)) in record_labels.iter().zip(limits).enumerate() {
                if label >= limit {
                    let message = format!(
                        "byte {}: expected a label below {limit}, found {label}; is this {} data?",
                        number * kind.record() + at,
                        kind.other().name()
                    );
                    return Err(Error::file(path, message));
                }
            }
            labels.extend(record_labels.last().map(|&label| u32::from(label)));
            pixels.extend_from_slice(image);
        }
    }
    Ok((pixels, labels))
}

/// A file's bytes, a whole number of records.
fn read_file(kind: CifarKind, path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let record = kind.record() as u64;
    let (reader, length) = read::open(path, &format!("{} records of {record} bytes", kind.name()))?;
    read::within(path, length, max_bytes)?;
    let mut bytes = Vec::with_capacity(length as usize);
    reader
        .take(length)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::file(path, format!("can't be read past byte {}: {e}", bytes.len())))?;
    let found = bytes.len() as u64;
    if !found.is_multiple_of(record) {
        let hint = if found.is_multiple_of(kind.other().record() as u64) {
            format!("it looks like {} data", kind.other().name())
        } else {
            "the file is truncated or another format; fetch it again".into()
        };
        let message = format!(
            "expected a whole number of {} records of {record} bytes, found {found} bytes: the last whole record ends at \
             byte {}; {hint}",
            kind.name(),
            found / record * record
        );
        return Err(Error::file(path, message));
    }
    Ok(bytes)
}

fn built_in(kind: CifarKind) -> Vec<String> {
    let names = match kind {
        CifarKind::Cifar10 => "airplane automobile bird cat deer dog frog horse ship truck",
        CifarKind::Cifar100 => FINE_NAMES,
    };
    names.split_whitespace().map(str::to_owned).collect()
}

/// fine_label_names.txt of the authors' archive.
const FINE_NAMES: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus \
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup \
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion \
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear \
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew \
    skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger \
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm";

#[cfg(test)]
#[path = "cifar_tests.rs"]
mod tests;
