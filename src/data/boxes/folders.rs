//! Finding files that lists name: folders are listed once, and names may differ in capital letters.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::label::relative;
use super::traps::{Trap, Traps};
use crate::{Error, Result};

/// Endings of images that are read.
const READ: [&str; 5] = ["jpg", "jpeg", "png", "jpe", "jfif"];
/// Endings of images that are not.
const NOT_READ: [&str; 11] =
    ["bmp", "gif", "webp", "tif", "tiff", "heic", "heif", "avif", "ppm", "pgm", "jp2"];
/// How deep folders may lie in each other.
const DEEPEST: usize = 16;

/// Whether a file is an image by its ending: `Some(false)` for a format that is not read.
pub(super) fn image_kind(path: &Path) -> Option<bool> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match READ.contains(&ending.as_str()) {
        true => Some(true),
        false => NOT_READ.contains(&ending.as_str()).then_some(false),
    }
}

/// Folders that were listed.
#[derive(Debug, Default)]
pub(super) struct Folders {
    listed: HashMap<PathBuf, Listing>,
}

#[derive(Debug, Default)]
struct Listing {
    /// Names of files by themselves in small letters.
    files: HashMap<String, Vec<PathBuf>>,
}

impl Folders {
    fn listing(&mut self, dir: &Path) -> &Listing {
        self.listed.entry(dir.to_path_buf()).or_insert_with(|| {
            let mut listing = Listing::default();
            let entries = std::fs::read_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
            for name in entries.into_iter().flatten().flatten().map(|entry| entry.file_name()) {
                let key = name.to_string_lossy().to_lowercase();
                listing.files.entry(key).or_default().push(PathBuf::from(name));
            }
            listing
        })
    }

    /// The file at `path`, or one whose name differs in capital letters only: `true` then.
    pub(super) fn find(&mut self, path: &Path) -> Option<(PathBuf, bool)> {
        let (dir, name) = (path.parent()?, path.file_name()?);
        let names = self.listing(dir).files.get(&name.to_string_lossy().to_lowercase())?;
        if names.iter().any(|found| found.as_os_str() == name) {
            return Some((path.to_path_buf(), false));
        }
        names.first().map(|found| (dir.join(found), true))
    }

    /// The image of a folder whose name without its ending is `stem`, or differs from it in capital letters: `true` then.
    pub(super) fn image(&mut self, dir: &Path, stem: &str) -> Option<(PathBuf, bool)> {
        let (path, _) = READ.iter().find_map(|ending| self.find(&dir.join(format!("{stem}.{ending}"))))?;
        let other_case = path.file_stem().is_some_and(|found| found != stem);
        Some((path, other_case))
    }

    /// An image of that name in a format that is not read.
    pub(super) fn other_image(&mut self, dir: &Path, stem: &str) -> Option<PathBuf> {
        NOT_READ
            .iter()
            .find_map(|ending| self.find(&dir.join(format!("{stem}.{ending}"))))
            .map(|(path, _)| path)
    }

    /// All files of a folder with this ending, sorted.
    pub(super) fn ending(&mut self, dir: &Path, ending: &str) -> Vec<PathBuf> {
        let has = |path: &&PathBuf| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        let mut found: Vec<PathBuf> =
            self.listing(dir).files.values().flatten().filter(has).map(|name| dir.join(name)).collect();
        found.retain(|path| !hidden(path));
        found.sort();
        found
    }
}

/// The images in a folder and those below it, sorted by path. Images of other formats are counted.
///
/// # Errors
/// [`Error::File`] for a folder that can't be listed.
pub(super) fn images_below(root: &Path, dir: &Path, traps: &mut Traps) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(dir, DEEPEST, &mut HashSet::new(), &mut |path| match image_kind(&path) {
        Some(true) => found.push(path),
        Some(false) => traps.add(Trap::OtherFormat, || relative(root, &path)),
        None => {}
    })?;
    found.sort();
    Ok(found)
}

fn walk(dir: &Path, deeper: usize, seen: &mut HashSet<PathBuf>, file: &mut dyn FnMut(PathBuf)) -> Result<()> {
    let bad =
        |e: std::io::Error| Error::file(dir, format!("expected a folder of images, but can't list it: {e}"));
    // A link back to a folder above would never end.
    if !seen.insert(dir.canonicalize().map_err(bad)?) || deeper == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir).map_err(bad)? {
        let path = entry.map_err(bad)?.path();
        if hidden(&path) {
            continue;
        }
        if path.is_dir() {
            walk(&path, deeper - 1, seen, file)?;
        } else {
            file(path);
        }
    }
    Ok(())
}

/// Whether a name begins with a dot, or is what a Mac leaves in archives.
fn hidden(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.') || name == "__MACOSX")
}

/// The path with the last folder called `from` called `to`; `None` where there is none.
pub(super) fn with_folder(path: &Path, from: &str, to: &str) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = path.components().collect();
    let folders = parts.len().saturating_sub(1);
    let at = parts[..folders].iter().rposition(|part| part.as_os_str() == from)?;
    Some(
        parts
            .iter()
            .enumerate()
            .map(|(k, part)| if k == at { OsStr::new(to) } else { part.as_os_str() })
            .collect(),
    )
}

/// Looks for a path that a file of the data set names: under each of `bases`, as it stands and without its first folders,
/// which are those of another machine: `true` then.
pub(super) fn resolve(
    bases: &[PathBuf],
    text: &str,
    exists: &mut dyn FnMut(&Path) -> Option<PathBuf>,
) -> Option<(PathBuf, bool)> {
    let text = if cfg!(windows) { text.to_string() } else { text.replace('\\', "/") };
    let path = Path::new(&text);
    if path.is_absolute()
        && let Some(found) = exists(path)
    {
        return Some((found, false));
    }
    let plain: Vec<Component<'_>> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .collect();
    let rooted = path.is_absolute();
    for skip in 0..plain.len() {
        let rest: PathBuf = plain[skip..].iter().collect();
        for base in bases {
            if let Some(found) = exists(&base.join(&rest)) {
                return Some((found, skip > 0 || rooted));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::Scratch;

    #[test]
    fn names_are_found_whatever_their_capitals() {
        let dir = Scratch::new();
        dir.write("a/Dog.JPG", b"x");
        dir.write("a/cat.png", b"x");
        let mut folders = Folders::default();
        let a = dir.file("a");
        assert_eq!(folders.find(&a.join("Dog.JPG")), Some((a.join("Dog.JPG"), false)));
        assert_eq!(folders.find(&a.join("dog.jpg")), Some((a.join("Dog.JPG"), true)));
        assert_eq!(folders.image(&a, "dog"), Some((a.join("Dog.JPG"), true)));
        assert_eq!(folders.find(&a.join("bird.jpg")), None);
        assert_eq!(folders.find(&dir.file("none/bird.jpg")), None);
        assert_eq!(folders.ending(&a, "PNG"), [a.join("cat.png")]);
    }

    #[test]
    fn folders_below_are_searched_once() {
        let dir = Scratch::new();
        for name in ["b/2.png", "b/c/1.jpg", "b/c/.hidden.jpg", "b/x.webp", "b/readme.txt"] {
            dir.write(name, b"x");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.file("b"), dir.file("b/c/loop")).unwrap();
        let mut traps = Traps::default();
        let found = images_below(dir.path(), &dir.file("b"), &mut traps).unwrap();
        assert_eq!(found, [dir.file("b/2.png"), dir.file("b/c/1.jpg")]);
        assert_eq!(traps.places(Trap::OtherFormat), ["b/x.webp"]);
        assert!(images_below(dir.path(), &dir.file("none"), &mut traps).is_err());
    }

    #[test]
    fn folders_are_exchanged_by_name() {
        let with = |path: &str| with_folder(Path::new(path), "images", "labels");
        assert_eq!(with("/x/images/train/images/a.jpg"), Some("/x/images/train/labels/a.jpg".into()));
        assert_eq!(with("x/myimages/images"), None);
    }

    #[test]
    fn paths_of_another_machine_are_found_by_their_end() {
        let dir = Scratch::new();
        let there = dir.write("obj/a.jpg", b"x");
        let bases = [dir.file("elsewhere"), dir.path().to_path_buf()];
        let mut exists = |path: &Path| path.exists().then(|| path.to_path_buf());
        for text in ["/content/data/obj/a.jpg", "C:\\data\\obj\\a.jpg", "../data/obj/a.jpg"] {
            assert_eq!(resolve(&bases, text, &mut exists), Some((there.clone(), true)), "{text}");
        }
        assert_eq!(resolve(&bases, "obj/a.jpg", &mut exists), Some((there.clone(), false)));
        assert_eq!(resolve(&bases, there.to_str().unwrap(), &mut exists), Some((there, false)));
        assert_eq!(resolve(&bases, "b.jpg", &mut exists), None);
    }
}
