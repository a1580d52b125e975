//! A folder of images: `root/<class>/*.png|jpg|jpeg`, or `root/train/<class>/...` with `root/test/<class>/...` (also
//! `val`, `valid`, `validation`). Classes are the folder names, sorted. Without a test folder a part is held out.
//!
//! Names that start with a dot and files that are no images by their ending are passed over; a damaged image is an error.

use std::path::{Path, PathBuf};

use super::{Dataset, ImageSpec, LoadOptions, Split, image_file, read};
use crate::{Error, Result};

const TEST_FOLDERS: [&str; 4] = ["test", "val", "valid", "validation"];
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Reads (train, test) from `root`. The first image decides size and colour where `options` says nothing; the defaults for
/// normalising are those of the training part.
///
/// # Errors
/// [`Error::File`] naming the image that can't be read, or the folder that holds no class or no image.
pub fn load(root: &Path, options: &LoadOptions) -> Result<(Dataset, Dataset)> {
    let train_root = root.join("train");
    if !train_root.is_dir() {
        let classes = class_names(root)?;
        return hold_out(load_split(root, &classes, None, options)?, options);
    }
    let classes = class_names(&train_root)?;
    let train = load_split(&train_root, &classes, None, options)?;
    let Some(test_root) = TEST_FOLDERS.iter().map(|name| root.join(name)).find(|path| path.is_dir()) else {
        return hold_out(train, options);
    };
    for class in class_names(&test_root)? {
        if !classes.contains(&class) {
            let message = format!("class {class:?} has no folder in {}", train_root.display());
            return Err(Error::file(test_root.join(&class), message));
        }
    }
    let mut test = load_split(&test_root, &classes, Some(train.spec()), options)?;
    test.split = Split::Test;
    Ok(normalised(train, test))
}

/// Training and test part of a folder that has no test part of its own.
fn hold_out(mut all: Dataset, options: &LoadOptions) -> Result<(Dataset, Dataset)> {
    // Any that are valid, until the parts are known.
    (all.mean, all.std) = (vec![0.0; all.channels], vec![1.0; all.channels]);
    let (train, test) = all.split_holdout(options.holdout, options.seed)?;
    Ok(normalised(train, test))
}

/// Both parts, normalised by the statistics of the training part.
fn normalised(mut train: Dataset, mut test: Dataset) -> (Dataset, Dataset) {
    (train.mean, train.std) = train.pixel_statistics();
    (test.mean, test.std) = (train.mean.clone(), train.std.clone());
    (train, test)
}

/// The folders directly inside `root`, sorted.
fn class_names(root: &Path) -> Result<Vec<String>> {
    let names: Vec<String> = entries(root)?.into_iter().filter(|name| root.join(name).is_dir()).collect();
    if names.is_empty() {
        let message = "expected one folder of images for each class, found no folder";
        return Err(Error::file(root, message));
    }
    Ok(names)
}

/// Names in a directory that do not start with a dot, sorted.
fn entries(dir: &Path) -> Result<Vec<String>> {
    let bad =
        |e: std::io::Error| Error::file(dir, format!("expected a folder of images, but can't list it: {e}"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(bad)? {
        let name = entry.map_err(bad)?.file_name();
        let Some(text) = name.to_str() else {
            return Err(Error::file(dir.join(&name), "expected a name in UTF-8; rename it"));
        };
        if !text.starts_with('.') {
            names.push(text.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The image files of each class with their labels. `must_have` refuses a class without one.
fn list(root: &Path, classes: &[String], must_have: bool) -> Result<Vec<(PathBuf, u32)>> {
    let mut files = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let dir = root.join(class);
        let before = files.len();
        if must_have || dir.is_dir() {
            for name in entries(&dir)? {
                let path = dir.join(&name);
                let ending =
                    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
                if ENDINGS.contains(&ending.as_str()) {
                    files.push((path, label as u32));
                }
            }
        }
        if must_have && files.len() == before {
            return Err(Error::file(dir, "expected at least one .png, .jpg or .jpeg image, found none"));
        }
    }
    if files.is_empty() {
        return Err(Error::file(
            root,
            "expected .png, .jpg or .jpeg images in the class folders, found none",
        ));
    }
    Ok(files)
}

/// Reads one part. `like` is the layout to match; without it, that of the options and the first image.
fn load_split(
    root: &Path,
    classes: &[String],
    like: Option<ImageSpec>,
    options: &LoadOptions,
) -> Result<Dataset> {
    let files = list(root, classes, like.is_none())?;
    let spec = match like {
        Some(spec) => spec,
        None => {
            let native = image_file::native_spec(&files[0].0)?;
            let (height, width) = options.image_size.unwrap_or((native.height, native.width));
            ImageSpec { channels: options.channels.unwrap_or(native.channels), height, width }
        }
    };
    image_file::check(spec)?;
    let bytes = files.len() as u64 * spec.bytes() as u64;
    read::within(root, bytes, options.max_bytes)?;
    Ok(Dataset {
        name: "folder".into(),
        split: Split::Train,
        pixels: decode_all(&files, spec)?,
        labels: files.iter().map(|(_, label)| *label).collect(),
        channels: spec.channels,
        height: spec.height,
        width: spec.width,
        class_names: classes.to_vec(),
        mean: Vec::new(),
        std: Vec::new(),
    })
}

/// Decodes on every core; the result does not depend on how many there are. The first damaged file in order is the error.
fn decode_all(files: &[(PathBuf, u32)], spec: ImageSpec) -> Result<Vec<u8>> {
    let bytes = spec.bytes();
    let mut pixels = vec![0; files.len() * bytes];
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    let share = files.len().div_ceil(workers).max(1);
    let decode = |files: &[(PathBuf, u32)], pixels: &mut [u8]| -> Result<()> {
        for ((path, _), image) in files.iter().zip(pixels.chunks_exact_mut(bytes)) {
            image.copy_from_slice(&image_file::load(path, spec)?);
        }
        Ok(())
    };
    if files.len() < 64 {
        decode(files, &mut pixels)?;
        return Ok(pixels);
    }
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let decode = &decode;
        let workers: Vec<_> = files
            .chunks(share)
            .zip(pixels.chunks_mut(share * bytes))
            .map(|(files, pixels)| scope.spawn(move || decode(files, pixels)))
            .collect();
        workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    outcomes.into_iter().collect::<Result<()>>()?;
    Ok(pixels)
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
