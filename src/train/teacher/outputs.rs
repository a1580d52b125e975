//! Teacher outputs on disk: a safetensors file of logits and features, one row a sample; docs/teacher-outputs.md
//! describes it for other programs.
//!
//! With E epochs (1 without augmentation), N samples in the data set's order and C classes: `logits` (E, N, C), or the K
//! largest as `topk.logits` (E, N, K), `topk.classes` (E, N, K) and `topk.rest` (E, N), the log of the sum of the
//! exponentials of all other logits; and `tap.NAME` (E, N, ..) for each feature. The metadata entry
//! `limbeck.teacher-outputs` is the JSON of [`OutputsInfo`]. Of a detector there is `map.NAME` (E, N, A (5 + C), H, W) for each
//! head in place of logits.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::maps::{StoredMap, map_tensor};
use crate::data::Source;
use crate::files::{TensorReader, hex};
use crate::ops::augment::BoxAugment;
use crate::platform::Store;
use crate::tasks::{ImageConfig, Views};
use crate::{Error, Result};

/// The metadata key of the JSON text.
pub(in crate::train) const KEY: &str = "limbeck.teacher-outputs";
pub(in crate::train) const VERSION: u32 = 1;
pub(in crate::train) const LOGITS: &str = "logits";
pub(in crate::train) const TOP_LOGITS: &str = "topk.logits";
pub(in crate::train) const TOP_CLASSES: &str = "topk.classes";
pub(in crate::train) const TOP_REST: &str = "topk.rest";
/// Values that are checked at once.
const CHUNK: usize = 1 << 20;

/// What a file of teacher outputs says about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputsInfo {
    /// Of the format: 1.
    pub version: u32,
    /// [`Source::fingerprint`] of the samples, which covers their order.
    pub data: String,
    /// Images, N.
    pub samples: usize,
    /// Classes, C.
    pub classes: usize,
    /// Mean of pixel/255 that the teacher's images were normalised with, for each channel.
    pub mean: Vec<f32>,
    /// Standard deviation likewise.
    pub std: Vec<f32>,
    /// Black pixels around an image before its random crop; 0 for none.
    #[serde(default)]
    pub crop_padding: usize,
    /// Random horizontal flips.
    #[serde(default)]
    pub flip: bool,
    /// Augmentation of images with boxes.
    #[serde(default, skip_serializing_if = "is_off")]
    pub boxes: BoxAugment,
    /// Whether the samples themselves differ from epoch to epoch ([`Source::is_random`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub random: bool,
    /// Keys crops, flips and random samples; means nothing without them.
    #[serde(default)]
    pub seed: u64,
    /// Epochs, E: 1 without augmentation.
    pub epochs: u64,
    /// Logits kept of each sample, K; all where absent.
    #[serde(default)]
    pub topk: Option<usize>,
    /// The teacher's name, for people.
    #[serde(default)]
    pub teacher: String,
    /// What tells it from others: [`crate::train::weights_hash`], or any text of another program's.
    #[serde(default)]
    pub teacher_hash: String,
    /// Features, from input to output; NAME of each `tap.NAME`.
    #[serde(default)]
    pub taps: Vec<String>,
    /// Maps off which boxes are read, in place of logits: NAME of each `map.NAME`, and how that is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<StoredMap>,
}

fn is_off(augment: &BoxAugment) -> bool {
    !augment.is_random()
}

impl OutputsInfo {
    /// Whether each epoch sees other views.
    pub fn is_augmented(&self) -> bool {
        self.crop_padding > 0 || self.flip || self.random || self.boxes.is_random()
    }
}

/// An open file of teacher outputs; rows are read from disk when asked for.
#[derive(Debug)]
pub struct StoredOutputs {
    file: TensorReader,
    info: OutputsInfo,
    hash: String,
}

impl StoredOutputs {
    /// Opens a file and checks sizes, names and every logit or map. Features are checked as they are read.
    ///
    /// # Errors
    /// [`Error::File`] for a damaged file, one that says too little, tensors of other sizes than it says, and values that
    /// are not finite, by name and place.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(TensorReader::open(path)?)
    }

    /// [`StoredOutputs::open`] for what a store keeps.
    ///
    /// # Errors
    /// As [`StoredOutputs::open`], and [`Error::File`] where the store has nothing of this name.
    pub async fn open_in(store: &dyn Store, name: &str) -> Result<Self> {
        let path = store.path(name);
        let blob = store.open(name).await?.ok_or_else(|| {
            Error::file(&path, "expected teacher outputs, found nothing; write them first, or check the name")
        })?;
        Self::read(TensorReader::new(path, blob)?)
    }

    fn read(file: TensorReader) -> Result<Self> {
        let text = file.metadata().get(KEY).ok_or_else(|| {
            let message = format!(
                "expected teacher outputs, found a safetensors file without the metadata entry \"{KEY}\"; make one \
                 with limbeck teach, or as docs/teacher-outputs.md says"
            );
            Error::file(file.path(), message)
        })?;
        let info: OutputsInfo = serde_json::from_str(text)
            .map_err(|e| Error::file(file.path(), format!("metadata {KEY}: {e}")))?;
        if info.version != VERSION {
            let message = format!("expected teacher outputs of version {VERSION}, found {}", info.version);
            return Err(Error::file(file.path(), message));
        }
        let mut outputs = Self { file, info, hash: String::new() };
        outputs.check_sizes()?;
        outputs.hash = outputs.check_logits()?;
        Ok(outputs)
    }

    /// What the file says about itself.
    pub fn info(&self) -> &OutputsInfo {
        &self.info
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The first half of a sha256 over what the file says, names, sizes and logits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The shape of a tap for one sample.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is not there, listing those that are.
    pub fn tap_shape(&self, name: &str) -> Result<&[usize]> {
        self.file.shape(&tap_tensor(name)).and_then(|shape| shape.get(2..)).ok_or_else(|| {
            let all = self.info.taps.join(", ");
            Error::config(format!("tap \"{name}\" of the teacher outputs"), format!("the file has {all}"))
        })
    }

    /// Appends the C logits of a sample. Of top-k outputs, every class that was not kept gets an equal share of the
    /// rest's mass at temperature 1: rest - ln(C - K).
    ///
    /// # Errors
    /// [`Error::File`] where the file can't be read, and for classes that are none or come twice.
    pub fn read_logits(&self, epoch: u64, sample: usize, to: &mut Vec<f32>) -> Result<()> {
        let row = self.row(epoch, sample);
        let classes = self.info.classes;
        let Some(k) = self.info.topk else { return self.file.read(LOGITS, row * classes, classes, to) };
        let (mut kept, mut places, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        self.file.read(TOP_LOGITS, row * k, k, &mut kept)?;
        self.file.read(TOP_CLASSES, row * k, k, &mut places)?;
        self.file.read(TOP_REST, row, 1, &mut rest)?;
        let share = rest[0] - ((classes - k) as f32).ln();
        let start = to.len();
        to.resize(start + classes, f32::NAN);
        for (logit, class) in kept.into_iter().zip(places) {
            match to[start..].get_mut(class as usize).filter(|place| class >= 0.0 && place.is_nan()) {
                Some(place) => *place = logit,
                None => {
                    let message = format!(
                        "tensor \"{TOP_CLASSES}\": sample {sample} has class {class}; expected {k} different ones below \
                         {classes}"
                    );
                    return Err(Error::file(self.path(), message));
                }
            }
        }
        to[start..].iter_mut().filter(|place| place.is_nan()).for_each(|place| *place = share);
        Ok(())
    }

    /// Appends a sample's values of a map.
    ///
    /// # Errors
    /// [`Error::File`] where the file can't be read, and for values that are not finite.
    pub fn read_map(&self, map: &StoredMap, epoch: u64, sample: usize, to: &mut Vec<f32>) -> Result<()> {
        let len = map.shape().iter().product::<usize>();
        self.file.read(&map_tensor(&map.name), self.row(epoch, sample) * len, len, to)
    }

    /// Appends a sample's values of a tap.
    ///
    /// # Errors
    /// [`Error::File`] where the file can't be read, and for values that are not finite.
    pub fn read_tap(&self, name: &str, epoch: u64, sample: usize, to: &mut Vec<f32>) -> Result<()> {
        let len = self.tap_shape(name)?.iter().product::<usize>();
        self.file.read(&tap_tensor(name), self.row(epoch, sample) * len, len, to)
    }

    /// Without augmentation one epoch serves all.
    fn row(&self, epoch: u64, sample: usize) -> usize {
        let epoch = if self.info.is_augmented() { epoch as usize } else { 0 };
        epoch * self.info.samples + sample
    }

    /// Refuses another data set, and other classes or normalisation than these.
    pub fn fits(&self, data: &dyn Source, classes: usize, views: &Views) -> Result<()> {
        let info = &self.info;
        let counts = |n, c| format!("{n} samples in {c} classes");
        self.same(
            "data",
            counts(info.samples, info.classes),
            counts(data.len(), classes),
            "the same `data`, `limit_train` and `validation`",
        )?;
        self.same(
            "data",
            format!("images with the fingerprint {}", info.data),
            format!("images with the fingerprint {}", data.fingerprint()),
            "the same images in the same order",
        )?;
        let normalisation = |mean: &[f32], std: &[f32]| format!("mean {mean:?} and std {std:?}");
        self.same(
            "normalisation",
            normalisation(&info.mean, &info.std),
            normalisation(&views.mean, &views.std),
            "the same `mean` and `std`",
        )?;
        let samples =
            |random| if random { "samples that differ by epoch" } else { "the same samples each epoch" };
        self.same(
            "data",
            samples(info.random).into(),
            samples(data.is_random()).into(),
            "a source that augments as then, or none that does",
        )
    }

    /// Refuses other views of the images: another augmentation, seed, or more epochs than there are.
    pub fn fits_views(&self, views: &Views, seed: u64, epochs: u64) -> Result<()> {
        let info = &self.info;
        let told = |padding, flip| format!("crop padding {padding} and flip {flip}");
        let ImageConfig { crop_padding, flip } = views.augmentation;
        let (theirs, ours) = (told(info.crop_padding, info.flip), told(crop_padding, flip));
        self.same("augmentation", theirs, ours, "the same `crop_padding` and `flip`")?;
        let told = |boxes: &BoxAugment| {
            let BoxAugment { mosaic, scale, translate, flip, hsv } = boxes;
            format!("mosaic {mosaic}, scale {scale}, translate {translate}, flip {flip} and hsv {hsv:?}")
        };
        let advice = "the same `scale`, `translate`, `flip` and `hsv`, and without `mosaic`";
        self.same("augmentation", told(&info.boxes), told(&views.boxes), advice)?;
        if !info.is_augmented() {
            return Ok(());
        }
        self.same("seed", format!("seed {}", info.seed), format!("seed {seed}"), "the same `seed`")?;
        if epochs > info.epochs {
            let message = format!("has outputs for {} epochs, and this training takes {epochs}", info.epochs);
            return Err(self.other("epochs", &message, "as many `epochs`"));
        }
        Ok(())
    }

    /// Refuses another teacher than the one with this hash.
    pub fn fits_teacher(&self, hash: &str) -> Result<()> {
        let theirs = match self.info.teacher_hash.as_str() {
            "" => "a teacher that it has no hash of".to_string(),
            hash => format!("the teacher {hash}"),
        };
        self.same("teacher", theirs, format!("the teacher {hash}"), "the same `teacher`")
    }

    fn same(&self, what: &str, theirs: String, ours: String, advice: &str) -> Result<()> {
        if theirs == ours {
            return Ok(());
        }
        Err(self.other(what, &format!("was made with {theirs}, and here are {ours}"), advice))
    }

    fn other(&self, what: &str, message: &str, advice: &str) -> Error {
        let message =
            format!("teacher outputs of other {what}: the file {message}; write it again with {advice}");
        Error::file(self.path(), message)
    }

    /// Whether each tensor is there, with the sizes that the file says.
    fn check_sizes(&self) -> Result<()> {
        let info = &self.info;
        let refuse = |message: String| Err(Error::file(self.path(), message));
        let one = !info.is_augmented() && info.epochs != 1;
        if info.samples == 0 || info.classes == 0 || info.epochs == 0 || one {
            return refuse(format!(
                "metadata {KEY}: expected samples, classes and epochs from 1, and 1 epoch without augmentation, found {} \
                 samples, {} classes and {} epochs",
                info.samples, info.classes, info.epochs
            ));
        }
        if let Some(k) = info.topk.filter(|&k| k == 0 || k >= info.classes) {
            let classes = info.classes;
            return refuse(format!("metadata {KEY}: expected topk from 1 and below {classes}, found {k}"));
        }
        let wrong = info.maps.iter().find_map(|map| map.check(info.classes).err());
        if let Some(why) = wrong {
            return refuse(format!("metadata {KEY}: {why}"));
        }
        if !info.maps.is_empty() && info.topk.is_some() {
            return refuse(format!(
                "metadata {KEY}: topk is of logits, and the file has maps; leave one out"
            ));
        }
        let (e, n) = (info.epochs as usize, info.samples);
        for (name, shape) in output_tensors(info) {
            match self.file.shape(&name) {
                Some(found) if found == shape => {}
                Some(found) => {
                    return refuse(format!("tensor \"{name}\": expected {shape:?}, found {found:?}"));
                }
                None => return refuse(format!("tensor \"{name}\" is missing; expected one of {shape:?}")),
            }
        }
        for tap in &info.taps {
            let name = tap_tensor(tap);
            match self.file.shape(&name) {
                Some([epochs, samples, rest @ ..]) if (*epochs, *samples) == (e, n) && !rest.is_empty() => {}
                Some(found) => {
                    return refuse(format!("tensor \"{name}\": expected [{e}, {n}, ..], found {found:?}"));
                }
                None => {
                    return refuse(format!("tensor \"{name}\" is missing, though the file names this tap"));
                }
            }
        }
        Ok(())
    }

    /// Reads every logit once: damage shows now and not after an hour.
    fn check_logits(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(&self.info).unwrap_or_default());
        for (name, shape) in self.file.tensors() {
            hash.update(format!("{name} {shape:?}"));
        }
        let mut values = Vec::new();
        for (name, shape) in output_tensors(&self.info) {
            let len: usize = shape.iter().product();
            for first in (0..len).step_by(CHUNK) {
                values.clear();
                self.file.read(&name, first, CHUNK.min(len - first), &mut values)?;
                hash.update(bytemuck::cast_slice::<f32, u8>(&values));
            }
        }
        Ok(hex(&hash.finalize()[..16]))
    }
}

/// The tensor of a tap.
pub(in crate::train) fn tap_tensor(name: &str) -> String {
    format!("tap.{name}")
}

/// Names and shapes of the tensors that hold what the network gave: logits or maps.
pub(in crate::train) fn output_tensors(info: &OutputsInfo) -> Vec<(String, Vec<usize>)> {
    let (e, n) = (info.epochs as usize, info.samples);
    let of = |name: &str, tail: &[usize]| (name.to_string(), [&[e, n], tail].concat());
    match info.topk {
        _ if !info.maps.is_empty() => {
            info.maps.iter().map(|map| of(&map_tensor(&map.name), &map.shape())).collect()
        }
        None => vec![of(LOGITS, &[info.classes])],
        Some(k) => vec![of(TOP_LOGITS, &[k]), of(TOP_CLASSES, &[k]), of(TOP_REST, &[])],
    }
}
