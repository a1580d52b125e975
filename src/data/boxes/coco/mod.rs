//! COCO: `annotations/instances_*.json` beside folders of images, one file a part; or files as Roboflow writes them,
//! `train/_annotations.coco.json` with the images around it.
//!
//! Ids of classes may have gaps; classes are numbered from 0 in the order of their ids. Boxes are left, top, width and height
//! in pixels. Masks are passed over, but for their area, which is what COCO's small, medium and large go by.

mod file;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use file::{Category, CocoBox, CocoFile, CocoImage, Id, Mask};

use super::folders::{Folders, resolve};
use super::label::{At, Listed, Place, RawBox, RawClass};
use super::names;
use super::parts::{Format, Parts, Read};
use super::text::{folder_of, relative, short};
use super::traps::{Trap, Traps};
use crate::{Error, Result};

/// The files of a data set, for training, validation and test.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Files {
    pub root: PathBuf,
    pub parts: [Option<PathBuf>; 3],
}

/// Of a folder with more JSON files no more are looked into: those of COCO are few.
const MOST_FILES: usize = 256;

/// The parts by words in their names.
const PARTS: [&str; 3] = ["train", "val", "test"];

/// Which part a file is of, by its name or its folder's.
fn part_of(path: &Path) -> Option<usize> {
    let name = path.file_stem()?.to_string_lossy().to_lowercase();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().to_lowercase();
    [name, folder].iter().find_map(|text| PARTS.iter().position(|part| text.contains(part)))
}

/// The folders that files lie in, each once: by the names that they have, as some file systems find one by several.
fn dirs_in(root: &Path) -> Vec<PathBuf> {
    const NAMES: [&str; 5] = ["annotations", "train", "valid", "val", "test"];
    let place = |name: &OsStr| NAMES.iter().position(|known| name.eq_ignore_ascii_case(known));
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut inside: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| Some((place(&entry.file_name())?, entry.path())))
        .filter(|(_, path)| path.is_dir())
        .collect();
    inside.sort();
    let mut seen = HashSet::new();
    let dirs = inside.into_iter().map(|(_, path)| path).chain([root.to_path_buf()]);
    dirs.filter(|dir| seen.insert(dir.canonicalize().unwrap_or(dir.clone()))).collect()
}

/// The JSON files of a folder.
///
/// # Errors
/// [`Error::File`] where two are of one part.
pub(super) fn files_in(root: &Path) -> Result<Option<Files>> {
    let mut folders = Folders::default();
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in dirs_in(root) {
        let files = folders.ending(&dir, "json").into_iter().take(MOST_FILES);
        found.extend(files.filter(|path| file::looks_so(path)));
    }
    // Captions and key points lie beside the boxes.
    let is_main =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("instances"));
    if found.iter().any(is_main) {
        found.retain(is_main);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut files = Files { root: root.to_path_buf(), ..Default::default() };
    for path in found {
        let part = files.parts.get_mut(part_of(&path).unwrap_or(0));
        let Some(part) = part else { continue };
        if let Some(other) = part {
            let message = format!(
                "{} and {} are both for one part; name the file to read instead of the folder",
                relative(root, other),
                relative(root, &path)
            );
            return Err(Error::file(root, message));
        }
        *part = Some(path);
    }
    Ok(Some(files))
}

/// A file that was named, with those of other parts beside it.
pub(super) fn files_of(path: &Path) -> Files {
    let dir = folder_of(path);
    let is_inside = |dir: &Path| dir.file_name().is_some_and(|name| name.eq_ignore_ascii_case("annotations"));
    let root = if is_inside(dir) {
        folder_of(dir).to_path_buf()
    } else if dir == Path::new(".") && dir.canonicalize().is_ok_and(|dir| is_inside(&dir)) {
        PathBuf::from("..")
    } else {
        dir.to_path_buf()
    };
    let mut files = Files { root, ..Default::default() };
    files.parts[0] = Some(path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if part_of(path) == Some(0) && name.contains("train") {
        let beside = |word: &str| Some(dir.join(name.replace("train", word))).filter(|path| path.is_file());
        files.parts[1] = beside("val").or_else(|| beside("valid"));
        files.parts[2] = beside("test").filter(|path| file::looks_so(path));
    }
    files
}

/// Reads the files of all parts. The classes are those of the first.
///
/// # Errors
/// [`Error::File`] for a file that can't be read or lacks a part, for classes without a name of their own, and ids that are
/// there twice.
pub(super) fn read(files: &Files, traps: &mut Traps) -> Result<Read> {
    let mut reader = Reader { root: &files.root, folders: Folders::default() };
    let mut classes: Option<Vec<String>> = None;
    let mut parts = Vec::new();
    for path in &files.parts {
        let Some(path) = path else {
            parts.push(None);
            continue;
        };
        let CocoFile { images, annotations, categories } = file::read(path)?;
        let lacks = |key: &str| {
            Error::file(path, format!("expected the key \"{key}\", found none; is it a file of boxes?"))
        };
        let categories = categories.ok_or_else(|| lacks("categories"))?;
        let named = reader.names(path, categories, classes.is_none().then_some(&mut *traps))?;
        if classes.is_none() {
            classes = Some(named.listed);
        }
        let images = images.ok_or_else(|| lacks("images"))?;
        let annotations = annotations.ok_or_else(|| lacks("annotations"))?;
        parts.push(Some(reader.part(path, images, &annotations, &named.by_id, traps)?));
    }
    let mut parts = parts.into_iter();
    let mut next = || parts.next().flatten();
    let parts = Parts { train: next(), validation: next(), test: next() };
    Ok(Read { format: Format::Coco, root: files.root.clone(), classes: classes.unwrap_or_default(), parts })
}

struct Reader<'a> {
    root: &'a Path,
    folders: Folders,
}

/// Names of classes by id, and in the order of the ids.
struct Names {
    by_id: HashMap<Id, Arc<str>>,
    listed: Vec<String>,
}

impl Reader<'_> {
    fn names(&self, path: &Path, mut categories: Vec<Category>, traps: Option<&mut Traps>) -> Result<Names> {
        categories.sort_by_key(|category| category.id);
        if let Some(pair) = categories.windows(2).find(|pair| pair[0].id == pair[1].id) {
            let message = format!("two categories have the id {}; give each its own", pair[0].id.0);
            return Err(Error::file(path, message));
        }
        let listed: Vec<String> =
            categories.iter().map(|category| category.name.trim().to_string()).collect();
        names::distinct(path, &listed)?;
        let first = categories.first().map_or(0, |category| category.id.0);
        let gaps = categories.iter().zip(first..).any(|(category, id)| category.id.0 != id);
        if let Some(traps) = traps.filter(|_| gaps || first > 1) {
            let last = categories.last().map_or(0, |category| category.id.0);
            traps.add(Trap::IdGaps, || {
                format!("{} ({} classes, ids {first} to {last})", relative(self.root, path), listed.len())
            });
        }
        let pairs = categories.iter().zip(&listed);
        let by_id = pairs.map(|(category, name)| (category.id, Arc::from(name.as_str()))).collect();
        Ok(Names { by_id, listed })
    }

    fn part(
        &mut self,
        path: &Path,
        images: Vec<CocoImage>,
        annotations: &[CocoBox],
        names: &HashMap<Id, Arc<str>>,
        traps: &mut Traps,
    ) -> Result<Vec<Listed>> {
        let place = relative(self.root, path);
        let labels: Arc<Path> = path.into();
        let bases = self.bases(path, &images);
        let mut at: HashMap<Id, Option<usize>> = HashMap::with_capacity(images.len());
        let (mut listed, mut seen): (Vec<Listed>, _) = (Vec::with_capacity(images.len()), HashSet::new());
        for image in images {
            if at.contains_key(&image.id) {
                let message = format!("two images have the id {}; give each its own", image.id.0);
                return Err(Error::file(path, message));
            }
            let Some(file) = self.image(&place, &image, &bases, traps) else {
                at.insert(image.id, None);
                continue;
            };
            if !seen.insert(file.clone()) {
                traps.add(Trap::ListedTwice, || {
                    format!("{place} image {} ({})", image.id.0, short(&image.file_name))
                });
                at.insert(image.id, None);
                continue;
            }
            at.insert(image.id, Some(listed.len()));
            let size = Some([image.width.0, image.height.0]);
            listed.push(Listed { image: file, labels: Some(labels.clone()), size, boxes: Vec::new() });
        }
        for annotation in annotations {
            let spot = || At::Id(annotation.id.0).of(&place);
            match at.get(&annotation.image_id) {
                None => {
                    traps.add(Trap::LabelsAlone, || format!("{} (image {})", spot(), annotation.image_id.0))
                }
                // Its image was counted.
                Some(None) => {}
                Some(Some(index)) => {
                    if let (Some(raw), Some(listed)) =
                        (raw(annotation, names, traps, &spot), listed.get_mut(*index))
                    {
                        listed.boxes.push(raw);
                    }
                }
            }
        }
        for image in listed.iter().filter(|listed| listed.boxes.is_empty()) {
            traps.add(Trap::EmptyLabels, || relative(self.root, &image.image));
        }
        Ok(listed)
    }

    /// Where images are looked for: first where the first of them is.
    fn bases(&mut self, path: &Path, images: &[CocoImage]) -> Vec<PathBuf> {
        let dir = folder_of(path);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let word = stem.rsplit('_').next().unwrap_or_default();
        let mut bases = Vec::new();
        for root in [self.root, dir] {
            let part = part_of(path).and_then(|part| PARTS.get(part)).copied().unwrap_or(word);
            let inside = ["images", word, part, ""].map(|name| root.join(name));
            bases.extend([word, part].map(|name| root.join("images").join(name)));
            bases.extend(inside);
        }
        let has = |folders: &mut Folders, base: &Path| {
            images.iter().take(16).any(|image| folders.find(&base.join(&image.file_name)).is_some())
        };
        if let Some(first) = (0..bases.len()).find(|&k| has(&mut self.folders, &bases[k])) {
            bases[..=first].rotate_right(1);
        }
        bases
    }

    fn image(
        &mut self,
        place: &str,
        image: &CocoImage,
        bases: &[PathBuf],
        traps: &mut Traps,
    ) -> Option<PathBuf> {
        let at = || format!("{place} image {} ({})", image.id.0, short(&image.file_name));
        if super::folders::image_kind(Path::new(&image.file_name)) == Some(false) {
            traps.add(Trap::OtherFormat, at);
            return None;
        }
        let (folders, mut other_case) = (&mut self.folders, false);
        let mut exists = |path: &Path| {
            let (found, other) = folders.find(path)?;
            other_case = other;
            Some(found)
        };
        match resolve(bases, &image.file_name, &mut exists) {
            Err(why) => traps.add(Trap::Missing, || format!("{}: {why}", at())),
            Ok(None) => traps.add(Trap::Missing, at),
            Ok(Some((path, _))) => {
                if other_case {
                    traps.add(Trap::NameCase, at);
                }
                return Some(path);
            }
        }
        None
    }
}

fn raw(
    annotation: &CocoBox,
    names: &HashMap<Id, Arc<str>>,
    traps: &mut Traps,
    spot: &dyn Fn() -> String,
) -> Option<RawBox> {
    if annotation.segmentation == Mask::RunLengths {
        traps.add(Trap::RunLengths, spot);
    }
    let Some([x, y, w, h]) = annotation.bbox.0 else {
        traps.add(Trap::BadLabel, || format!("{} (expected a bbox of 4 numbers)", spot()));
        return None;
    };
    if w < 0.0 || h < 0.0 || [x, y, w, h].iter().any(|value| value.abs() > 1e7) {
        traps.add(Trap::BadLabel, || format!("{} (a bbox of {x}, {y}, {w}, {h})", spot()));
        return None;
    }
    let Some(name) = names.get(&annotation.category_id) else {
        traps.add(Trap::ClassName, || format!("{} (category {})", spot(), annotation.category_id.0));
        return None;
    };
    Some(RawBox {
        place: Place::Pixels([x, y, w, h]),
        class: RawClass::Name(name.clone()),
        at: At::Id(annotation.id.0),
        area: annotation.area.filter(|area| (0.0..1e14).contains(area)),
        crowd: annotation.iscrowd.0,
        difficult: false,
    })
}
