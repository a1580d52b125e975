//! What the tests of this module share: small pictures, files and sets.

use std::io::Cursor;

use ::image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::{Annotation, BoxImage, BoxSet, SetOptions};
use crate::data::Split;
use crate::data::testing::Scratch;

/// A picture whose pixels all differ, as far as bytes can.
pub(super) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 37 + y * 11) as u8, (x * 5 + y * 71 + 40) as u8, (x * y + 3 * x) as u8])
    })
}

pub(super) fn png(image: &RgbImage) -> Vec<u8> {
    encode(&image.clone().into(), ImageFormat::Png)
}

pub(super) fn jpeg(image: &RgbImage) -> Vec<u8> {
    encode(&image.clone().into(), ImageFormat::Jpeg)
}

pub(super) fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// `n` pictures of 8x6 pixels, called by their number, with 1 to 3 boxes of the classes `one` and `two`.
pub(super) fn tiny(n: usize) -> BoxSet {
    let image = |i: usize| {
        let boxes = (0..i % 3 + 1).map(|k| Annotation::new([k as f32, 1.0, 3.0, 2.0], (i + k) % 2));
        BoxImage::rgb(i.to_string(), [8, 6], picture(8, 6).into_raw(), boxes.collect()).unwrap()
    };
    let options = SetOptions { size: [6, 8], ..Default::default() };
    let names = vec!["one".to_string(), "two".to_string()];
    BoxSet::new("tiny", Split::Train, names, (0..n).map(image).collect(), &options).unwrap()
}

/// What EXIF holds of a camera's orientation: one entry in a little-endian TIFF.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II\x2a\0\x08\0\0\0\x01\0".to_vec();
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    tiff.extend([0; 4]);
    tiff
}

/// A JPEG file as a turned camera writes it.
pub(super) fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let data = [&b"Exif\0\0"[..], &exif(orientation)].concat();
    let size = (data.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &size, &data, &jpeg[2..]].concat()
}

/// Writes pictures of 40x20 pixels: `.jpg`, else PNG.
pub(super) fn write_pictures(dir: &Scratch, names: &[&str]) {
    for name in names {
        let bytes = if name.to_lowercase().ends_with(".jpg") {
            jpeg(&picture(40, 20))
        } else {
            png(&picture(40, 20))
        };
        dir.write(name, bytes);
    }
}
