//! Images with boxes as samples of one size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::image::is_seen;
use super::{BOX_CLASSES, BOX_TRUTHS, BOXES, BoxImage, IMAGE_FRAME, Resize, clip};
use crate::data::{Field, FieldType, IGNORE_LABEL, PIXELS, Row, Source, Split, View};
use crate::files::hex;
use crate::platform::parallel::{Cost, in_parallel};
use crate::{Error, Result};

/// Values of a truth: bounds, area, class, crowd, difficult.
const TRUTH: usize = 8;
/// A side of the network's input has at most so many pixels.
const MAX_SIDE: usize = 8192;

/// How images with boxes become samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOptions {
    /// Height and width of the network's input, in pixels.
    pub size: [usize; 2],
    /// How an image is brought to it.
    pub resize: Resize,
    /// M, the places for boxes of a sample; of an image with more the last are left out. `None`: as many as the image with
    /// the most boxes has, at most 300.
    pub places: Option<usize>,
    /// Bytes of decoded images that are kept in memory for later epochs.
    pub cache_bytes: u64,
}

/// The most places for boxes, where nothing else is said.
pub(super) const MAX_PLACES: usize = 300;

impl Default for SetOptions {
    fn default() -> Self {
        Self { size: [416, 416], resize: Resize::Stretch, places: None, cache_bytes: 512 << 20 }
    }
}

/// Bytes that may still be kept; several parts of a data set share it.
pub(super) type Budget = Arc<AtomicU64>;

/// Images with boxes, each sample at the network's size: the fields of [`super`]. Parts of a set share its images and what
/// is decoded of them.
#[derive(Debug, Clone)]
pub struct BoxSet {
    name: String,
    split: Split,
    classes: Arc<[String]>,
    images: Arc<[BoxImage]>,
    /// Of decoded images, (3, H, W).
    cache: Arc<[OnceLock<Box<[u8]>>]>,
    budget: Budget,
    /// Which of the images, in which order.
    order: Vec<u32>,
    options: SetOptions,
    /// How pixels are stored: bytes or floats.
    pixels: FieldType,
    places: usize,
}

impl BoxSet {
    /// The images of a program's own, with the names of the classes that their boxes are of.
    ///
    /// # Errors
    /// [`Error::Config`] for no image, a class without a name, bounds that are not finite or have no width or height on their
    /// image, and sizes that no network has.
    pub fn new(
        name: impl Into<String>,
        split: Split,
        class_names: Vec<String>,
        images: Vec<BoxImage>,
        options: &SetOptions,
    ) -> Result<Self> {
        let budget = Arc::new(AtomicU64::new(options.cache_bytes));
        Self::with_budget(name.into(), split, class_names.into(), images, options, budget)
    }

    pub(super) fn with_budget(
        name: String,
        split: Split,
        classes: Arc<[String]>,
        images: Vec<BoxImage>,
        options: &SetOptions,
        budget: Budget,
    ) -> Result<Self> {
        let most = images.iter().map(|image| image.boxes.len()).max().unwrap_or(0);
        let places = options.places.unwrap_or(most.min(MAX_PLACES)).max(1);
        let set = Self {
            name,
            split,
            classes,
            order: (0..images.len() as u32).collect(),
            cache: images.iter().map(|_| OnceLock::new()).collect(),
            images: images.into(),
            budget,
            options: options.clone(),
            pixels: FieldType::U8,
            places,
        };
        set.check()?;
        Ok(set)
    }

    /// Which part of the data this is.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The same under another split.
    #[must_use]
    pub fn of_split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }

    /// The names of the classes, by number.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// Height and width of the network's input, in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.options.size
    }

    /// How images are brought to it.
    pub fn resize(&self) -> Resize {
        self.options.resize
    }

    /// M: places for boxes in a sample.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Image `index` with its boxes; `None` past the end.
    pub fn image(&self, index: usize) -> Option<&BoxImage> {
        self.images.get(*self.order.get(index)? as usize)
    }

    /// All images, in the set's order.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &BoxImage> {
        self.order.iter().map(|&at| &self.images[at as usize])
    }

    /// Boxes of each class, those that are not learned included.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for annotation in self.images().flat_map(|image| &image.boxes) {
            if let Some(count) = counts.get_mut(annotation.class) {
                *count += 1;
            }
        }
        counts
    }

    /// Widths and heights of the boxes to learn, in pixels of the network's input: what [`super::anchors`] takes.
    pub fn shapes(&self) -> Vec<[f32; 2]> {
        let [height, width] = self.options.size.map(|side| side as f32);
        let of = |image: &BoxImage| -> Vec<[f32; 2]> {
            let frame = self.options.resize.frame(image.size(), self.options.size);
            let learned = image.boxes.iter().filter(|annotation| annotation.is_learned());
            let boxes = learned.map(|annotation| in_frame(annotation.bounds, image.size(), frame));
            boxes.map(|[_, _, w, h]| [w * width, h * height]).collect()
        };
        self.images().flat_map(of).collect()
    }

    /// The same images in another order, or some of them.
    pub(super) fn with_order(&self, order: Vec<u32>) -> Self {
        Self { order, ..self.clone() }
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The same images with other boxes; they no longer share what is decoded later.
    pub(super) fn with_images(&self, classes: Arc<[String]>, images: Vec<BoxImage>) -> Self {
        let order = (0..images.len() as u32).collect();
        let cache = images.iter().map(|_| OnceLock::new()).collect();
        Self { classes, images: images.into(), cache, order, ..self.clone() }
    }

    /// The same images for a network of another input size, or another rule of resizing. What is decoded is kept apart.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that no network has.
    pub fn resized(&self, size: [usize; 2], resize: Resize) -> Result<Self> {
        let mut set = self.clone();
        (set.options.size, set.options.resize) = (size, resize);
        set.cache = set.images.iter().map(|_| OnceLock::new()).collect();
        set.check()?;
        Ok(set)
    }

    /// The same images with pixels as darknet has them, floats (f32) from 0 to 1 that are not rounded to bytes: to measure, not
    /// to train, as augmentation works on bytes. They take four times the memory, and none is kept.
    #[must_use]
    pub fn with_float_pixels(mut self) -> Self {
        self.pixels = FieldType::F32;
        self
    }

    /// Decodes every image on all cores and keeps none: the errors of those that can't be.
    pub fn undecodable(&self) -> Vec<Error> {
        let images: Vec<&BoxImage> = self.images().collect();
        let errors = in_parallel(Cost::Large, &images, |image| image.decode().err());
        errors.into_iter().flatten().collect()
    }

    fn write_pixels(&self, at: usize, image: &BoxImage, out: &mut [u8]) -> Result<()> {
        let kept = self.cache.get(at);
        if let Some(pixels) = kept.and_then(OnceLock::get) {
            out.copy_from_slice(pixels);
            return Ok(());
        }
        self.options.resize.write(&image.decode()?, self.options.size, out)?;
        let bytes = out.len() as u64;
        let taken =
            self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if let (Some(kept), Ok(_)) = (kept, taken) {
            // Two threads may have met here; the other one's pixels are the same.
            if kept.set(out.into()).is_err() {
                self.budget.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Bounds in pixels of an image, clipped to it, as centre, width and height in shares of a frame.
fn in_frame(bounds: [f32; 4], image: [u32; 2], frame: [f32; 4]) -> [f32; 4] {
    let [left, top, right, bottom] = clip(bounds, image);
    let along = |low: f32, high: f32, start: f32, extent: f32| {
        (((low + high) / 2.0 - start) / extent, (high - low) / extent)
    };
    let (cx, width) = along(left, right, frame[0], frame[2]);
    let (cy, height) = along(top, bottom, frame[1], frame[3]);
    [cx, cy, width, height]
}

impl Source for BoxSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    fn fields(&self) -> Vec<Field> {
        let [height, width] = self.options.size;
        vec![
            Field { dtype: self.pixels, ..Field::u8(PIXELS, [3, height, width]) },
            Field::f32(BOXES, [self.places, 4]),
            Field::classes(BOX_CLASSES, [self.places]),
            Field::f32(BOX_TRUTHS, [self.places, TRUTH]),
            Field::f32(IMAGE_FRAME, [4]),
        ]
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> Result<()> {
        let Some((&at, image)) = self.order.get(id).zip(self.image(id)) else {
            let message = format!("sample {id} is past the end: there are {}", self.len());
            return Err(Error::config(format!("data set {}", self.name), message));
        };
        match self.pixels {
            FieldType::F32 => {
                let pixels = row.f32(PIXELS)?;
                self.options.resize.write_floats(&image.decode()?, self.options.size, pixels)?;
            }
            _ => self.write_pixels(at as usize, image, row.u8(PIXELS)?)?,
        }
        let frame = self.options.resize.frame(image.size(), self.options.size);
        row.f32(IMAGE_FRAME)?.copy_from_slice(&frame);
        for (place, annotation) in row.f32(BOXES)?.chunks_exact_mut(4).zip(&image.boxes) {
            place.copy_from_slice(&in_frame(annotation.bounds, image.size(), frame));
        }
        for (place, annotation) in row.i32(BOX_CLASSES)?.iter_mut().zip(&image.boxes) {
            *place = if annotation.is_learned() { annotation.class as i32 } else { IGNORE_LABEL };
        }
        let truths = row.f32(BOX_TRUTHS)?.chunks_exact_mut(TRUTH);
        for (k, place) in truths.enumerate() {
            let values = image.boxes.get(k).map_or([0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0], |a| {
                let [x, y, w, h] = a.bounds;
                [x, y, w, h, a.area, a.class as f32, f32::from(a.crowd), f32::from(a.difficult)]
            });
            place.copy_from_slice(&values);
        }
        Ok(())
    }

    /// sha256 over the names of the classes, size and rule of resizing, and of every image its name, size, boxes, whether it is
    /// turned upright, and content: all bytes of one in memory, of a file the length and the last 4 KiB.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"limbeck boxes 2\0");
        let text = |hash: &mut Sha256, text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        text(&mut hash, &self.options.resize.to_string());
        for n in [self.options.size[0], self.options.size[1], self.places, self.classes.len(), self.len()] {
            hash.update((n as u64).to_le_bytes());
        }
        self.classes.iter().for_each(|name| text(&mut hash, name));
        if self.pixels != FieldType::U8 {
            text(&mut hash, "float pixels");
        }
        for image in self.images() {
            text(&mut hash, &image.name);
            hash.update(image.content());
            hash.update([u8::from(image.is_turned())]);
            image.size().iter().for_each(|side| hash.update(side.to_le_bytes()));
            hash.update((image.boxes.len() as u64).to_le_bytes());
            for annotation in &image.boxes {
                annotation.bounds.iter().for_each(|value| hash.update(value.to_le_bytes()));
                hash.update(annotation.area.to_le_bytes());
                hash.update((annotation.class as u64).to_le_bytes());
                hash.update([u8::from(annotation.crowd), u8::from(annotation.difficult)]);
            }
        }
        hex(&hash.finalize())
    }

    /// As many as the machine has cores: images are decoded.
    fn threads(&self) -> usize {
        std::thread::available_parallelism().map_or(1, |n| n.get())
    }

    fn check(&self) -> Result<()> {
        let refuse =
            |what: String| Err(Error::config(format!("data set {} ({})", self.name, self.split), what));
        let [height, width] = self.options.size;
        if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return refuse(format!("expected a size of 1 to {MAX_SIDE} pixels a side, got {width}x{height}"));
        }
        if self.order.is_empty() {
            return refuse("expected at least one image, found none".into());
        }
        for image in self.images() {
            for (k, annotation) in image.boxes.iter().enumerate() {
                let [x, y, w, h] = annotation.bounds;
                let finite = [x, y, w, h, annotation.area].iter().all(|value| value.is_finite());
                if !finite || w <= 0.0 || h <= 0.0 {
                    return refuse(format!(
                        "box {k} of {} has the bounds {:?}; expected finite numbers, width and height over 0",
                        image.name, annotation.bounds
                    ));
                }
                if !is_seen(annotation.bounds, image.size()) {
                    return refuse(format!(
                        "box {k} of {}, {:?}, has no width or height on its image",
                        image.name, annotation.bounds
                    ));
                }
                if annotation.class >= self.classes.len() {
                    let (class, n) = (annotation.class, self.classes.len());
                    return refuse(format!(
                        "box {k} of {} is of class {class}, but there are {n}",
                        image.name
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
