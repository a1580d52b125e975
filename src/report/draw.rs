//! Boxes with labels, drawn onto a picture.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::font;

/// A box to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelled<'a> {
    /// Left, top, width and height, in pixels of the picture.
    pub bounds: [f32; 4],
    /// What stands at its upper edge; nothing where it is empty.
    pub label: &'a str,
    /// Its class, which has a colour of its own.
    pub class: usize,
}

/// Colours that are told apart on photographs, also by those who see few colours: the first ones after Okabe and Ito.
const COLOURS: [[u8; 3]; 12] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [213, 94, 0],
    [204, 121, 167],
    [0, 114, 178],
    [146, 208, 80],
    [148, 103, 189],
    [255, 152, 150],
    [23, 190, 207],
    [166, 118, 72],
];

/// A picture of an image that fits somewhere, for boxes in pixels of the image.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Of the picture: at most as wide and high as was asked for.
    picture: RgbImage,
    /// Pixels of the picture for one of the image, across and down.
    scale: [f64; 2],
}

impl Fitted {
    /// The image in at most `most` pixels, width and height. Small images grow by whole steps, so that their pixels are seen.
    #[must_use]
    pub fn new(image: &RgbImage, most: [u32; 2]) -> Self {
        let [w, h] = [image.width(), image.height()].map(|side| f64::from(side.max(1)));
        let scale = (f64::from(most[0]) / w).min(f64::from(most[1]) / h);
        let scale = if scale > 1.0 { scale.floor() } else { scale };
        let side = |side: f64, most: u32| ((side * scale).round() as u32).clamp(1, most.max(1));
        let (width, height) = (side(w, most[0]), side(h, most[1]));
        // The mean of the pixels that become one needs no copy of an image that may be very wide.
        let picture = match scale >= 1.0 {
            true => imageops::resize(image, width, height, FilterType::Nearest),
            false => imageops::thumbnail(image, width, height),
        };
        Self { picture, scale: [f64::from(width) / w, f64::from(height) / h] }
    }

    /// The picture with boxes, whose bounds are in pixels of the image.
    #[must_use]
    pub fn with_boxes(&self, labelled: &[Labelled<'_>]) -> RgbImage {
        let [across, down] = self.scale;
        let scaled = labelled.iter().map(|one| {
            let [x, y, w, h] = one.bounds.map(f64::from);
            let bounds = [x * across, y * down, w * across, h * down].map(|value| value as f32);
            Labelled { bounds, ..*one }
        });
        let mut picture = self.picture.clone();
        boxes(&mut picture, &scaled.collect::<Vec<_>>());
        picture
    }
}

/// The colour of a class: red, green, blue.
pub fn colour(class: usize) -> [u8; 3] {
    COLOURS[class % COLOURS.len()]
}

/// Draws boxes with their labels, the last one on top. Lines and letters grow with the picture. Boxes may reach out of it.
pub fn boxes(picture: &mut RgbImage, boxes: &[Labelled<'_>]) {
    let (width, height) = picture.dimensions();
    let line = (width.max(height) / 240).clamp(2, 12) as i32;
    for labelled in boxes {
        outline(picture, corners(labelled.bounds), line, colour(labelled.class));
    }
    // Labels last: a box must not cross them.
    let size = text_size(width, height);
    for labelled in boxes.iter().filter(|labelled| !labelled.label.is_empty()) {
        let [left, top, _, _] = corners(labelled.bounds);
        let (wide, high) = (text_width(labelled.label, size) + 3 * size, (font::HEIGHT as i32 + 1) * size);
        // Above the box where there is room, else inside.
        let y = if top >= high { top - high } else { top.max(0) };
        let x = left.min(width as i32 - wide).max(0);
        let ground = colour(labelled.class);
        fill(picture, [x, y, x + wide, y + high], ground);
        text(picture, [x + 2 * size, y + size], size, ink(ground), labelled.label);
    }
}

/// Pixels of a letter's pixel, on a picture of this size.
pub(crate) fn text_size(width: u32, height: u32) -> i32 {
    (width.max(height) / 320).clamp(1, 8) as i32
}

/// Pixels that a text is wide.
pub(crate) fn text_width(words: &str, size: i32) -> i32 {
    words.chars().take(200).count() as i32 * (font::WIDTH as i32 + 1) * size
}

/// Writes text from its upper left corner; `size` is that of [`text_size`]. Letters that the font lacks are boxes.
pub(crate) fn text(picture: &mut RgbImage, [left, top]: [i32; 2], size: i32, colour: [u8; 3], words: &str) {
    for (k, letter) in words.chars().take(200).enumerate() {
        let left = left + k as i32 * (font::WIDTH as i32 + 1) * size;
        for y in 0..font::HEIGHT {
            for x in (0..font::WIDTH).filter(|&x| font::is_set(letter, x, y)) {
                let (x, y) = (left + x as i32 * size, top + y as i32 * size);
                fill(picture, [x, y, x + size, y + size], colour);
            }
        }
    }
}

/// Fills left, top up to right, bottom, as far as that is on the picture.
pub(crate) fn fill(picture: &mut RgbImage, [left, top, right, bottom]: [i32; 4], colour: [u8; 3]) {
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    for y in top.max(0)..bottom.min(height) {
        for x in left.max(0)..right.min(width) {
            picture.put_pixel(x as u32, y as u32, Rgb(colour));
        }
    }
}

/// Left, top, right, bottom in whole pixels, not much farther out than any picture.
fn corners([left, top, width, height]: [f32; 4]) -> [i32; 4] {
    // A float that is no number becomes 0.
    [left, top, left + width, top + height].map(|at| at.clamp(-1e6, 1e6).round() as i32)
}

/// A frame of `line` pixels around the inside of a box, with a thin dark edge that shows it on bright ground.
fn outline(picture: &mut RgbImage, [left, top, right, bottom]: [i32; 4], line: i32, colour: [u8; 3]) {
    let (right, bottom) = (right.max(left + 1), bottom.max(top + 1));
    let mut frame = |out: i32, line: i32, colour: [u8; 3]| {
        let [l, t, r, b] = [left - out, top - out, right + out, bottom + out];
        fill(picture, [l, t, r, t + line], colour);
        fill(picture, [l, b - line, r, b], colour);
        fill(picture, [l, t, l + line, b], colour);
        fill(picture, [r - line, t, r, b], colour);
    };
    let edge = (line / 3).max(1);
    frame(edge, line + 2 * edge, colour.map(|value| value / 4));
    frame(0, line, colour);
}

/// Black or white, whichever is read better on a ground.
fn ink([r, g, b]: [u8; 3]) -> [u8; 3] {
    let luminance = 0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b);
    if luminance > 110.0 { [0, 0, 0] } else { [255, 255, 255] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb([90, 90, 90]))
    }

    #[test]
    fn a_box_is_where_it_should_be() {
        let mut picture = grey(100, 80);
        boxes(&mut picture, &[Labelled { bounds: [20.0, 30.0, 40.0, 20.0], label: "", class: 1 }]);
        let is = |x: u32, y: u32| *picture.get_pixel(x, y) == Rgb(colour(1));
        for (x, y) in [(20, 30), (59, 30), (20, 49), (59, 49), (40, 30), (20, 40)] {
            assert!(is(x, y), "{x} {y}");
        }
        assert_eq!(*picture.get_pixel(40, 40), Rgb([90, 90, 90]));
        assert_eq!(*picture.get_pixel(40, 60), Rgb([90, 90, 90]));
        assert_eq!(picture.pixels().filter(|pixel| **pixel == Rgb(colour(1))).count(), 40 * 20 - 36 * 16);
    }

    #[test]
    fn a_label_stands_above_or_inside_and_on_the_picture() {
        for (bounds, y) in [([20.0, 30.0, 40.0, 20.0], 20..30), ([20.0, 3.0, 40.0, 20.0], 3..13)] {
            let mut picture = grey(100, 80);
            boxes(&mut picture, &[Labelled { bounds, label: "cat", class: 0 }]);
            let ground = |y: u32| *picture.get_pixel(21, y) == Rgb(colour(0));
            assert!(y.clone().all(ground), "{bounds:?}");
            assert!(
                y.flat_map(|y| (20..45).map(move |x| (x, y)))
                    .any(|(x, y)| picture.get_pixel(x, y).0 == [0; 3])
            );
        }
        let mut picture = grey(100, 80);
        boxes(&mut picture, &[Labelled { bounds: [95.0, 40.0, 5.0, 5.0], label: "elephant", class: 0 }]);
        assert_eq!(*picture.get_pixel(99, 31), Rgb(colour(0)));
    }

    #[test]
    fn what_is_out_of_the_picture_does_no_harm() {
        let mut picture = grey(10, 10);
        let odd = [
            [-5.0, -5.0, 100.0, 100.0],
            [f32::NAN, 0.0, 1.0, 1.0],
            [f32::INFINITY, 0.0, 1.0, f32::NEG_INFINITY],
            [3.0, 3.0, 0.0, 0.0],
            [50.0, 50.0, 9.0, 9.0],
        ];
        for bounds in odd {
            boxes(
                &mut picture,
                &[Labelled { bounds, label: "日本 and a label longer than the picture", class: 99 }],
            );
        }
        boxes(&mut RgbImage::new(0, 0), &[Labelled { bounds: [0.0; 4], label: "x", class: 0 }]);
    }

    #[test]
    fn neighbouring_classes_differ_in_colour() {
        assert!((0..40).all(|class| colour(class) != colour(class + 1)));
    }
}
