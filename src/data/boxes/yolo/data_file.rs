//! darknet's description of a data set: lines `classes = 3`, `train = ..`, `valid = ..`, `names = ..`.

use std::path::{Path, PathBuf};

use super::super::folders::is_rooted;
use super::super::parts::Format;
use super::super::text::{folder_of, relative, short, small_text};
use super::super::traps::{Trap, Traps};
use super::{Spec, names, resolve};
use crate::{Error, Result};

/// A description has at most so many bytes.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn read(path: &Path, traps: &mut Traps) -> Result<Spec> {
    let place = path.file_name().unwrap_or_default().to_string_lossy();
    let text = small_text(path, "darknet's description of a data set", MAX_BYTES, &place, traps)?;
    // Of a repeated key the first one counts.
    let value = |key: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        let found = pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    };
    let dir = folder_of(path).to_path_buf();
    // Paths are from where darknet is started: the folder of the file, or one above, as for data/obj.data.
    let bases: Vec<PathBuf> = ["", "..", "../.."].iter().map(|up| dir.join(up)).collect();
    let required = |key: &str| {
        value(key).ok_or_else(|| Error::file(path, format!("expected a line `{key} = ..`, found none")))
    };
    let train = required("train")?.to_string();
    let named = required("names")?;
    let mut exists = |path: &Path| path.is_file().then(|| path.to_path_buf());
    let long = |why: String| Error::file(path, format!("names: \"{}\": {why}", short(named)));
    let Some((list, moved)) = resolve(&bases, named, &mut exists).map_err(long)? else {
        let message =
            format!("names: found no \"{}\" in {} or above; correct the path", short(named), dir.display());
        return Err(Error::file(path, message));
    };
    if moved && is_rooted(named) {
        traps.add(Trap::OtherPlace, || format!("names: {} (at {})", short(named), list.display()));
    }
    let classes = names::read(&list, &relative(&dir, &list), traps)?;
    if let Some(count) = value("classes")
        && count.parse::<usize>().ok() != Some(classes.len())
    {
        let message = format!(
            "classes says {}, but {} has {} names; correct one",
            short(count),
            list.display(),
            classes.len()
        );
        return Err(Error::file(path, message));
    }
    let one = |key: &str| value(key).map(str::to_string).into_iter().collect::<Vec<_>>();
    let parts = [vec![train], one("valid"), one("test")];
    Ok(Spec { format: Format::DataFile, root: dir, bases, parts, classes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Scratch, message};

    #[test]
    fn keys_are_read_and_paths_are_from_above() {
        let dir = Scratch::new();
        dir.write("data/obj.names", "a\nb\n");
        let text = "# mine\nclasses = 2\ntrain  = data/train.txt\ntrain = other\nvalid=data/test.txt\nnames = data/obj.names\nbackup = backup/\n";
        let spec = read(&dir.write("data/obj.data", text), &mut Traps::default()).unwrap();
        assert_eq!(spec.classes, ["a", "b"]);
        assert_eq!(spec.parts, [vec!["data/train.txt".to_string()], vec!["data/test.txt".into()], vec![]]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = Scratch::new();
        dir.write("x.names", "a\nb\n");
        for (text, says) in [
            ("names = x.names", "train"),
            ("train = t", "names"),
            ("train = t\nnames = none.names", "none.names"),
            (&format!("train = t\nnames = {}x.names", "a/".repeat(40)), "41 folders"),
            ("train = t\nnames = x.names\nclasses = 3", "classes says 3"),
            ("train = t\nnames = x.names\nclasses = many", "classes says many"),
        ] {
            let text = message(read(&dir.write("obj.data", text), &mut Traps::default()));
            assert!(text.contains(says) && text.contains("obj.data"), "{says}: {text}");
        }
    }
}
