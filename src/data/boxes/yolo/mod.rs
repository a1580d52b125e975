//! YOLO: an image has a text file of lines `class x y width height`, centre and sides in shares of the image.
//!
//! The label file of an image is looked for where ultralytics has it (the path's last folder `images` called `labels`), where
//! darknet has it (`JPEGImages` called `labels`), and beside the image. An image without one shows no object.

mod data_file;
mod data_yaml;
mod label_file;
mod plain;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::folders::{Folders, image_kind, images_below, is_rooted, moved, resolve, with_folder};
use super::label::Listed;
use super::names;
use super::parts::{Format, Parts, Read};
use super::text::{relative, short, small_text};
use super::traps::{Trap, Traps};
use crate::platform::parallel::{Cost, in_parallel};
use crate::{Error, Result};

pub(super) use plain::is_plain;

/// A list of images has at most so many bytes.
const MAX_LIST: u64 = 512 << 20;

/// What a description says: where the parts are, and the names of the classes.
struct Spec {
    format: Format,
    /// The data set's folder.
    root: PathBuf,
    /// Where paths are looked for, in this order.
    bases: Vec<PathBuf>,
    /// Folders, images and lists of images: of training, validation and test.
    parts: [Vec<String>; 3],
    classes: Vec<String>,
}

/// Reads what a `data.yaml` describes.
///
/// # Errors
/// [`Error::File`] for a description that can't be read, and for parts that are not there.
pub(super) fn read_yaml(path: &Path, traps: &mut Traps) -> Result<Read> {
    let spec = data_yaml::read(path, traps)?;
    read(path, spec, traps)
}

/// Reads what darknet's `obj.data` describes.
///
/// # Errors
/// As [`read_yaml`].
pub(super) fn read_data_file(path: &Path, traps: &mut Traps) -> Result<Read> {
    let spec = data_file::read(path, traps)?;
    read(path, spec, traps)
}

/// Reads a folder of images with their label files. Classes are `names`, those of a list in the folder, or numbers.
///
/// # Errors
/// [`Error::File`] for a folder without images, and for several lists of names.
pub(super) fn read_folder(root: &Path, class_names: Option<&[String]>, traps: &mut Traps) -> Result<Read> {
    let mut reader = Reader { root, folders: Folders::default(), lists: HashSet::new() };
    let parts = plain::images(root, traps)?;
    let mut listed = parts.map(|images| reader.listed(&images, traps));
    reader.orphans(listed.iter().flatten(), traps);
    let classes = plain::classes(root, class_names, &mut listed, traps)?;
    let [train, validation, test] = listed.map(|part| (!part.is_empty()).then_some(part));
    let mut parts = Parts { train, validation, test };
    // Nothing but a folder's name says which part images are of: a set in one part is to be divided.
    match (&parts.train, &parts.validation, &parts.test) {
        (None, Some(_), None) => parts.train = parts.validation.take(),
        (None, None, Some(_)) => parts.train = parts.test.take(),
        _ => {}
    }
    Ok(Read { format: Format::Folders, root: root.to_path_buf(), classes, parts })
}

fn read(description: &Path, spec: Spec, traps: &mut Traps) -> Result<Read> {
    let mut reader = Reader { root: &spec.root, folders: Folders::default(), lists: HashSet::new() };
    let mut listed = Vec::new();
    for (entries, part) in spec.parts.iter().zip(["train", "val", "test"]) {
        let mut images = Vec::new();
        for entry in entries {
            images.extend(reader.entry(description, part, entry, &spec.bases, traps)?);
        }
        let images = reader.once(images, traps);
        listed.push((!entries.is_empty()).then(|| reader.listed(&images, traps)));
    }
    reader.orphans(listed.iter().flatten().flatten(), traps);
    let mut listed = listed.into_iter();
    let mut next = || listed.next().flatten();
    let parts = Parts { train: next(), validation: next(), test: next() };
    Ok(Read { format: spec.format, root: spec.root, classes: spec.classes, parts })
}

struct Reader<'a> {
    root: &'a Path,
    folders: Folders,
    /// Files that are lists of images, and no labels.
    lists: HashSet<PathBuf>,
}

impl Reader<'_> {
    /// The images of a folder, or of a list.
    fn entry(
        &mut self,
        description: &Path,
        part: &str,
        entry: &str,
        bases: &[PathBuf],
        traps: &mut Traps,
    ) -> Result<Vec<PathBuf>> {
        let mut exists = |path: &Path| path.exists().then(|| path.to_path_buf());
        let bad = |why: String| Error::file(description, format!("{part}: \"{}\": {why}", short(entry)));
        let Some((path, is_moved)) = resolve(bases, entry, &mut exists).map_err(bad)? else {
            let looked: Vec<String> = bases.iter().map(|base| base.display().to_string()).collect();
            let message = format!(
                "{part}: found no \"{}\"; looked in {}; correct the path",
                short(entry),
                looked.join(", ")
            );
            return Err(Error::file(description, message));
        };
        if is_moved {
            traps.add(Trap::OtherPlace, || format!("{part}: {} (at {})", short(entry), path.display()));
        }
        if path.is_dir() {
            return images_below(self.root, &path, traps);
        }
        if image_kind(&path).is_some() {
            return Ok(vec![path]);
        }
        self.list(&path, bases, traps)
    }

    /// The images that a list names, one a line.
    fn list(&mut self, path: &Path, bases: &[PathBuf], traps: &mut Traps) -> Result<Vec<PathBuf>> {
        let place = relative(self.root, path);
        let text = small_text(path, "a list of images", MAX_LIST, &place, traps)?;
        self.lists.insert(path.to_path_buf());
        let beside = path.parent().map(Path::to_path_buf);
        let bases: Vec<PathBuf> = beside.into_iter().chain(bases.iter().cloned()).collect();
        let mut images = Vec::new();
        // Where paths of another machine begin, and what stands there here: the same for most of a list.
        let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (k, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let at = || format!("{place}:{} ({})", k + 1, short(line));
            if image_kind(Path::new(line)) == Some(false) {
                traps.add(Trap::OtherFormat, at);
                continue;
            }
            let folders = &mut self.folders;
            let mut other_case = false;
            let mut exists = |path: &Path| {
                let (found, other) = folders.find(path)?;
                other_case = other;
                Some(found)
            };
            match resolve(&bases, line, &mut exists) {
                Err(why) => traps.add(Trap::Missing, || format!("{}: {why}", at())),
                Ok(None) => traps.add(Trap::Missing, at),
                Ok(Some((image, is_moved))) => {
                    if other_case {
                        traps.add(Trap::NameCase, at);
                    }
                    if is_moved && is_rooted(line) {
                        *places.entry(moved(line, &image)).or_default() += 1;
                    }
                    images.push(image);
                }
            }
        }
        for ((from, to), count) in places {
            traps.add_many(Trap::OtherPlace, count, || format!("{place}: {count} of {from} (at {to})"));
        }
        Ok(images)
    }

    /// Without those that are there already.
    fn once(&self, images: Vec<PathBuf>, traps: &mut Traps) -> Vec<PathBuf> {
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(images.len());
        for image in images {
            if seen.insert(image.clone()) {
                kept.push(image);
            } else {
                traps.add(Trap::ListedTwice, || relative(self.root, &image));
            }
        }
        kept
    }

    /// Images with what their label files say.
    fn listed(&mut self, images: &[PathBuf], traps: &mut Traps) -> Vec<Listed> {
        let mut files = Vec::with_capacity(images.len());
        for image in images {
            let labels = self.labels_of(image, traps);
            if labels.is_none() {
                traps.add(Trap::NoLabels, || relative(self.root, image));
            }
            files.push((image, labels));
        }
        let root = self.root;
        let read = in_parallel(Cost::Small, &files, |(_, labels)| {
            let mut traps = Traps::default();
            let boxes = labels.as_ref().map(|path| label_file::read(root, path, &mut traps));
            (boxes.unwrap_or_default(), traps)
        });
        let mut listed = Vec::with_capacity(files.len());
        for ((image, labels), (boxes, found)) in files.into_iter().zip(read) {
            traps.extend(found);
            let labels = labels.map(|path| path.as_path().into());
            listed.push(Listed { image: image.clone(), labels, size: None, boxes });
        }
        listed
    }

    fn labels_of(&mut self, image: &Path, traps: &mut Traps) -> Option<PathBuf> {
        let text = image.with_extension("txt");
        let places = [
            with_folder(&text, "images", "labels"),
            with_folder(&text, "JPEGImages", "labels"),
            Some(text.clone()),
        ];
        let (found, other_case) = places.into_iter().flatten().find_map(|path| self.folders.find(&path))?;
        if other_case {
            traps.add(Trap::NameCase, || relative(self.root, &found));
        }
        Some(found)
    }

    /// Counts label files, in the folders that some are used of, whose image is not there, or in no list.
    fn orphans<'l>(&mut self, listed: impl Iterator<Item = &'l Listed>, traps: &mut Traps) {
        let used: BTreeSet<&Path> = listed.filter_map(|listed| listed.labels.as_deref()).collect();
        let dirs: BTreeSet<&Path> = used.iter().filter_map(|path| path.parent()).collect();
        for dir in dirs {
            for path in self.folders.ending(dir, "txt") {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                if used.contains(path.as_path()) || self.lists.contains(&path) || plain::is_no_label(&stem) {
                    continue;
                }
                let places = [
                    with_folder(&path, "labels", "images"),
                    with_folder(&path, "labels", "JPEGImages"),
                    Some(path.clone()),
                ];
                let dirs: Vec<PathBuf> = places
                    .into_iter()
                    .flatten()
                    .filter_map(|path| Some(path.parent()?.to_path_buf()))
                    .collect();
                let image = dirs.iter().any(|dir| self.folders.image(dir, &stem).is_some());
                let other = dirs.iter().any(|dir| self.folders.other_image(dir, &stem).is_some());
                match (image, other) {
                    (true, _) => traps.add(Trap::Unlisted, || relative(self.root, &path)),
                    // The image was counted already.
                    (_, true) => {}
                    _ => traps.add(Trap::LabelsAlone, || relative(self.root, &path)),
                }
            }
        }
    }
}
