//! One image, compressed or not, and the boxes on it.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::image::RgbImage;
use sha2::{Digest, Sha256};

use super::probe::{self, Probe};
use crate::data::image_file;
use crate::{Error, Result};

/// A box that someone drew on an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Annotation {
    /// Left, top, width and height, in pixels of the image as its file says; may reach a little out of it.
    pub bounds: [f32; 4],
    /// Its class.
    pub class: usize,
    /// Pixels that it covers: COCO gives those of the mask, others have width times height.
    pub area: f32,
    /// Many things that nobody separated (COCO): measured by a rule of its own, and not learned.
    pub crowd: bool,
    /// Hard to see (Pascal VOC): neither learned nor counted.
    pub difficult: bool,
}

impl Annotation {
    /// A box of `class` with these bounds (left, top, width, height, in pixels), neither crowd nor difficult.
    pub fn new(bounds: [f32; 4], class: usize) -> Self {
        Self { bounds, class, area: bounds[2] * bounds[3], crowd: false, difficult: false }
    }

    /// Whether a network is to find it.
    pub fn is_learned(&self) -> bool {
        !self.crowd && !self.difficult
    }
}

/// Corners (left, top, right, bottom) of the part of a box (left, top, width, height) that is on an image of this width and
/// height, all in pixels. The one rule for boxes that reach out of their image.
pub fn clip([left, top, width, height]: [f32; 4], size: [u32; 2]) -> [f32; 4] {
    let [wide, high] = size.map(|side| side as f32);
    let ([x0, x1], [y0, y1]) =
        ([left, left + width].map(|x| x.clamp(0.0, wide)), [top, top + height].map(|y| y.clamp(0.0, high)));
    [x0, y0, x1, y1]
}

/// Whether the part of a box that is on its image has a width and a height: over a thousandth of a pixel, which is more than
/// rounding leaves at an edge of a box that is none.
pub(super) fn is_seen(bounds: [f32; 4], size: [u32; 2]) -> bool {
    let [x0, y0, x1, y1] = clip(bounds, size);
    x1 - x0 > LEAST_SIDE && y1 - y0 > LEAST_SIDE
}

/// Pixels of a side that are none.
const LEAST_SIDE: f32 = 1e-3;

/// An image with boxes. Images in files and compressed ones in memory are decoded when they are needed.
#[derive(Debug, Clone)]
pub struct BoxImage {
    /// What people call it: the file's path under the data set's folder.
    pub name: String,
    /// The boxes on it.
    pub boxes: Vec<Annotation>,
    pixels: Pixels,
    size: [u32; 2],
    turned: bool,
    content: [u8; 32],
}

#[derive(Debug, Clone)]
enum Pixels {
    File(PathBuf),
    Encoded(Arc<[u8]>),
    Rgb(Arc<[u8]>),
}

impl BoxImage {
    /// The image in a file that was probed. `turned` applies the camera's orientation.
    pub(super) fn file(name: String, path: PathBuf, probe: &Probe, turned: bool) -> Self {
        let size = if turned { probe.turned_size() } else { probe.size };
        Self { name, boxes: Vec::new(), pixels: Pixels::File(path), size, turned, content: probe.content }
    }

    /// A PNG or JPEG image in memory. The camera's orientation is applied, so boxes are those of the upright image.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are no such image, or break off.
    pub fn encoded(
        name: impl Into<String>,
        bytes: impl Into<Arc<[u8]>>,
        boxes: Vec<Annotation>,
    ) -> Result<Self> {
        let (name, bytes) = (name.into(), bytes.into());
        let mut probe = probe::bytes(&name, &bytes)?;
        probe.content = Sha256::digest(&bytes).into();
        let size = probe.turned_size();
        Ok(Self { name, boxes, pixels: Pixels::Encoded(bytes), size, turned: true, content: probe.content })
    }

    /// Pixels in memory, (height, width, 3), red, green, blue.
    ///
    /// # Errors
    /// [`Error::Config`] where there are no pixels, or not as many as the size says.
    pub fn rgb(
        name: impl Into<String>,
        [width, height]: [u32; 2],
        pixels: impl Into<Arc<[u8]>>,
        boxes: Vec<Annotation>,
    ) -> Result<Self> {
        let (name, pixels) = (name.into(), pixels.into());
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 || pixels.len() as u64 != expected {
            let message =
                format!("expected {width}x{height}x3 bytes, at least one pixel, got {}", pixels.len());
            return Err(Error::config(format!("image {name}"), message));
        }
        let content = Sha256::digest(&pixels).into();
        let size = [width, height];
        Ok(Self { name, boxes, pixels: Pixels::Rgb(pixels), size, turned: false, content })
    }

    /// Width and height in pixels, upright where the camera's orientation is applied.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// The file that it is in; `None` for one in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.pixels {
            Pixels::File(path) => Some(path),
            Pixels::Encoded(_) | Pixels::Rgb(_) => None,
        }
    }

    /// What tells its pixels from others: all of them for one in memory; of a file the length and the last 4 KiB, so that
    /// opening a large set reads little.
    pub(super) fn content(&self) -> &[u8; 32] {
        &self.content
    }

    /// Whether the camera's orientation is applied.
    pub(super) fn is_turned(&self) -> bool {
        self.turned
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is gone, damaged, or has another size than when it was listed.
    pub fn decode(&self) -> Result<RgbImage> {
        let image = match &self.pixels {
            Pixels::Rgb(pixels) => {
                return RgbImage::from_raw(self.size[0], self.size[1], pixels.to_vec())
                    .ok_or_else(|| Error::config(format!("image {}", self.name), "has another size"));
            }
            Pixels::Encoded(bytes) => {
                image_file::decode(Path::new(&self.name), Cursor::new(&bytes[..]), self.turned)?
            }
            Pixels::File(path) => {
                let file = File::open(path).map_err(|e| crate::files::read_error(path, &e))?;
                image_file::decode(path, BufReader::new(file), self.turned)?
            }
        };
        let found = [image.width(), image.height()];
        if found != self.size {
            let ([w, h], [fw, fh]) = (self.size, found);
            let message =
                format!("is {fw}x{fh} pixels now, and was {w}x{h} when the set was opened; open it again");
            return Err(Error::file(self.path().unwrap_or(Path::new(&self.name)), message));
        }
        Ok(image.into_rgb8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::boxes::testing::{jpeg, picture};
    use crate::data::testing::message;

    #[test]
    fn the_three_kinds_decode_to_the_same() {
        let picture = picture(7, 5);
        let bytes = crate::data::boxes::testing::png(&picture);
        let raw = BoxImage::rgb("raw", [7, 5], picture.as_raw().clone(), Vec::new()).unwrap();
        let encoded = BoxImage::encoded("encoded.png", bytes, Vec::new()).unwrap();
        assert_eq!((raw.size(), encoded.size()), ([7, 5], [7, 5]));
        assert_eq!(raw.decode().unwrap(), picture);
        assert_eq!(encoded.decode().unwrap(), picture);
        assert_ne!(raw.content(), encoded.content());
    }

    #[test]
    fn boxes_are_clipped_to_their_image() {
        assert_eq!(clip([1.0, 2.0, 3.0, 4.0], [40, 20]), [1.0, 2.0, 4.0, 6.0]);
        assert_eq!(clip([-1.0, 15.0, 50.0, 9.0], [40, 20]), [0.0, 15.0, 40.0, 20.0]);
        assert_eq!(clip([50.0, -9.0, 5.0, 4.0], [40, 20]), [40.0, 0.0, 40.0, 0.0]);
        let seen = [[1.0, 1.0, 0.01, 0.01], [39.9, 0.0, 9.0, 9.0], [-1.0, 0.0, 1.1, 9.0]];
        assert!(seen.into_iter().all(|bounds| is_seen(bounds, [40, 20])));
        let hidden =
            [[1.0, 1.0, 0.0, 9.0], [39.9999, 0.0, 9.0, 9.0], [0.0, 20.0, 9.0, 9.0], [1.0, 1.0, -3.0, 9.0]];
        assert!(!hidden.into_iter().any(|bounds| is_seen(bounds, [40, 20])));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let text = message(BoxImage::rgb("mine", [2, 2], vec![0; 11], Vec::new()));
        assert!(text.contains("mine") && text.contains("2x2x3") && text.contains("11"), "{text}");
        assert!(BoxImage::rgb("mine", [0, 2], vec![], Vec::new()).is_err());
        let whole = jpeg(&picture(40, 40));
        assert!(BoxImage::encoded("a.jpg", whole.clone(), Vec::new()).is_ok());
        let text = message(BoxImage::encoded("a.jpg", &whole[..whole.len() / 2], Vec::new()));
        assert!(text.contains("a.jpg") && text.contains("breaks off"), "{text}");
    }
}
