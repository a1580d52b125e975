//! Which format a folder or file is of.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::folders::Folders;
use super::parts::Read;
use super::traps::Traps;
use super::{coco, voc, yolo};
use crate::{Error, Result, files};

/// A description has at most so many bytes; of a folder with more files of its ending no more are looked into.
const MAX_BYTES: u64 = 4 << 20;
const MOST_FILES: usize = 64;

/// What a path is.
#[derive(Debug, PartialEq)]
enum Layout {
    Voc(PathBuf),
    DataYaml(PathBuf),
    DataFile(PathBuf),
    Coco(coco::Files),
    Folders(PathBuf),
}

/// Reads a data set of any format. `names` are the classes of one that has no list of its own.
///
/// # Errors
/// [`Error::File`] for what is of no format, and those of the readers.
pub(super) fn read(path: &Path, names: Option<&[String]>, traps: &mut Traps) -> Result<Read> {
    match layout(path)? {
        Layout::Voc(root) => voc::read(&root, names, traps),
        Layout::DataYaml(file) => yolo::read_yaml(&file, traps),
        Layout::DataFile(file) => yolo::read_data_file(&file, traps),
        Layout::Coco(files) => coco::read(&files, traps),
        Layout::Folders(root) => yolo::read_folder(&root, names, traps),
    }
}

/// Whether a folder or file is one that [`read`] knows; reads nothing whole.
pub(in crate::data) fn is_there(path: &Path) -> bool {
    path.exists() && layout(path).is_ok()
}

fn layout(path: &Path) -> Result<Layout> {
    const EXPECTED: &str = "expected a folder of Pascal VOC (Annotations, JPEGImages), YOLO (data.yaml, obj.data, or images and \
                            labels) or COCO (annotations/instances_*.json), or one of these files";
    if path.is_dir() {
        if let Some(found) = folder(path)? {
            return Ok(found);
        }
        // An archive often unpacks to a folder with all in it.
        let mut inside = Vec::new();
        for dir in folders_in(path) {
            inside.extend(folder(&dir)?);
        }
        return match (inside.len(), inside.pop()) {
            (1, Some(found)) => Ok(found),
            (0, _) | (_, None) => Err(Error::file(path, format!("{EXPECTED}; found none of these in it"))),
            (n, _) => Err(Error::file(path, format!("{n} folders in it hold data sets; name one of them"))),
        };
    }
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !path.exists() {
        return Err(Error::file(path, format!("{EXPECTED}, found nothing; check the path")));
    }
    match ending.as_str() {
        "yaml" | "yml" => Ok(Layout::DataYaml(path.to_path_buf())),
        "data" => Ok(Layout::DataFile(path.to_path_buf())),
        "json" => Ok(Layout::Coco(coco::files_of(path))),
        _ => Err(Error::file(path, format!("{EXPECTED}; this is none of them by its ending"))),
    }
}

fn folder(dir: &Path) -> Result<Option<Layout>> {
    let mut folders = Folders::default();
    if voc::labels_in(dir).is_some() {
        return Ok(Some(Layout::Voc(dir.to_path_buf())));
    }
    let mut yaml = folders.ending(dir, "yaml");
    yaml.extend(folders.ending(dir, "yml"));
    if let Some(path) = only(dir, described(yaml, &["train:", "names:"]), "descriptions of a data set")? {
        return Ok(Some(Layout::DataYaml(path)));
    }
    let mut data = folders.ending(dir, "data");
    data.extend(folders.ending(&dir.join("data"), "data"));
    if let Some(path) = only(dir, described(data, &["train", "names"]), "descriptions of a data set")? {
        return Ok(Some(Layout::DataFile(path)));
    }
    if let Some(files) = coco::files_in(dir)? {
        return Ok(Some(Layout::Coco(files)));
    }
    Ok(yolo::is_plain(dir).then(|| Layout::Folders(dir.to_path_buf())))
}

/// The files that describe a data set.
fn described(candidates: Vec<PathBuf>, words: &[&str]) -> Vec<PathBuf> {
    candidates.into_iter().take(MOST_FILES).filter(|path| describes(path, words)).collect()
}

fn only(dir: &Path, mut found: Vec<PathBuf>, what: &str) -> Result<Option<PathBuf>> {
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|path| super::text::relative(dir, path)).collect();
        let message = format!("there are {} {what}: {}; name the one to read", names.len(), names.join(", "));
        return Err(Error::file(dir, message));
    }
    Ok(found.pop())
}

/// Whether lines of a small file begin with all of these words. No more than the limit is read, whatever the file is.
fn describes(path: &Path, words: &[&str]) -> bool {
    let Ok((file, length)) = files::open_as(path, "a description") else { return false };
    let mut bytes = Vec::new();
    if length > MAX_BYTES || file.take(MAX_BYTES).read_to_end(&mut bytes).is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    words.iter().all(|word| text.lines().any(|line| line.trim_start().starts_with(word)))
}

fn folders_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found.truncate(64);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::Scratch;

    #[test]
    fn no_more_is_read_than_a_description_has() {
        let dir = Scratch::new();
        let words = ["train:", "names:"];
        let text = "\u{feff}train: x\n  names: [a]\n";
        assert!(describes(&dir.write("a.yaml", text), &words));
        assert!(!describes(&dir.write("b.yaml", "train: x\n"), &words));
        let long = dir.write("c.yaml", text);
        std::fs::File::options().write(true).open(&long).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(!describes(&long, &words));
        let many: Vec<PathBuf> = (0..100).map(|k| dir.write(&format!("m/{k}.yaml"), text)).collect();
        assert_eq!(described(many, &words).len(), MOST_FILES);
        // A device has no end.
        #[cfg(unix)]
        assert!(!describes(Path::new("/dev/zero"), &words));
    }
}
