use ::image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage, RgbaImage};

use super::*;
use crate::data::boxes::testing::{encode, exif, jpeg, picture, png, with_exif};
use crate::data::testing::{Scratch, message};

#[test]
fn heads_say_what_decoders_say() {
    let cases: [(DynamicImage, [bool; 3]); 5] = [
        (picture(31, 17).into(), [false; 3]),
        (GrayImage::new(9, 8).into(), [true, false, false]),
        (RgbaImage::new(5, 6).into(), [false, true, false]),
        (DynamicImage::ImageLuma16(::image::ImageBuffer::new(3, 4)), [true, false, true]),
        (DynamicImage::ImageRgb16(::image::ImageBuffer::new(4, 3)), [false, false, true]),
    ];
    for (image, expected) in cases {
        let probe = bytes("x", &encode(&image, ImageFormat::Png)).unwrap();
        assert_eq!(probe.size, [image.width(), image.height()]);
        assert_eq!([probe.grey, probe.alpha, probe.deep], expected);
        assert!(!probe.animated && !probe.cmyk);
    }
    let probe = bytes("x", &jpeg(&picture(31, 17))).unwrap();
    assert_eq!((probe.size, probe.grey, probe.cmyk), ([31, 17], false, false));
    assert!(bytes("x", &encode(&GrayImage::new(9, 8).into(), ImageFormat::Jpeg)).unwrap().grey);
}

#[test]
fn cameras_orientations_are_found_as_decoders_find_them() {
    let plain = jpeg(&picture(12, 8));
    for tag in 1..=8u8 {
        let turned = with_exif(&plain, tag);
        let probe = bytes("x.jpg", &turned).unwrap();
        assert_eq!(probe.orientation, Orientation::from_exif(tag).unwrap());
        let decoded = crate::data::image_file::decode(Path::new("x"), Cursor::new(&turned), true).unwrap();
        assert_eq!(probe.turned_size(), [decoded.width(), decoded.height()], "{tag}");
    }
    // As PNG has it: a chunk before the pixels.
    let plain = png(&picture(12, 8));
    let mut turned = plain[..33].to_vec();
    turned.extend(chunk(b"eXIf", &exif(6)));
    turned.extend(chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]));
    turned.extend(&plain[33..]);
    let probe = bytes("x.png", &turned).unwrap();
    assert_eq!((probe.turned_size(), probe.animated), ([8, 12], true));
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

#[test]
fn four_inks_are_seen() {
    let mut bytes = jpeg(&picture(8, 8));
    let frame = bytes.windows(2).position(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0 | 0xc2)).unwrap();
    bytes[frame + 9] = 4;
    assert!(super::bytes("x", &bytes).unwrap().cmyk);
}

#[test]
fn images_that_break_off_are_told_from_whole_ones() {
    for whole in [jpeg(&picture(60, 50)), png(&picture(60, 50))] {
        assert!(bytes("x", &whole).is_ok());
        let mut longer = whole.clone();
        longer.extend([0; 100]);
        longer.extend(b"what a camera adds");
        assert!(bytes("x", &longer).is_ok(), "more behind the end");
        for cut in [whole.len() - 2, whole.len() / 2, whole.len() / 3] {
            let text = message(bytes("half", &whole[..cut]));
            assert!(text.contains("half") && text.contains("breaks off"), "{cut}: {text}");
        }
    }
    // An end marker in what comes before the pixels is not the end.
    let whole = with_thumbnail(&jpeg(&picture(60, 50)));
    assert!(bytes("x", &whole).is_ok());
    assert!(message(bytes("x", &whole[..whole.len() - 9])).contains("breaks off"));
}

/// With a segment that holds a small image of its own.
fn with_thumbnail(bytes: &[u8]) -> Vec<u8> {
    let small = jpeg(&RgbImage::from_pixel(2, 2, Rgb([1, 2, 3])));
    let size = (small.len() as u16 + 2).to_be_bytes();
    [&bytes[..2], &[0xff, 0xe2], &size, &small, &bytes[2..]].concat()
}

#[test]
fn what_is_no_image_is_named() {
    for (start, says) in [
        (&b"RIFF\0\0\0\0WEBP"[..], "WebP"),
        (b"GIF89a\0\0\0\0", "GIF"),
        (b"<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs", "Git LFS"),
        (b"abc", "breaks off"),
        (b"something else", "something else"),
    ] {
        let text = message(bytes("x.jpg", start));
        assert!(text.contains(says) && text.contains("x.jpg"), "{says}: {text}");
    }
    let dir = Scratch::new();
    assert!(message(file(&dir.write("e.jpg", b""))).contains("empty"));
    assert!(message(file(dir.path())).contains("directory"));
    // A palette that a decoder fails on.
    let mut bad = png(&picture(2, 2))[..33].to_vec();
    bad.extend(chunk(b"PLTE", &[1, 2, 3, 4]));
    bad.extend(chunk(b"IDAT", &[]));
    bad.extend(chunk(b"IEND", &[]));
    assert!(message(bytes("x", &bad)).contains("palette"));
    let mut large = png(&picture(2, 2));
    large[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    large[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    assert!(message(bytes("x", &large)).contains("60000x60000"));
}

#[test]
fn sizes_that_the_bytes_cannot_hold_are_refused() {
    let mut large = png(&picture(2, 2));
    large[16..20].copy_from_slice(&9_000u32.to_be_bytes());
    large[20..24].copy_from_slice(&9_000u32.to_be_bytes());
    assert!(message(bytes("x", &large)).contains("9000x9000 pixels, which"));
    let mut large = jpeg(&picture(8, 8));
    let frame = large.windows(2).position(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0 | 0xc2)).unwrap();
    large[frame + 5..frame + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
    assert!(message(bytes("x", &large)).contains("8192x8192 pixels, which"));
    // What packs best is taken.
    for (width, height) in [(2000, 2000), (1, 30_000), (10_000, 3)] {
        let flat = RgbImage::new(width, height);
        assert!(bytes("x", &png(&flat)).is_ok() && bytes("x", &jpeg(&flat)).is_ok(), "{width}x{height}");
    }
    let grey = DynamicImage::from(GrayImage::new(3000, 3000));
    assert!(bytes("x", &encode(&grey, ImageFormat::Jpeg)).is_ok());
}

#[test]
fn damaged_files_are_errors_and_no_panics() {
    let mut stream = crate::rng::Stream::new(3, "probe");
    for whole in [with_exif(&jpeg(&picture(40, 30)), 6), png(&picture(40, 30))] {
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..1 + stream.below(6) {
                let at = stream.below(bytes.len().min(300));
                bytes[at] = stream.bits() as u8;
            }
            bytes.truncate(bytes.len() - stream.below(bytes.len()) * usize::from(stream.below(4) == 0));
            let _ = super::bytes("x", &bytes);
        }
    }
}
