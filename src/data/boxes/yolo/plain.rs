//! A folder of images and label files that nothing describes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::folders::{Folders, images_below};
use super::super::label::{Listed, RawClass};
use super::super::names;
use super::super::text::relative;
use super::super::traps::{Trap, Traps};
use crate::{Error, Result};

/// Names of text files that are no label files.
const NO_LABELS: [&str; 13] = [
    "classes",
    "names",
    "labels",
    "train",
    "training",
    "trainval",
    "val",
    "valid",
    "validation",
    "test",
    "readme",
    "license",
    "notes",
];
/// The most classes that are called by their number.
const MOST_NUMBERED: usize = 10_000;

/// Whether a text file of this name holds no boxes.
pub(in super::super) fn is_no_label(stem: &str) -> bool {
    let stem = stem.to_lowercase();
    NO_LABELS.contains(&stem.as_str()) || stem.starts_with("readme") || stem.contains("classes")
}

/// Whether a folder looks like one: images with label files.
pub(in super::super) fn is_plain(root: &Path) -> bool {
    if root.join("images").is_dir() && root.join("labels").is_dir() {
        return true;
    }
    if ["train", "valid", "val", "test"].iter().any(|part| root.join(part).join("labels").is_dir()) {
        return true;
    }
    // darknet's way: label files beside images.
    let mut folders = Folders::default();
    folders.ending(root, "txt").iter().any(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        !is_no_label(&stem) && folders.image(root, &stem).is_some()
    })
}

/// The folders of images: `images`, else those of parts, else all, where label files are beside images. What lies beside such
/// folders, such as a picture of the set, is not of the set.
fn folders_of(root: &Path) -> Vec<PathBuf> {
    let inside = root.join("images");
    if inside.is_dir() {
        return vec![inside];
    }
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut parts: Vec<PathBuf> = entries
        .filter(|path| path.is_dir() && path.file_name().is_some_and(|name| part_of(name).is_some()))
        .collect();
    parts.sort();
    if parts.iter().any(|part| part.join("labels").is_dir()) { parts } else { vec![root.to_path_buf()] }
}

/// The part that a folder's name says.
fn part_of(folder: &OsStr) -> Option<usize> {
    let name = folder.to_string_lossy().to_lowercase();
    ["train", "val", "test"].iter().position(|part| name.starts_with(part))
}

/// The images for training, validation and test: by the names of the folders they are in. Those of no such folder are for
/// training.
pub(super) fn images(root: &Path, traps: &mut Traps) -> Result<[Vec<PathBuf>; 3]> {
    let mut all = Vec::new();
    for folder in folders_of(root) {
        all.extend(images_below(root, &folder, traps)?);
    }
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for image in all {
        let folders = image.strip_prefix(root).unwrap_or(&image).parent().unwrap_or(Path::new(""));
        let part = folders.components().find_map(|part| part_of(part.as_os_str()));
        parts[part.unwrap_or(0)].push(image);
    }
    if parts.iter().all(Vec::is_empty) {
        let message = "expected PNG or JPEG images in the folder images, found none";
        return Err(Error::file(root, message));
    }
    Ok(parts)
}

/// The list of names in a folder.
///
/// # Errors
/// [`Error::File`] where there are several.
fn names_in(root: &Path) -> Result<Option<PathBuf>> {
    let mut folders = Folders::default();
    let mut found = Vec::new();
    for dir in [
        root.to_path_buf(),
        root.join("data"),
        root.join("labels"),
        root.join("labels/train"),
        root.join("train/labels"),
    ] {
        found.extend(folders.ending(&dir, "names"));
        found.extend(folders.find(&dir.join("classes.txt")).map(|(path, _)| path));
        if !found.is_empty() {
            break;
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => {
            let names: Vec<String> = found.iter().map(|path| relative(root, path)).collect();
            let message =
                format!("expected one list of class names, found {}; remove all but one", names.join(", "));
            Err(Error::file(root, message))
        }
    }
}

/// The names of the classes. Without a list classes are called by their number.
pub(super) fn classes(
    root: &Path,
    given: Option<&[String]>,
    parts: &mut [Vec<Listed>; 3],
    traps: &mut Traps,
) -> Result<Vec<String>> {
    if let Some(given) = given {
        names::distinct(root, given)?;
        return Ok(given.to_vec());
    }
    if let Some(path) = names_in(root)? {
        return names::read(&path, &relative(root, &path), traps);
    }
    let boxes = parts.iter().flatten().flat_map(|listed| &listed.boxes);
    let numbers = boxes.filter_map(|raw| match raw.class {
        RawClass::Number(number) => Some(number),
        RawClass::Name(_) => None,
    });
    let Some(last) = numbers.max() else {
        return Err(Error::file(root, "found neither a list of class names (classes.txt) nor any box"));
    };
    if last >= MOST_NUMBERED {
        let message =
            format!("found the class {last} and no list of class names; add classes.txt, one name a line");
        return Err(Error::file(root, message));
    }
    traps.add(Trap::NoNames, || format!("0 to {last}"));
    Ok((0..=last).map(|number| number.to_string()).collect())
}
