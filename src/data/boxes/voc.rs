//! Pascal VOC: `Annotations/ID.xml`, `JPEGImages/ID.jpg`, and lists of ids in `ImageSets/Main`.
//!
//! Bounds are taken as they stand, corners in pixels from 0, as labelling programs write them; VOC's own files count from 1.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roxmltree::{Document, Node, ParsingOptions};

use super::folders::{Folders, image_kind};
use super::label::{At, Listed, Place, RawBox, RawClass};
use super::names;
use super::parts::{Format, Parts, Read};
use super::text::{number, relative, short, small_text, why};
use super::traps::{Trap, Traps};
use crate::platform::parallel::{Cost, in_parallel};
use crate::{Error, Result};

/// A label file has at most so many bytes, and elements.
const MAX_XML: u64 = 16 << 20;
const MAX_NODES: u32 = 1 << 20;
/// A list of ids has at most so many bytes.
const MAX_LIST: u64 = 256 << 20;

/// The folders that label files and images are in.
const LABELS: [&str; 4] = ["Annotations", "annotations", "annots", "xmls"];
const IMAGES: [&str; 4] = ["JPEGImages", "images", "Images", "img"];

/// The folder of label files, where there is one.
pub(super) fn labels_in(root: &Path) -> Option<PathBuf> {
    let mut folders = Folders::default();
    LABELS.iter().map(|name| root.join(name)).find(|dir| !folders.ending(dir, "xml").is_empty())
}

/// Reads the lists and the label files. Classes are `names`, or those of the labels, sorted.
///
/// # Errors
/// [`Error::File`] for a folder or a list that can't be read, and labels of no class.
pub(super) fn read(root: &Path, class_names: Option<&[String]>, traps: &mut Traps) -> Result<Read> {
    let Some(labels) = labels_in(root) else {
        return Err(Error::file(root, "expected a folder Annotations of .xml files, found none"));
    };
    let images = IMAGES.iter().map(|name| root.join(name)).find(|dir| dir.is_dir());
    let mut reader = Reader {
        root,
        images: images.unwrap_or_else(|| labels.clone()),
        labels,
        folders: Folders::default(),
    };
    let mut lists = Vec::new();
    for name in ["train", "trainval", "val", "test"] {
        let path = root.join("ImageSets/Main").join(format!("{name}.txt"));
        lists.push(if path.is_file() { Some(reader.list(&path, traps)?) } else { None });
    }
    let mut used: HashSet<&Path> = HashSet::new();
    used.extend(lists.iter().flatten().flatten().map(PathBuf::as_path));
    let all = reader.folders.ending(&reader.labels, "xml");
    let listed = !used.is_empty();
    for path in all.iter().filter(|path| listed && !used.contains(path.as_path())) {
        traps.add(Trap::Unlisted, || relative(root, path));
    }
    let mut lists = lists.into_iter();
    let mut next = || lists.next().flatten();
    let (train, trainval, validation, test) = (next(), next(), next(), next());
    // Without a list of its own the training part is all that both share; where only other parts have a list, there is none.
    let train = train.or(trainval).or_else(|| (!listed).then_some(all));
    let mut part =
        |files: Option<Vec<PathBuf>>, traps: &mut Traps| files.map(|files| reader.part(&files, traps));
    let parts =
        Parts { train: part(train, traps), validation: part(validation, traps), test: part(test, traps) };
    let classes = match class_names {
        Some(names) => names.to_vec(),
        None => {
            traps.add(Trap::NamesSorted, || relative(root, &reader.labels));
            sorted_names(&parts)
        }
    };
    names::distinct(&reader.labels, &classes)?;
    Ok(Read { format: Format::Voc, root: root.to_path_buf(), classes, parts })
}

fn sorted_names(parts: &Parts) -> Vec<String> {
    let boxes = parts.all().flat_map(|listed| &listed.boxes);
    let names: BTreeSet<&str> = boxes
        .filter_map(|raw| match &raw.class {
            RawClass::Name(name) => Some(&**name),
            RawClass::Number(_) => None,
        })
        .collect();
    names.into_iter().map(str::to_string).collect()
}

struct Reader<'a> {
    root: &'a Path,
    labels: PathBuf,
    images: PathBuf,
    folders: Folders,
}

impl Reader<'_> {
    /// The label files of a list of ids.
    fn list(&mut self, path: &Path, traps: &mut Traps) -> Result<Vec<PathBuf>> {
        let place = relative(self.root, path);
        let text = small_text(path, "a list of images", MAX_LIST, &place, traps)?;
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for (k, line) in text.lines().enumerate() {
            // A second column says whether a class is there.
            let ids = [Some(line.trim()), line.split_whitespace().next()];
            let Some(id) = ids[0].filter(|id| !id.is_empty()) else { continue };
            let file = |id: &str| self.labels.join(format!("{id}.xml"));
            let hit = ids.into_iter().flatten().map(file).find_map(|path| self.folders.find(&path));
            let at = || format!("{place}:{} ({})", k + 1, short(id));
            match hit {
                None => traps.add(Trap::Missing, at),
                Some((path, _)) if seen.contains(&path) => traps.add(Trap::ListedTwice, at),
                Some((path, other_case)) => {
                    if other_case {
                        traps.add(Trap::NameCase, at);
                    }
                    seen.insert(path.clone());
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    fn part(&mut self, files: &[PathBuf], traps: &mut Traps) -> Vec<Listed> {
        let root = self.root;
        let parsed = in_parallel(Cost::Small, files, |path| {
            let mut traps = Traps::default();
            (read_file(root, path, &mut traps), traps)
        });
        let mut part = Vec::with_capacity(files.len());
        for (path, (xml, found)) in files.iter().zip(parsed) {
            traps.extend(found);
            let Some(xml) = xml else { continue };
            let Some(image) = self.image(path, &xml, traps) else { continue };
            part.push(Listed {
                image,
                labels: Some(path.as_path().into()),
                size: Some(xml.size),
                boxes: xml.boxes,
            });
        }
        part
    }

    /// The image of a label file: the one of its own name, else the one it names.
    fn image(&mut self, labels: &Path, xml: &Xml, traps: &mut Traps) -> Option<PathBuf> {
        let place = || relative(self.root, labels);
        let stem = labels.file_stem()?.to_string_lossy().into_owned();
        let named = xml.filename.as_deref().and_then(|name| name.rsplit(['/', '\\']).next());
        let own = self.folders.image(&self.images, &stem);
        let other = named.map(|name| self.images.join(name)).filter(|path| image_kind(path) == Some(true));
        let found = own.or_else(|| self.folders.find(&other?));
        let Some((image, other_case)) = found else {
            match self.folders.other_image(&self.images, &stem) {
                Some(other) => traps.add(Trap::OtherFormat, || relative(self.root, &other)),
                None => traps.add(Trap::LabelsAlone, place),
            }
            return None;
        };
        if other_case {
            traps.add(Trap::NameCase, || relative(self.root, &image));
        }
        if let Some(named) = named.filter(|named| image.file_name().is_some_and(|name| name != *named)) {
            traps.add(Trap::OtherName, || format!("{} ({})", place(), short(named)));
        }
        if xml.boxes.is_empty() {
            traps.add(Trap::EmptyLabels, place);
        }
        Some(image)
    }
}

/// What a label file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Xml {
    filename: Option<String>,
    /// Width and height; 0 where it says none.
    size: [u32; 2],
    boxes: Vec<RawBox>,
}

fn read_file(root: &Path, path: &Path, traps: &mut Traps) -> Option<Xml> {
    let place = relative(root, path);
    let text = small_text(path, "a label file", MAX_XML, &place, traps).map_err(|e| why(path, &e));
    let parsed = text.and_then(|text| parse(&text, &place, traps));
    parsed.map_err(|why| traps.add(Trap::BadLabel, || format!("{place} ({why})"))).ok()
}

/// Reads the text of a label file. An object that can't be read is counted, and the others are kept.
pub(super) fn parse(text: &str, place: &str, traps: &mut Traps) -> Result<Xml, String> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..Default::default() };
    let document = Document::parse_with_options(text, options).map_err(|e| e.to_string())?;
    let root = document.root_element();
    let filename = child_text(root, "filename").map(str::to_string);
    let side = |name: &str| {
        let size = root.children().find(|node| node.has_tag_name("size"))?;
        // Some programs write 640.0.
        let side = number(child_text(size, name)?).ok()?;
        (side >= 0.0 && side.fract() == 0.0).then_some(side as u32)
    };
    let size = [side("width").unwrap_or(0), side("height").unwrap_or(0)];
    let mut boxes = Vec::new();
    // Objects come in the text's order: every line is counted once.
    let (mut line, mut counted) = (1, 0);
    for node in root.children().filter(|node| node.has_tag_name("object")) {
        let start = node.range().start;
        let passed = text.as_bytes().get(counted..start).unwrap_or_default();
        line += passed.iter().filter(|&&byte| byte == b'\n').count() as u32;
        counted = start;
        match object(node, line) {
            Ok(raw) => boxes.push(raw),
            Err(why) => traps.add(Trap::BadLabel, || format!("{place}:{line} ({why})")),
        }
    }
    Ok(Xml { filename, size, boxes })
}

fn object(node: Node<'_, '_>, line: u32) -> Result<RawBox, String> {
    let name = child_text(node, "name").filter(|name| !name.is_empty()).ok_or("an object without a name")?;
    let bounds =
        node.children().find(|child| child.has_tag_name("bndbox")).ok_or("an object without bndbox")?;
    let edge = |name: &str| {
        let text = child_text(bounds, name).ok_or_else(|| format!("a bndbox without {name}"))?;
        number(text)
    };
    let corners = [edge("xmin")?, edge("ymin")?, edge("xmax")?, edge("ymax")?];
    Ok(RawBox {
        place: Place::Corners(corners),
        class: RawClass::Name(Arc::from(name)),
        at: At::Line(line),
        area: None,
        crowd: false,
        difficult: child_text(node, "difficult").is_some_and(|text| matches!(text, "1" | "true" | "True")),
    })
}

/// The text of a child, without spaces around it.
fn child_text<'n>(node: Node<'n, '_>, name: &str) -> Option<&'n str> {
    node.children().find(|child| child.has_tag_name(name)).map(|child| child.text().unwrap_or("").trim())
}

#[cfg(test)]
#[path = "voc_tests.rs"]
mod tests;
