//! Opening a data set with boxes, of whatever format.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::check::Checker;
use super::label::Listed;
use super::parts::{Format, Parts, Read};
use super::recognise;
use super::set::MAX_PLACES;
use super::text::relative;
use super::traps::{Trap, Traps};
use super::{BoxImage, BoxSet, Resize, SetOptions};
use crate::data::{Source, Split};
use crate::{Error, Result};

/// How to open a data set with boxes.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// Height and width of the network's input, in pixels. Default: 416x416.
    pub size: [usize; 2],
    /// How images are brought to it. Default: [`Resize::Stretch`].
    pub resize: Resize,
    /// The names of the classes, in the order of their numbers. Default: those of the data set, in its order. Pascal VOC has
    /// no list: its names are sorted.
    pub names: Option<Vec<String>>,
    /// Fraction held out as the test part of a set that comes in one part. Default: 0.2.
    pub holdout: f64,
    /// Chooses what is held out. Default: 0.
    pub seed: u64,
    /// The share of an image's side that a box may reach out of it. Default: 0.01.
    pub tolerance: f64,
    /// Turns images upright, as their camera was held (EXIF); darknet does not. Default: yes.
    pub upright: bool,
    /// The most boxes of an image; the others are left out. Default: 300.
    pub most_boxes: usize,
    /// Bytes of decoded images that are kept in memory, of all parts. Default: 512 MiB.
    pub cache_bytes: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        let SetOptions { size, resize, cache_bytes, .. } = SetOptions::default();
        Self {
            size,
            resize,
            names: None,
            holdout: 0.2,
            seed: 0,
            tolerance: 0.01,
            upright: true,
            most_boxes: MAX_PLACES,
            cache_bytes,
        }
    }
}

/// The parts of a data set.
#[derive(Debug, Clone)]
pub struct BoxSets {
    /// The format it was read in.
    pub format: Format,
    /// Its folder.
    pub root: PathBuf,
    /// What to learn from. Without an image where the set says that it has other parts only: see [`BoxSets::require_training`].
    pub train: BoxSet,
    /// A part of its own to be watched while training, where the set has one beside the test part.
    pub validation: Option<BoxSet>,
    /// What the result is measured on: the test part, else the validation part, else images held out of the only part.
    pub test: BoxSet,
    /// Whether the test part was held out, as the set comes in one part.
    pub held_out: bool,
    /// All that was odd.
    pub traps: Traps,
}

/// Opens a data set: a folder, a `data.yaml`, an `obj.data`, or a JSON file of COCO.
///
/// # Errors
/// As [`inspect`], and [`Error::File`] that names the first places of what would be learned wrong ([`Traps::refuse`]).
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<BoxSets> {
    let sets = inspect(path, options)?;
    sets.traps.refuse(&sets.root)?;
    let used: usize = sets.parts().map(|(_, set)| set.len()).sum();
    let mut kinds = vec![Trap::Missing, Trap::Damaged, Trap::OtherFormat];
    if sets.format == Format::Voc {
        // Its lists are of label files, so that one without an image is an image that is not there.
        kinds.push(Trap::LabelsAlone);
    }
    let lost: usize = kinds.iter().map(|kind| sets.traps.count(*kind)).sum();
    if lost > used {
        let said = sets.traps.said(kinds);
        return Err(Error::file(
            &sets.root,
            format!("{lost} images are left out, and {used} remain: {said}"),
        ));
    }
    Ok(sets)
}

/// Opens a data set whatever is wrong with its labels; what can't be used is left out, and all of it counted.
///
/// # Errors
/// [`Error::File`] for what is no data set, descriptions and lists that can't be read, and parts without any image;
/// [`Error::Config`] for options that make no sense.
pub fn inspect(path: impl AsRef<Path>, options: &OpenOptions) -> Result<BoxSets> {
    check(options)?;
    let mut traps = Traps::default();
    let Read { format, root, classes, parts } =
        recognise::read(path.as_ref(), options.names.as_deref(), &mut traps)?;
    shared(&root, &parts, &mut traps);
    let numbers: HashMap<&str, usize> =
        classes.iter().enumerate().map(|(k, name)| (name.as_str(), k)).collect();
    let checker = Checker {
        root: &root,
        classes: &classes,
        numbers,
        tolerance: options.tolerance,
        upright: options.upright,
        most: options.most_boxes,
    };
    let mut images = |listed: Vec<Listed>| checker.images(&listed, &mut traps);
    let train = parts.train.map(&mut images);
    let (validation, test) = (parts.validation.map(&mut images), parts.test.map(&mut images));
    let mut made = Maker { root: &root, options, classes: classes.as_slice().into(), traps };
    let (train, validation, test, held_out) = made.sets(train, validation, test)?;
    let sets = BoxSets { format, root: root.clone(), train, validation, test, held_out, traps: made.traps };
    match &options.names {
        Some(names) if *names != classes => sets.in_classes(names),
        _ => Ok(sets),
    }
}

fn check(options: &OpenOptions) -> Result<()> {
    if !(0.0..=10.0).contains(&options.tolerance) {
        let message = format!("expected a share of a side from 0 to 10, got {}", options.tolerance);
        return Err(Error::config("tolerance", message));
    }
    if !(1..=10_000).contains(&options.most_boxes) {
        let message = format!("expected 1 to 10000 boxes an image, got {}", options.most_boxes);
        return Err(Error::config("most_boxes", message));
    }
    Ok(())
}

/// Counts images of the training part that another part has, too.
fn shared(root: &Path, parts: &Parts, traps: &mut Traps) {
    let train: HashSet<&Path> = parts.train.iter().flatten().map(|listed| listed.image.as_path()).collect();
    let others = [&parts.validation, &parts.test].into_iter().flatten().flatten();
    for listed in others.filter(|listed| train.contains(listed.image.as_path())) {
        traps.add(Trap::InTwoParts, || relative(root, &listed.image));
    }
}

struct Maker<'a> {
    root: &'a Path,
    options: &'a OpenOptions,
    classes: Arc<[String]>,
    traps: Traps,
}

/// Training, validation and test part, and whether the last one was held out.
type Made = (BoxSet, Option<BoxSet>, BoxSet, bool);

impl Maker<'_> {
    fn sets(
        &mut self,
        train: Option<Vec<BoxImage>>,
        validation: Option<Vec<BoxImage>>,
        test: Option<Vec<BoxImage>>,
    ) -> Result<Made> {
        let all = [&train, &validation, &test].into_iter().flatten().flatten();
        let most = all.map(|image| image.boxes.len()).max().unwrap_or(0);
        let budget = Arc::new(AtomicU64::new(self.options.cache_bytes));
        let options = SetOptions {
            size: self.options.size,
            resize: self.options.resize,
            places: Some(most.max(1)),
            cache_bytes: self.options.cache_bytes,
        };
        let name = self.name();
        let set = |images: Vec<BoxImage>, split: Split, part: &str| {
            if images.is_empty() {
                return Err(self.without_images(part));
            }
            BoxSet::with_budget(name.clone(), split, self.classes.clone(), images, &options, budget.clone())
        };
        let train = train.map(|images| set(images, Split::Train, "training")).transpose()?;
        let validation = validation.map(|images| set(images, Split::Validation, "validation")).transpose()?;
        let test = test.map(|images| set(images, Split::Test, "test")).transpose()?;
        match (train, validation, test) {
            (Some(train), validation, Some(test)) => Ok((train, validation, test, false)),
            (Some(train), Some(validation), None) => {
                Ok((train, None, validation.of_split(Split::Test), false))
            }
            (Some(all), None, None) => {
                let (train, test) = all.split_holdout(self.options.holdout, self.options.seed)?;
                Ok((train, None, test, true))
            }
            // To be measured on, and not to be learned from.
            (None, validation, Some(test)) => Ok((test.without_images(), validation, test, false)),
            (None, Some(test), None) => Ok((test.without_images(), None, test.of_split(Split::Test), false)),
            (None, None, None) => Err(self.without_images("training")),
        }
    }

    fn name(&self) -> String {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let known = name(self.root).or_else(|| name(&self.root.canonicalize().ok()?));
        known.unwrap_or_else(|| "boxes".into())
    }

    /// The error of a part that none is left of, with the likely reason.
    fn without_images(&self, part: &str) -> Error {
        let kinds = [Trap::BadLabel, Trap::Damaged, Trap::OtherFormat, Trap::Missing, Trap::LabelsAlone];
        let said = self.traps.said(kinds);
        let why = if said.is_empty() { "it lists none" } else { &said };
        Error::file(self.root, format!("the {part} part has no image that can be used ({why})"))
    }
}

impl BoxSets {
    /// All parts with their boxes numbered by another list of classes, as [`BoxSet::in_classes`].
    ///
    /// # Errors
    /// As [`BoxSet::in_classes`] for a class that the list lacks.
    pub fn in_classes(self, names: &[String]) -> Result<Self> {
        let of = |set: &BoxSet| set.in_classes(names, false);
        let validation = self.validation.as_ref().map(of).transpose()?;
        Ok(Self { train: of(&self.train)?, validation, test: of(&self.test)?, ..self })
    }

    /// The names of the classes, by number.
    pub fn class_names(&self) -> &[String] {
        self.train.class_names()
    }

    /// The parts that have images, each with what people call it: training, validation, test.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &BoxSet)> {
        let test = if self.held_out { "test (held out)" } else { "test" };
        let all = [
            ("training", Some(&self.train)),
            ("validation", self.validation.as_ref()),
            (test, Some(&self.test)),
        ];
        all.into_iter().filter_map(|(name, set)| Some((name, set.filter(|set| !set.is_empty())?)))
    }

    /// Fails for a set without a training part: it can be measured on, and nothing is learned from it.
    ///
    /// # Errors
    /// [`Error::File`] for its folder, with what to do.
    pub fn require_training(&self) -> Result<()> {
        if !self.train.is_empty() {
            return Ok(());
        }
        let list = match self.format {
            Format::Voc => "a list of its images (ImageSets/Main/train.txt)",
            Format::Coco => "its file (annotations/instances_train.json)",
            Format::Folders | Format::DataYaml | Format::DataFile => "its folder (images/train)",
        };
        let message = format!(
            "has no training part, only one to measure on: nothing can be learned from it; add {list}, or choose another set"
        );
        Err(Error::file(&self.root, message))
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
