//! One PNG or JPEG image to the (C, H, W) u8 layout of a data set.
//!
//! The format is told by content, not by name. The camera's orientation (EXIF) is applied, transparency dropped, colour
//! made grey by luma (Rec. 709), and another size resized with a triangle filter without keeping the aspect ratio.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::{ImageSpec, read};
use crate::{Error, Result};

/// Images of more pixels than this are refused before they are decoded.
pub(super) const MAX_PIXELS: u64 = 100_000_000;

/// Reads an image file into `spec.bytes()` bytes.
///
/// # Errors
/// [`Error::File`] for a file that is missing, damaged or not an image; [`Error::Config`] for an impossible `spec`.
pub fn load(path: &Path, spec: ImageSpec) -> Result<Vec<u8>> {
    planar(open(path)?, spec)
}

/// As [`load`], from memory; `name` stands in messages.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(name: &str, bytes: &[u8], spec: ImageSpec) -> Result<Vec<u8>> {
    planar(decode(Path::new(name), Cursor::new(bytes), true)?, spec)
}

/// The layout an image file has by itself: 1 channel when it is stored grey, else 3.
///
/// # Errors
/// As [`load`].
pub fn native_spec(path: &Path) -> Result<ImageSpec> {
    let image = open(path)?;
    let channels = if image.color().has_color() { 3 } else { 1 };
    Ok(ImageSpec { channels, height: image.height() as usize, width: image.width() as usize })
}

fn open(path: &Path) -> Result<DynamicImage> {
    decode(path, read::open(path, "a PNG or JPEG image")?.0, true)
}

/// Decodes an image. `path` stands in messages; `turned` applies the camera's orientation.
pub(super) fn decode(path: &Path, source: impl BufRead + Seek, turned: bool) -> Result<DynamicImage> {
    let bad = |e: &dyn std::fmt::Display| {
        Error::file(
            path,
            format!("expected a PNG or JPEG image, but it can't be decoded: {e}; replace or remove it"),
        )
    };
    let reader = ImageReader::new(source).with_guessed_format().map_err(|e| bad(&e))?;
    let mut decoder = reader.into_decoder().map_err(|e| bad(&e))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(bad(&format!("{width}x{height} is over the limit of {MAX_PIXELS} pixels")));
    }
    let orientation = decoder.orientation().map_err(|e| bad(&e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| bad(&e))?;
    if turned {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

/// Height and width of a layout that an image can be brought to.
///
/// # Errors
/// [`Error::Config`] for no pixel, more than [`MAX_PIXELS`], or channels other than 1 and 3.
pub(super) fn check(spec: ImageSpec) -> Result<(u32, u32)> {
    if !matches!(spec.channels, 1 | 3) {
        return Err(Error::config(
            "image channels",
            format!("expected 1 (grey) or 3 (colour), got {}", spec.channels),
        ));
    }
    match (u32::try_from(spec.height), u32::try_from(spec.width)) {
        (Ok(height @ 1..), Ok(width @ 1..)) if spec.bytes() as u64 <= MAX_PIXELS => Ok((height, width)),
        _ => Err(Error::config(
            "image size",
            format!("expected 1 to {MAX_PIXELS} values per image, got {spec}"),
        )),
    }
}

/// Converts, resizes, and sorts interleaved pixels into planes.
fn planar(image: DynamicImage, spec: ImageSpec) -> Result<Vec<u8>> {
    let (height, width) = check(spec)?;
    let same = (image.height(), image.width()) == (height, width);
    if spec.channels == 1 {
        let grey = image.into_luma8();
        return Ok(if same { grey } else { resize(&grey, width, height, FilterType::Triangle) }.into_raw());
    }
    let colour = image.into_rgb8();
    let colour = if same { colour } else { resize(&colour, width, height, FilterType::Triangle) };
    let interleaved = colour.into_raw();
    Ok((0..3).flat_map(|c| interleaved.iter().skip(c).step_by(3).copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Scratch, message};
    use image::{GrayImage, ImageFormat, Rgb, RgbImage};

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn spec(channels: usize, height: usize, width: usize) -> ImageSpec {
        ImageSpec { channels, height, width }
    }

    #[test]
    fn colour_becomes_planes() {
        let mut image = RgbImage::new(2, 1);
        image.put_pixel(0, 0, Rgb([1, 2, 3]));
        image.put_pixel(1, 0, Rgb([4, 5, 6]));
        let bytes = png(&image.into());
        assert_eq!(from_bytes("x.png", &bytes, spec(3, 1, 2)).unwrap(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(from_bytes("x.png", &bytes, spec(3, 4, 4)).unwrap().len(), 48);
        assert_eq!(from_bytes("x.png", &bytes, spec(1, 1, 2)).unwrap().len(), 2);
    }

    #[test]
    fn grey_repeats_in_colour_and_resizes_by_averaging() {
        let image = GrayImage::from_raw(2, 2, vec![0, 100, 100, 200]).unwrap();
        let dir = Scratch::new();
        let path = dir.write("misnamed.jpg", png(&image.into()));
        assert_eq!(native_spec(&path).unwrap(), spec(1, 2, 2));
        assert_eq!(load(&path, spec(3, 2, 2)).unwrap(), [0, 100, 100, 200].repeat(3));
        assert_eq!(load(&path, spec(1, 1, 1)).unwrap(), [100]);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(from_bytes("page", &bytes, spec(3, 2, 2)).unwrap(), load(&path, spec(3, 2, 2)).unwrap());
    }

    #[test]
    fn damaged_files_and_impossible_layouts_are_errors() {
        let dir = Scratch::new();
        let good = png(&GrayImage::new(20, 20).into());
        let bad = dir.write("bad.png", &good[..good.len() / 2]);
        assert!(message(load(&bad, spec(1, 2, 2))).contains("bad.png: expected a PNG"));
        assert!(message(load(&dir.write("text.png", b"hello"), spec(1, 2, 2))).contains("text.png"));
        assert!(message(load(&dir.write("empty.png", b""), spec(1, 2, 2))).contains("empty"));
        assert!(message(load(dir.path(), spec(1, 2, 2))).contains("directory"));
        assert!(
            message(load(&dir.path().join("none.png"), spec(1, 2, 2)))
                .contains("expected a PNG or JPEG image, found nothing")
        );
        for impossible in [spec(2, 2, 2), spec(1, 0, 2), spec(1, 2, usize::MAX), spec(3, 100_000, 100_000)] {
            assert!(message(from_bytes("x", &good, impossible)).contains("image"), "{impossible}");
        }
    }

    #[test]
    fn a_decompression_bomb_is_refused() {
        // A PNG header that claims 60,000 x 60,000 grey pixels, with its correct checksum.
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        let mut header = b"IHDR".to_vec();
        header.extend([60_000u32.to_be_bytes(), 60_000u32.to_be_bytes()].concat());
        header.extend([8, 0, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&header);
        bytes.extend(&header);
        bytes.extend(crc.sum().to_be_bytes());
        bytes.extend(b"\0\0\0\x01IDAT\0\0\0\0\0");
        assert!(message(from_bytes("bomb.png", &bytes, spec(1, 2, 2))).contains("bomb.png"));
    }
}
