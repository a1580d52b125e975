//! What an image file's head and tail say: size, orientation, colours, and whether it is whole. Nothing is decoded, so that
//! a large data set is listed in little time; decoders do not say that a JPEG file breaks off, and fill up with grey.

use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use ::image::metadata::Orientation;
use sha2::{Digest, Sha256};

use crate::data::image_file::MAX_PIXELS;
use crate::{Error, Result, files};

/// Bytes of a file's end that stand for its content.
const TAIL: u64 = 4096;
/// An EXIF block over this length is passed over: a JPEG segment has at most 64 KiB.
const MAX_EXIF: u32 = 1 << 16;

/// What is known of an image before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Probe {
    /// Width and height as stored.
    pub size: [u32; 2],
    /// How the camera was held.
    pub orientation: Orientation,
    /// One value a pixel.
    pub grey: bool,
    /// Has transparency.
    pub alpha: bool,
    /// Four inks (JPEG).
    pub cmyk: bool,
    /// Over eight bits a value.
    pub deep: bool,
    /// Several pictures (animated PNG).
    pub animated: bool,
    /// Bytes of a PNG image's pixels before they were packed.
    stored: u64,
    /// Tells files apart.
    pub content: [u8; 32],
}

impl Probe {
    fn new(size: [u32; 2]) -> Self {
        Self {
            size,
            orientation: Orientation::NoTransforms,
            grey: false,
            alpha: false,
            cmyk: false,
            deep: false,
            animated: false,
            stored: 0,
            content: [0; 32],
        }
    }

    /// Width and height of the upright image.
    pub(super) fn turned_size(&self) -> [u32; 2] {
        let [w, h] = self.size;
        match self.orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => [h, w],
            _ => [w, h],
        }
    }
}

/// Looks at a file.
///
/// # Errors
/// [`Error::File`] for one that is not there, is no PNG or JPEG image, breaks off, or is over the limit of pixels.
pub(super) fn file(path: &Path) -> Result<Probe> {
    let (file, length) = files::open_as(path, "a PNG or JPEG image")?;
    read(path, &mut BufReader::with_capacity(1 << 12, file), length)
}

/// As [`file`], from memory; `name` stands in messages.
pub(super) fn bytes(name: &str, bytes: &[u8]) -> Result<Probe> {
    read(Path::new(name), &mut Cursor::new(bytes), bytes.len() as u64)
}

fn read<R: Read + Seek>(path: &Path, source: &mut R, length: u64) -> Result<Probe> {
    let bad = |why: &str| Error::file(path, format!("{why}; replace or remove it"));
    let io = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => bad("the image breaks off in its head"),
        _ => files::read_error(path, &e),
    };
    let magic: [u8; 8] = take(source).map_err(io)?;
    let found = match magic {
        [0xff, 0xd8, ..] => jpeg(source, length).map_err(io)?,
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a] => png(source).map_err(io)?,
        _ => Err(format!("expected a PNG or JPEG image, found {}", kind_of(&magic))),
    };
    let mut probe = found.map_err(|why| bad(&why))?;
    let [w, h] = probe.size;
    if w == 0 || h == 0 || u64::from(w) * u64::from(h) > MAX_PIXELS {
        return Err(bad(&format!("expected 1 to {MAX_PIXELS} pixels, found {w}x{h}")));
    }
    let png = magic[0] == 0x89;
    // A decoder would ask for all of the memory first. A JPEG file has at least a bit for 8x8 pixels, and deflate makes at most
    // 1032 bytes of one.
    let most = if png { length.saturating_mul(1032) } else { length.saturating_mul(8 * 64) };
    let least = if png { probe.stored } else { u64::from(w) * u64::from(h) };
    if least > most {
        return Err(bad(&format!("the image says {w}x{h} pixels, which {length} bytes can't hold")));
    }
    let tail = tail(source, length).map_err(io)?;
    let whole = if png { ends_png(&tail) } else { tail.ends_with(&[0xff, 0xd9]) };
    if !whole && (png || !jpeg_is_whole(source).map_err(io)?) {
        return Err(bad("the image breaks off: its end is missing"));
    }
    let mut hash = Sha256::new();
    hash.update(length.to_le_bytes());
    hash.update(&tail);
    probe.content = hash.finalize().into();
    Ok(probe)
}

fn kind_of(magic: &[u8; 8]) -> &'static str {
    match magic {
        [b'R', b'I', b'F', b'F', ..] => "a WebP or other RIFF file",
        [b'B', b'M', ..] => "a BMP image",
        [b'G', b'I', b'F', b'8', ..] => "a GIF image",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "a TIFF image",
        [b'<', ..] => "a web page or other text",
        b"version " => "a pointer of Git LFS: fetch the file itself",
        _ => "something else",
    }
}

fn take<const N: usize>(source: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn tail<R: Read + Seek>(source: &mut R, length: u64) -> std::io::Result<Vec<u8>> {
    source.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::with_capacity(TAIL as usize);
    source.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Walks the segments up to the one with the size.
fn jpeg<R: Read + Seek>(source: &mut R, length: u64) -> std::io::Result<Result<Probe, String>> {
    let mut orientation = Orientation::NoTransforms;
    source.seek(SeekFrom::Start(2))?;
    loop {
        let marker = next_marker(source)?;
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        if matches!(marker, 0xd9 | 0xda) {
            return Ok(Err("the image has no size".into()));
        }
        let size = u64::from(u16::from_be_bytes(take(source)?));
        let start = source.stream_position()?;
        let end = start + size.saturating_sub(2);
        if size < 2 || end > length {
            return Ok(Err("the image breaks off in its head".into()));
        }
        match marker {
            // Start of frame, but for those that share its range: Huffman tables, arithmetic coding.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [bits, h1, h0, w1, w0, components]: [u8; 6] = take(source)?;
                let size = [[w1, w0], [h1, h0]].map(|pair| u32::from(u16::from_be_bytes(pair)));
                let mut probe = Probe::new(size);
                probe.orientation = orientation;
                (probe.grey, probe.cmyk, probe.deep) = (components == 1, components == 4, bits > 8);
                return Ok(Ok(probe));
            }
            0xe1 if size > 8 && take::<6>(source)? == *b"Exif\0\0" => {
                let mut exif = Vec::new();
                source.by_ref().take(size - 8).read_to_end(&mut exif)?;
                orientation = Orientation::from_exif_chunk(&exif).unwrap_or(orientation);
            }
            _ => {}
        }
        source.seek(SeekFrom::Start(end))?;
    }
}

/// The next marker's second byte; fill bytes and what stands before it are passed over.
fn next_marker(source: &mut impl Read) -> std::io::Result<u8> {
    let mut last = 0;
    loop {
        let [byte] = take::<1>(source)?;
        if last == 0xff && byte != 0xff && byte != 0 {
            return Ok(byte);
        }
        last = byte;
    }
}

/// Whether the end marker comes after the last scan: some cameras put more behind it.
fn jpeg_is_whole<R: Read + Seek>(source: &mut R) -> std::io::Result<bool> {
    source.seek(SeekFrom::Start(2))?;
    let mut source = BufReader::with_capacity(1 << 16, source);
    loop {
        let marker = match next_marker(&mut source) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        };
        match marker {
            0xd9 => return Ok(true),
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                let size = match take::<2>(&mut source) {
                    Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
                    other => u16::from_be_bytes(other?),
                };
                source.seek_relative(i64::from(size.max(2)) - 2)?;
            }
        }
    }
}

/// Walks the chunks up to the pixels.
fn png<R: Read + Seek>(source: &mut R) -> std::io::Result<Result<Probe, String>> {
    let mut probe = Probe::new([0, 0]);
    loop {
        let size = u32::from_be_bytes(take(source)?);
        let kind: [u8; 4] = take(source)?;
        let start = source.stream_position()?;
        match &kind {
            b"IHDR" if size == 13 => {
                let [w3, w2, w1, w0, h3, h2, h1, h0, bits, colour]: [u8; 10] = take(source)?;
                probe.size = [[w3, w2, w1, w0], [h3, h2, h1, h0]].map(u32::from_be_bytes);
                (probe.grey, probe.alpha) = (matches!(colour, 0 | 4), matches!(colour, 4 | 6));
                probe.deep = bits > 8;
                let channels = [1, 0, 3, 1, 2, 0, 4].get(usize::from(colour)).copied().unwrap_or(0);
                let row = (u64::from(probe.size[0]) * channels * u64::from(bits)).div_ceil(8);
                probe.stored = row.saturating_mul(u64::from(probe.size[1]));
            }
            // A decoder may fail on this, where it should say so.
            b"PLTE" if !size.is_multiple_of(3) => return Ok(Err("the image's palette is damaged".into())),
            b"tRNS" => probe.alpha = true,
            b"acTL" => probe.animated = true,
            b"eXIf" if size <= MAX_EXIF => {
                let mut exif = Vec::new();
                source.by_ref().take(u64::from(size)).read_to_end(&mut exif)?;
                probe.orientation = Orientation::from_exif_chunk(&exif).unwrap_or(probe.orientation);
            }
            b"IDAT" if probe.size == [0, 0] => return Ok(Err("the image has no size".into())),
            b"IDAT" => return Ok(Ok(probe)),
            b"IEND" => return Ok(Err("the image has no pixels".into())),
            _ => {}
        }
        source.seek(SeekFrom::Start(start + u64::from(size) + 4))?;
    }
}

/// Whether the end chunk comes, perhaps with more behind it.
fn ends_png(tail: &[u8]) -> bool {
    tail.windows(12).any(|window| window == b"\0\0\0\0IEND\xae\x42\x60\x82")
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
