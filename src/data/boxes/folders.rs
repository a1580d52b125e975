//! Finding files that lists name: folders are listed once, and names may differ in capital letters.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::text::relative;
use super::traps::{Trap, Traps};
use crate::{Error, Result};

/// Endings of images that are read.
const READ: [&str; 5] = ["jpg", "jpeg", "png", "jpe", "jfif"];
/// Endings of images that are not.
const NOT_READ: [&str; 11] =
    ["bmp", "gif", "webp", "tif", "tiff", "heic", "heif", "avif", "ppm", "pgm", "jp2"];
/// How deep folders may lie in each other.
const DEEPEST: usize = 16;
/// A path that a list names has at most so many bytes, and so many folders.
const LONGEST: usize = 4096;
const MOST_PARTS: usize = 32;

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
///
/// # Errors
/// What is wrong with a path that is too long to look for: every folder of it is tried under every base.
pub(super) fn resolve(
    bases: &[PathBuf],
    text: &str,
    exists: &mut dyn FnMut(&Path) -> Option<PathBuf>,
) -> Result<Option<(PathBuf, bool)>, String> {
    if text.len() > LONGEST {
        return Err(format!("a path of {} bytes, and at most {LONGEST} are read", text.len()));
    }
    let text = if cfg!(windows) { text.to_string() } else { text.replace('\\', "/") };
    let path = Path::new(&text);
    if path.is_absolute()
        && let Some(found) = exists(path)
    {
        return Ok(Some((found, false)));
    }
    let plain: Vec<Component<'_>> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .collect();
    if plain.len() > MOST_PARTS {
        return Err(format!("a path of {} folders, and at most {MOST_PARTS} are read", plain.len()));
    }
    let rooted = path.is_absolute();
    for skip in 0..plain.len() {
        let rest: PathBuf = plain[skip..].iter().collect();
        for base in bases {
            if let Some(found) = exists(&base.join(&rest)) {
                return Ok(Some((found, skip > 0 || rooted)));
            }
        }
    }
    Ok(None)
}

/// Whether a path is from the root of a machine's files, whichever system that has.
pub(super) fn is_rooted(text: &str) -> bool {
    text.starts_with(['/', '\\'])
        || matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

/// The first folders of a path that was found elsewhere, and those of the place it was found at: what both have in common at
/// their end is left out.
pub(super) fn moved(text: &str, found: &Path) -> (String, String) {
    let text = text.replace('\\', "/");
    let shown = found.to_string_lossy().replace('\\', "/");
    let (from, to): (Vec<&str>, Vec<&str>) = (text.split('/').collect(), shown.split('/').collect());
    let same = from.iter().rev().zip(to.iter().rev()).take_while(|(a, b)| a == b).count();
    let start = |parts: &[&str]| match &parts[..parts.len() - same] {
        [] => ".".to_string(),
        [""] => "/".to_string(),
        parts => parts.join("/"),
    };
    (start(&from), start(&to))
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
            assert_eq!(resolve(&bases, text, &mut exists), Ok(Some((there.clone(), true))), "{text}");
        }
        assert_eq!(resolve(&bases, "obj/a.jpg", &mut exists), Ok(Some((there.clone(), false))));
        assert_eq!(resolve(&bases, there.to_str().unwrap(), &mut exists), Ok(Some((there, false))));
        assert_eq!(resolve(&bases, "b.jpg", &mut exists), Ok(None));
    }

    #[test]
    fn paths_that_are_too_long_are_not_looked_for() {
        let bases = [PathBuf::from("x")];
        let looked = std::cell::Cell::new(0);
        let mut exists = |_: &Path| {
            looked.set(looked.get() + 1);
            None
        };
        let name = |folders: usize| "a/".repeat(folders - 1) + "b.jpg";
        assert!(resolve(&bases, &name(33), &mut exists).unwrap_err().contains("33 folders"));
        assert!(resolve(&bases, &"a".repeat(4097), &mut exists).unwrap_err().contains("4097 bytes"));
        assert!(resolve(&bases, &"./".repeat(1 << 20), &mut exists).is_err());
        assert_eq!(looked.get(), 0);
        assert_eq!(resolve(&bases, &name(32), &mut exists), Ok(None));
        assert_eq!(looked.get(), 32);
    }

    #[test]
    fn paths_from_the_root_are_known_of_every_system() {
        assert!(["/a", "C:\\a", "d:/a", "\\\\server\\a"].into_iter().all(is_rooted));
        assert!(!["a", "./a", "../a", "ab:/c", "", "C", "1:/a"].into_iter().any(is_rooted));
    }

    #[test]
    fn what_moved_is_said_without_what_stayed() {
        for (text, found, from, to) in [
            ("/content/x/images/1.jpg", "/me/set/images/1.jpg", "/content/x", "/me/set"),
            ("C:\\x\\images\\1.jpg", "set/images/1.jpg", "C:/x", "set"),
            ("/images/1.jpg", "images/1.jpg", "/", "."),
            ("/content/1.JPG", "set/1.jpg", "/content/1.JPG", "set/1.jpg"),
        ] {
            assert_eq!(moved(text, Path::new(found)), (from.to_string(), to.to_string()), "{text}");
        }
    }
}
