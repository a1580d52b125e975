//! How an image of any size becomes one of the network's.

use std::fmt;
use std::str::FromStr;

use ::image::RgbImage;

use crate::{Error, Result};

/// The value around a letterboxed image, of 255: darknet's 0.5.
const GREY: f32 = 127.5;

/// How an image is brought to the network's size.
///
/// Both interpolate linearly between the four pixels around a place with the corners of both images on each other, so that
/// the pixel x of n shows the place x (N - 1) / (n - 1) of N; nothing is averaged where an image shrinks. That is
/// darknet's `resize_image`, whose networks expect it. darknet keeps floats; [`Resize::write`] rounds values to bytes, a grey of
/// 127.5 to 128, and [`Resize::write_floats`] does as darknet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resize {
    /// To the whole input, whatever that does to its proportions.
    #[default]
    Stretch,
    /// With its proportions, in the middle of a grey input: one side is the input's, the other one's length is rounded
    /// down.
    Letterbox,
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resize::Stretch => "stretch",
            Resize::Letterbox => "letterbox",
        })
    }
}

impl FromStr for Resize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "stretch" => Ok(Resize::Stretch),
            "letterbox" => Ok(Resize::Letterbox),
            _ => Err(Error::config("resize", format!("expected stretch or letterbox, got \"{text}\""))),
        }
    }
}

/// Where in the input an image is, in pixels of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Resize {
    fn place(self, [w, h]: [u32; 2], [net_h, net_w]: [usize; 2]) -> Place {
        let (net_w, net_h) = (net_w as u32, net_h as u32);
        let whole = Place { left: 0, top: 0, width: net_w, height: net_h };
        if self == Resize::Stretch || w == 0 || h == 0 {
            return whole;
        }
        let scaled =
            |side: u32, by: u32, of: u32| ((u64::from(side) * u64::from(by) / u64::from(of)) as u32).max(1);
        let wide = u64::from(net_w) * u64::from(h) < u64::from(net_h) * u64::from(w);
        let (width, height) = if wide { (net_w, scaled(h, net_w, w)) } else { (scaled(w, net_h, h), net_h) };
        Place { left: (net_w - width) / 2, top: (net_h - height) / 2, width, height }
    }

    /// The part of an image of this width and height that an input of (height, width) shows: left, top, width and height in
    /// pixels of the image. A letterboxed one begins left of the image or above it.
    pub fn frame(self, image: [u32; 2], input: [usize; 2]) -> [f32; 4] {
        let place = self.place(image, input);
        let along = |side: u32, place: u32, before: u32, net: usize| {
            let scale = f64::from(side) / f64::from(place.max(1));
            ((-f64::from(before) * scale) as f32, (net as f64 * scale) as f32)
        };
        let (left, width) = along(image[0], place.width, place.left, input[1]);
        let (top, height) = along(image[1], place.height, place.top, input[0]);
        [left, top, width, height]
    }

    /// Writes the image into an input of (height, width): `out` is (3, height, width).
    ///
    /// # Errors
    /// [`Error::Config`] where `out` has another length, or the image no pixels.
    pub fn write(self, image: &RgbImage, input: [usize; 2], out: &mut [u8]) -> Result<()> {
        self.write_as(image, input, out, |value| value.round() as u8)
    }

    /// The same, from 0 to 1 and not rounded.
    ///
    /// # Errors
    /// As [`Resize::write`].
    pub fn write_floats(self, image: &RgbImage, input: [usize; 2], out: &mut [f32]) -> Result<()> {
        self.write_as(image, input, out, |value| value / 255.0)
    }

    /// `stored` makes a value of 0 to 255 what is written.
    fn write_as<T: Copy>(
        self,
        image: &RgbImage,
        input: [usize; 2],
        out: &mut [T],
        stored: impl Fn(f32) -> T,
    ) -> Result<()> {
        let [height, width] = input;
        let plane = height * width;
        if out.len() != 3 * plane || plane == 0 || image.width() == 0 || image.height() == 0 {
            let (w, h) = image.dimensions();
            let message = format!("{w}x{h} pixels can't become {width}x{height} in {} values", out.len());
            return Err(Error::config("image size", message));
        }
        let place = self.place([image.width(), image.height()], input);
        if self == Resize::Letterbox {
            out.fill(stored(GREY));
        }
        let across = taps(image.width(), place.width);
        let mut rows = Rows { image, across: &across, kept: Default::default() };
        for (y, &(above, share)) in taps(image.height(), place.height).iter().enumerate() {
            let below = (above + 1).min(image.height() - 1);
            rows.want([above, below]);
            let (above, below) = (rows.get(above), rows.get(below));
            let start = (place.top as usize + y) * width + place.left as usize;
            for x in 0..place.width as usize {
                for c in 0..3 {
                    let (a, b) = (above[3 * x + c], below[3 * x + c]);
                    out[c * plane + start + x] = stored(a * (1.0 - share) + b * share);
                }
            }
        }
        Ok(())
    }
}

/// For each of `to` places, the pixel of `from` before it and the share of the next one.
fn taps(from: u32, to: u32) -> Vec<(u32, f32)> {
    let scale = f64::from(from - 1) / f64::from(to.max(2) - 1);
    let tap = |i: u32| {
        let at = f64::from(i) * scale;
        let before = (at as u32).min(from - 1);
        (before, (at - f64::from(before)) as f32)
    };
    // The last place is the last pixel, also where there is one place only, as darknet has it.
    (0..to).map(|i| if i + 1 == to { (from - 1, 0.0) } else { tap(i) }).collect()
}

/// Rows of the image that are as wide as the input already: the two that are needed.
struct Rows<'a> {
    image: &'a RgbImage,
    across: &'a [(u32, f32)],
    kept: [(Option<u32>, Vec<f32>); 2],
}

impl Rows<'_> {
    fn want(&mut self, wanted: [u32; 2]) {
        for row in wanted {
            if self.kept.iter().any(|(kept, _)| *kept == Some(row)) {
                continue;
            }
            let free = self.kept.iter().position(|(kept, _)| kept.is_none_or(|kept| !wanted.contains(&kept)));
            let Some((kept, values)) = free.and_then(|free| self.kept.get_mut(free)) else { continue };
            *kept = Some(row);
            values.clear();
            let width = self.image.width() as usize;
            let line = &self.image.as_raw()[row as usize * width * 3..(row as usize + 1) * width * 3];
            for &(before, share) in self.across {
                let (a, b) = (before as usize * 3, (before as usize + 1).min(width - 1) * 3);
                values.extend(
                    (0..3).map(|c| f32::from(line[a + c]) * (1.0 - share) + f32::from(line[b + c]) * share),
                );
            }
        }
    }

    fn get(&self, row: u32) -> &[f32] {
        self.kept.iter().find(|(kept, _)| *kept == Some(row)).map_or(&[], |(_, values)| values)
    }
}

#[cfg(test)]
#[path = "resize_tests.rs"]
mod tests;
