//! MNIST and Fashion-MNIST: IDX files, plain or gzip (told apart by content, not by name).
//!
//! An IDX file is big-endian: 0, 0, type (8 = u8), number of dimensions D, then D sizes of u32, then the values.
//! Images have D = 3 (N, H, W), labels D = 1 (N). Source: yann.lecun.com/exdb/mnist.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{Dataset, Split, read};
use crate::{Error, Result};

/// Which of the data sets in this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdxKind {
    /// Handwritten digits.
    Mnist,
    /// Clothing.
    FashionMnist,
}

/// What a directory must hold.
pub(super) const FILES: &[&str] = &[
    "train-images-idx3-ubyte(.gz)",
    "train-labels-idx1-ubyte(.gz)",
    "t10k-images-idx3-ubyte(.gz)",
    "t10k-labels-idx1-ubyte(.gz)",
];

/// (N, H, W) pixels of an images file.
#[derive(Debug, PartialEq, Eq)]
pub struct Images {
    /// N.
    pub count: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// N * H * W bytes.
    pub pixels: Vec<u8>,
}

const CLOTHES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];
const CLASSES: usize = 10;
/// Sides above this are a damaged header, not an image.
const MAX_SIDE: u64 = 4096;

/// Reads (train, test) from `dir`, or from the folder `raw` in it (torchvision's layout). `max_bytes` limits each part's
/// pixels.
///
/// # Errors
/// [`Error::File`] for a file that is missing, truncated, too long, or not what its name says.
pub fn load(kind: IdxKind, dir: &Path, max_bytes: u64) -> Result<(Dataset, Dataset)> {
    let train = load_split(kind, dir, Split::Train, max_bytes)?;
    let test = load_split(kind, dir, Split::Test, max_bytes)?;
    if train.spec() != test.spec() {
        let message =
            format!("training images are {}, test images {}; fetch both again", train.spec(), test.spec());
        return Err(Error::file(dir, message));
    }
    Ok((train, test))
}

/// Whether any of the files is there.
pub(super) fn present(dir: &Path) -> bool {
    ["train-images", "train-labels", "t10k-images", "t10k-labels"]
        .iter()
        .any(|stem| locate(dir, stem).is_some())
}

fn load_split(kind: IdxKind, dir: &Path, split: Split, max_bytes: u64) -> Result<Dataset> {
    let prefix = if split == Split::Train { "train" } else { "t10k" };
    let place = |part: &str| {
        let stem = format!("{prefix}-{part}");
        locate(dir, &stem).unwrap_or_else(|| dir.join(format!("{stem}-idx{}-ubyte.gz", dimensions(&stem))))
    };
    let (image_path, label_path) = (place("images"), place("labels"));
    let images = read_images(&image_path, max_bytes)?;
    let labels = read_labels(&label_path, CLASSES, max_bytes)?;
    if labels.len() != images.count {
        let message = format!(
            "expected {} labels, one for each image of {}, found {}; fetch both again",
            images.count,
            image_path.display(),
            labels.len()
        );
        return Err(Error::file(label_path, message));
    }
    let (name, mean, std) = match kind {
        IdxKind::Mnist => ("mnist", 0.1307, 0.3081),
        IdxKind::FashionMnist => ("fashion-mnist", 0.2860, 0.3530),
    };
    let class_names = match kind {
        IdxKind::Mnist => (0..CLASSES).map(|digit| digit.to_string()).collect(),
        IdxKind::FashionMnist => CLOTHES.map(str::to_owned).to_vec(),
    };
    Ok(Dataset {
        name: name.into(),
        split,
        pixels: images.pixels,
        labels,
        channels: 1,
        height: images.height,
        width: images.width,
        class_names,
        mean: vec![mean],
        std: vec![std],
    })
}

/// Finds `train-images-idx3-ubyte`, `train-images.idx3-ubyte`, `train-images-idx3-ubyte.gz` and so on.
fn locate(dir: &Path, stem: &str) -> Option<PathBuf> {
    let d = dimensions(stem);
    let names =
        ["", ".gz"].into_iter().flat_map(|gz| ["-", "."].map(|dot| format!("{stem}{dot}idx{d}-ubyte{gz}")));
    let names: Vec<String> = names.collect();
    [dir.to_path_buf(), dir.join("raw")]
        .iter()
        .flat_map(|d| names.iter().map(|n| d.join(n)))
        .find(|p| p.exists())
}

fn dimensions(stem: &str) -> usize {
    if stem.ends_with("images") { 3 } else { 1 }
}

/// Reads an images file. No more is allocated than the file really holds.
///
/// # Errors
/// [`Error::File`] with the byte offset at which the file stops making sense.
pub fn read_images(path: &Path, max_bytes: u64) -> Result<Images> {
    let (sizes, pixels) = read_idx(path, 3, max_bytes)?;
    let [count, height, width] = [sizes[0], sizes[1], sizes[2]];
    Ok(Images { count: count as usize, height: height as usize, width: width as usize, pixels })
}

/// Reads a labels file, each label below `classes`.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path, classes: usize, max_bytes: u64) -> Result<Vec<u32>> {
    let (_, labels) = read_idx(path, 1, max_bytes)?;
    if let Some(at) = labels.iter().position(|&label| usize::from(label) >= classes) {
        let message = format!("byte {}: expected a label below {classes}, found {}", 8 + at, labels[at]);
        return Err(Error::file(path, message));
    }
    Ok(labels.into_iter().map(u32::from).collect())
}

/// The sizes and values of an IDX file of u8 with `d` dimensions.
fn read_idx(path: &Path, d: usize, max_bytes: u64) -> Result<(Vec<u64>, Vec<u8>)> {
    let (mut file, length) = read::open(path, "an IDX file")?;
    let start = file.fill_buf().map_err(|e| Error::file(path, format!("can't be read: {e}")))?;
    let gzipped = start.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn Read> =
        if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let unpacked = if gzipped { " (unpacked)" } else { "" };

    let mut header = vec![0; 4 + 4 * d];
    reader.read_exact(&mut header).map_err(|e| {
        Error::file(
            path,
            format!("expected an IDX header of {} bytes, the file ends or breaks in it: {e}", 4 + 4 * d),
        )
    })?;
    let magic = [0, 0, 8, d as u8];
    if header[..4] != magic {
        let message = format!(
            "byte 0: expected {magic:?} (IDX, u8, {d} dimensions), found {:?}; is it the right file?",
            &header[..4]
        );
        return Err(Error::file(path, message));
    }
    let sizes: Vec<u64> = header[4..]
        .chunks_exact(4)
        .map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])))
        .collect();
    if sizes.contains(&0) || sizes[1..].iter().any(|&side| side > MAX_SIDE) {
        let message =
            format!("byte 4: sizes {sizes:?} make no sense (expected above 0, sides up to {MAX_SIDE})");
        return Err(Error::file(path, message));
    }
    // At most 2^32 * 2^12 * 2^12: no overflow.
    let expected: u64 = sizes.iter().product();
    read::within(path, expected, max_bytes)?;
    let total = expected + header.len() as u64;
    if !gzipped && length != total {
        let what = if length < total { "truncated" } else { "too long" };
        let message = format!("{what}: sizes {sizes:?} need {total} bytes, found {length}; fetch it again");
        return Err(Error::file(path, message));
    }
    let mut values = Vec::new();
    let outcome = reader.take(expected + 1).read_to_end(&mut values);
    let offset = header.len() + values.len();
    if let Err(e) = outcome {
        return Err(Error::file(
            path,
            format!("breaks at byte {offset}{unpacked} of {total}: {e}; fetch it again"),
        ));
    }
    if values.len() as u64 != expected {
        let what = if (values.len() as u64) < expected { "truncated" } else { "too long" };
        let message = format!(
            "{what}: sizes {sizes:?} need {total} bytes{unpacked}, found {}{offset}; fetch it again",
            if what == "too long" { "at least " } else { "" }
        );
        return Err(Error::file(path, message));
    }
    Ok((sizes, values))
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
