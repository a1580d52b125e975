//! A data set by name, from a directory or from the usual places.

use std::path::{Path, PathBuf};

use super::boxes::{self, BoxSets, OpenOptions};
use super::{Content, DATASETS, Dataset, DatasetInfo, catalog, default_dir, find, places};
use crate::files::places::{Environment, environment};
use crate::{Error, Result};

/// How to load a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// Height and width to resize to, in pixels; `folder` only. Default: those of the first image.
    pub image_size: Option<(usize, usize)>,
    /// 1 for grey, 3 for colour; `folder` only. Default: as the first image is stored.
    pub channels: Option<usize>,
    /// Fraction held out as the test part of sets that come without one (`digits`, `folder`). Default: 0.2.
    pub holdout: f64,
    /// Chooses what is held out. Default: 0.
    pub seed: u64,
    /// Limit on one part's pixels in bytes, against damaged headers and too large folders. Default: 4 GiB.
    pub max_bytes: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { image_size: None, channels: None, holdout: 0.2, seed: 0, max_bytes: 4 << 30 }
    }
}

/// Loads (train, test) of the data set `name` (see [`super::DATASETS`]) from `dir`, or else from the first of
/// `$LIMBECK_DATA/<name>`, `data/<name>`, the user's data directory and the operating system's packages that holds it.
///
/// # Errors
/// [`Error::Config`] for an unknown name or an option that the set does not take; [`Error::File`] for a damaged file, or,
/// when there is none, with each place looked at and what belongs there.
pub fn load(name: &str, dir: Option<&Path>, options: &LoadOptions) -> Result<(Dataset, Dataset)> {
    load_with(name, dir, options, &environment)
}

/// Opens the data set `name` with boxes, from `dir` (for `boxes` also a file that describes it), or else from the first of
/// the places that [`load`] looks in.
///
/// # Errors
/// [`Error::Config`] for an unknown name, or a set with labels; those of [`boxes::open`]; and [`Error::File`], when there is
/// none, with each place looked at and what belongs there.
pub fn load_boxes(name: &str, dir: Option<&Path>, options: &OpenOptions) -> Result<BoxSets> {
    let info = find(name)?;
    if info.content != Content::Boxes {
        let known = named(Content::Boxes);
        let message = format!("{name} has no boxes to detect; expected one of {}", known.join(", "));
        return Err(Error::config("data set", message));
    }
    boxes::open(&place_of(info, dir, &environment)?, options)
}

/// The first of the usual places that holds the data set, as [`load`] looks for it; `None` where none does.
///
/// # Errors
/// [`Error::Config`] for an unknown name.
pub fn locate(name: &str) -> Result<Option<PathBuf>> {
    let info = find(name)?;
    Ok(places::search(info, &environment).into_iter().find(|place| (info.present)(place)))
}

fn load_with(
    name: &str,
    dir: Option<&Path>,
    options: &LoadOptions,
    env: Environment<'_>,
) -> Result<(Dataset, Dataset)> {
    let info = find(name)?;
    if !info.takes_size && (options.image_size.is_some() || options.channels.is_some()) {
        let message =
            format!("image_size and channels apply to the data set folder; {name} has a fixed layout");
        return Err(Error::config("image size", message));
    }
    let place = &place_of(info, dir, env)?;
    log::debug!("data set {name}: reading {}", place.display());
    let (train, test) = (info.load)(place, options)?;
    train.check()?;
    test.check()?;
    Ok((train, test))
}

/// The data set `name`, which must be one of these, and where it is.
#[cfg(feature = "text")]
pub(super) fn find_place(
    name: &str,
    dir: Option<&Path>,
    contents: &[Content],
) -> Result<(&'static DatasetInfo, PathBuf)> {
    let info = find(name)?;
    if !contents.contains(&info.content) {
        let known: Vec<&str> = contents.iter().flat_map(|&content| named(content)).collect();
        let message = format!("{name} has {}; expected one of {}", info.content.words(), known.join(", "));
        return Err(Error::config("data set", message));
    }
    Ok((info, place_of(info, dir, &environment)?))
}

/// The directory, or the first of the usual places, that holds it.
fn place_of(info: &DatasetInfo, dir: Option<&Path>, env: Environment<'_>) -> Result<PathBuf> {
    let places = match dir {
        Some(dir) => vec![dir.to_path_buf()],
        None => places::search(info, env),
    };
    match places.iter().find(|place| (info.present)(place)) {
        Some(place) => Ok(place.clone()),
        None => Err(absent(info, dir, &places)),
    }
}

/// The data sets of such samples.
fn named(content: Content) -> Vec<&'static str> {
    DATASETS.iter().filter(|info| info.content == content).map(|info| info.name).collect()
}

/// The error when no place holds the data: where, what, and how to get it.
fn absent(info: &DatasetInfo, dir: Option<&Path>, places: &[PathBuf]) -> Error {
    let shown: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let home = dir.map_or_else(|| default_dir(info.name), Path::to_path_buf);
    if let Some((place, missing)) =
        places.iter().find_map(|place| Some((place, catalog::missing(place, info.remote())?)))
    {
        let message = format!(
            "{missing} of its {} files are missing, as after a download that was interrupted; `limbeck data get {name} --dir {}` \
             gets them, and where they are left out on purpose, read it as the data set boxes",
            info.remote().len(),
            place.display(),
            name = info.name,
        );
        return Error::file(place, message);
    }
    let mut message = format!(
        "the data set {} is not here; looked in {}; put {} in one of them",
        info.name,
        shown.join(", "),
        info.files.join(", "),
    );
    if info.remote().is_empty() {
        message.push_str(", or name the directory that holds it with `data_dir`");
    } else {
        message.push_str(&format!(", or run `limbeck data get {}`", info.name));
    }
    Error::file(home, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Scratch, message};

    fn no_env(_: &str) -> Option<std::ffi::OsString> {
        None
    }

    #[test]
    fn digits_need_no_directory() {
        let (train, test) = load("digits", None, &LoadOptions::default()).unwrap();
        assert_eq!((train.len(), test.len()), (1437, 360));
    }

    #[test]
    fn boxes_and_labels_are_read_by_their_own_functions() {
        let text = message(load("bccd", Some(Path::new("/nowhere")), &LoadOptions::default()));
        assert!(text.contains("limbeck data get bccd"), "{text}");
        let text = message(load_boxes("digits", None, &OpenOptions::default()));
        assert!(text.contains("bccd, coco128, boxes"), "{text}");
        let dir = Scratch::new();
        let text = message(load_boxes("coco128", Some(dir.path()), &OpenOptions::default()));
        assert!(text.contains("data.yaml") && text.contains("limbeck data get coco128"), "{text}");
        dir.write("images/1.png", b"no image");
        assert!(
            message(load_boxes("boxes", Some(dir.path()), &OpenOptions::default())).contains("Pascal VOC")
        );
        dir.write("labels/1.txt", b"0 .5 .5 .1 .1");
        assert!(message(load("boxes", Some(dir.path()), &LoadOptions::default())).contains("for detectors"));
    }

    #[test]
    fn absent_data_says_where_what_and_how() {
        let env = |name: &str| (name == "LIMBECK_DATA").then(|| "/nowhere/sets".into());
        let text = message(load_with("mnist", None, &LoadOptions::default(), &env));
        for part in
            ["/nowhere/sets/mnist", "data/mnist", "train-images-idx3-ubyte(.gz)", "limbeck data get mnist"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        let dir = Scratch::new();
        let text = message(load_with("cifar100", Some(dir.path()), &LoadOptions::default(), &no_env));
        assert!(text.contains(&dir.path().display().to_string()) && text.contains("train.bin"), "{text}");
        let text = message(load_with("folder", None, &LoadOptions::default(), &no_env));
        assert!(text.contains("<class>") && !text.contains("data get"), "{text}");
    }

    #[test]
    fn the_first_place_that_holds_it_is_read() {
        let dir = Scratch::new();
        let root = dir.path().to_path_buf();
        let env = |name: &str| (name == "LIMBECK_DATA").then(|| root.clone().into_os_string());
        dir.write("cifar10/train.bin", [3; 3073]);
        dir.write("cifar10/test.bin", [4; 3073]);
        let (train, test) = load_with("cifar10", None, &LoadOptions::default(), &env).unwrap();
        assert_eq!((train.labels[0], test.labels[0]), (3, 4));
    }

    #[test]
    fn options_that_do_not_apply_are_refused() {
        let options = LoadOptions { image_size: Some((8, 8)), ..LoadOptions::default() };
        assert!(message(load("digits", None, &options)).contains("fixed layout"));
        let options = LoadOptions { holdout: 2.0, ..LoadOptions::default() };
        assert!(message(load("digits", None, &options)).contains("fraction"));
        assert!(message(load("nope", None, &LoadOptions::default())).contains("digits, mnist"));
    }
}
