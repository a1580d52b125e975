//! Generated images of discs, squares, triangles and rings, with their boxes: data for demos and tests that needs no download.
//!
//! Shapes of 10 to 44 pixels, which may overlap, on a background that varies, all under noise. An image depends on nothing but
//! the seed and its number.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Annotation, BoxImage, BoxSet, SetOptions};
use crate::data::Split;
use crate::rng::Stream;
use crate::{Error, Result};

/// The classes.
pub const CLASSES: [&str; 4] = ["disc", "square", "triangle", "ring"];

/// About what colour each class has: not enough to go by alone.
const COLOURS: [[f64; 3]; 4] = [[230., 90., 80.], [90., 210., 100.], [90., 120., 240.], [230., 210., 90.]];

/// Shapes that no more than this share of is covered by later ones are kept.
const MOST_COVERED: f64 = 0.5;

/// Pixels of an image's side: the largest shape and a border fit in, and a network's input has no more.
const SIDES: RangeInclusive<u32> = 48..=8192;

/// `n` images, `side` pixels wide and high (48 to 8192), for a part of a set: parts of the same seed have no image in common.
///
/// ```
/// use limbeck::data::boxes::{SetOptions, shapes};
/// use limbeck::data::{Source, Split};
///
/// let set = shapes::generate(Split::Train, 8, 96, 1, &SetOptions { size: [96, 96], ..Default::default() })?;
/// assert_eq!((set.len(), set.class_names()[3].as_str()), (8, "ring"));
/// # Ok::<(), limbeck::Error>(())
/// ```
///
/// # Errors
/// [`Error::Config`] for another side, and those of [`BoxSet::new`], such as for no image.
pub fn generate(split: Split, n: usize, side: u32, seed: u64, options: &SetOptions) -> Result<BoxSet> {
    if !SIDES.contains(&side) {
        let message =
            format!("expected images of {} to {} pixels a side, got {side}", SIDES.start(), SIDES.end());
        return Err(Error::config("shapes", message));
    }
    let images = (0..n).map(|number| {
        let mut random = Stream::new(seed, &format!("shapes {split} {number}"));
        image(&format!("{split}-{number}"), side, &mut random)
    });
    let classes = CLASSES.map(String::from).to_vec();
    BoxSet::new("shapes", split, classes, images.collect::<Result<_>>()?, options)
}

/// One shape.
struct Shape {
    class: usize,
    centre: [f64; 2],
    /// Half its width.
    radius: f64,
    colour: [f64; 3],
}

impl Shape {
    fn draw(random: &mut Stream, side: f64) -> Self {
        // Small ones are as likely as large ones.
        let radius = 5.0 * random.uniform(0.0, (22f64 / 5.0).ln()).exp();
        let centre = [0, 1].map(|_| random.uniform(radius + 1.0, side - radius - 1.0));
        let class = random.below(CLASSES.len());
        let colour = COLOURS[class].map(|value| (value + random.uniform(-60.0, 60.0)).clamp(0.0, 255.0));
        Self { class, centre, radius, colour }
    }

    /// Whether it covers the place.
    fn covers(&self, x: f64, y: f64) -> bool {
        let [dx, dy] = [(x - self.centre[0]) / self.radius, (y - self.centre[1]) / self.radius];
        let distance = dx.hypot(dy);
        match CLASSES[self.class] {
            "disc" => distance <= 1.0,
            "square" => dx.abs().max(dy.abs()) <= 1.0,
            // Its tip is above, its base below.
            "triangle" => dy.abs() <= 1.0 && dx.abs() <= (dy + 1.0) / 2.0,
            _ => (0.6..=1.0).contains(&distance),
        }
    }

    fn bounds(&self) -> [f32; 4] {
        let [x, y] = self.centre.map(|centre| (centre - self.radius) as f32);
        [x, y, 2.0 * self.radius as f32, 2.0 * self.radius as f32]
    }
}

fn image(name: &str, side: u32, random: &mut Stream) -> Result<BoxImage> {
    let n = side as usize;
    let shapes: Vec<Shape> = (0..2 + random.below(4)).map(|_| Shape::draw(random, f64::from(side))).collect();
    let (from, to) =
        ([0, 1, 2].map(|_| random.uniform(0.0, 120.0)), [0, 1, 2].map(|_| random.uniform(0.0, 120.0)));
    let mut pixels = Vec::with_capacity(n * n * 3);
    // Pixels that each shape has, and those of them that are seen.
    let (mut all, mut seen) = (vec![0usize; shapes.len()], vec![0usize; shapes.len()]);
    for y in 0..n {
        for x in 0..n {
            let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
            let mut top = None;
            for (at, _) in shapes.iter().enumerate().filter(|(_, shape)| shape.covers(px, py)) {
                all[at] += 1;
                top = Some(at);
            }
            if let Some(at) = top {
                seen[at] += 1;
            }
            let share = (px + py) / (2.0 * n as f64);
            for channel in 0..3 {
                let behind = from[channel] + share * (to[channel] - from[channel]);
                let value = top.map_or(behind, |at| shapes[at].colour[channel]);
                pixels.push((value + 12.0 * random.normal()).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let kept = shapes
        .iter()
        .enumerate()
        .filter(|(at, _)| all[*at] > 0 && seen[*at] as f64 >= (1.0 - MOST_COVERED) * all[*at] as f64);
    let boxes = kept.map(|(_, shape)| Annotation::new(shape.bounds(), shape.class)).collect();
    let pixels: Arc<[u8]> = pixels.into();
    BoxImage::rgb(name, [side, side], pixels, boxes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::data::testing::message;

    fn options() -> SetOptions {
        SetOptions { size: [96, 96], ..Default::default() }
    }

    #[test]
    fn the_same_seed_gives_the_same_images() {
        let set = |split, seed| generate(split, 20, 96, seed, &options()).unwrap();
        assert_eq!(set(Split::Train, 1).fingerprint(), set(Split::Train, 1).fingerprint());
        assert_ne!(set(Split::Train, 1).fingerprint(), set(Split::Train, 2).fingerprint());
        assert_ne!(set(Split::Train, 1).fingerprint(), set(Split::Test, 1).fingerprint());
        assert!(set(Split::Train, 1).class_counts().iter().all(|n| *n > 5));
    }

    #[test]
    fn sides_that_shapes_do_not_fit_in_are_refused() {
        for side in [0, 47, 8193, u32::MAX] {
            let text = message(generate(Split::Train, 1, side, 1, &options()));
            assert!(text.contains("48 to 8192") && text.contains(&format!("got {side}")), "{text}");
        }
        let set = generate(Split::Train, 30, 48, 1, &options()).unwrap();
        assert!(set.images().all(|image| image.size() == [48, 48]));
    }

    /// What has pixels in its middle has about its class's colour there, but where another shape lies over it.
    #[test]
    fn boxes_are_where_shapes_are() {
        let set = generate(Split::Train, 40, 96, 3, &options()).unwrap();
        let (mut right, mut all) = (0, 0);
        for image in set.images() {
            let pixels = image.decode().unwrap();
            for found in image.boxes.iter().filter(|found| CLASSES[found.class] != "ring") {
                let [x, y, w, h] = found.bounds;
                let middle = pixels.get_pixel((x + w / 2.0) as u32, (y + h / 2.0) as u32);
                let near = |c: usize| (f64::from(middle[c]) - COLOURS[found.class][c]).abs() < 100.0;
                all += 1;
                right += usize::from((0..3).all(near));
            }
        }
        assert!(all > 60 && right * 10 > all * 8, "{right} of {all}");
    }
}
