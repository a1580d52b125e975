//! A contact sheet: some images of a set in one picture, with their boxes.

use std::collections::HashSet;

use ::image::imageops;
use ::image::{Rgb, RgbImage};

use super::{BoxImage, BoxSet, BoxSets, Severity};
use crate::data::Source;
use crate::platform::parallel::{Cost, in_parallel};
use crate::report::draw::{self, Fitted, Labelled};
use crate::rng::Stream;
use crate::{Error, Result};

/// Pixels of a tile, width and height without the line of text below.
const TILE: [u32; 2] = [360, 270];
/// Pixels between tiles, and of the line of text.
const GAP: u32 = 8;
const CAPTION: u32 = 14;
const COLUMNS: usize = 4;
/// Images of a sheet.
const MOST: usize = 400;
const GROUND: Rgb<u8> = Rgb([24, 26, 30]);

impl BoxSets {
    /// A picture of up to `count` images with their boxes: first those of which something was odd, then others of every part,
    /// drawn by `seed`. Boxes that are not learned say why. 400 images are 1480x29208 pixels.
    ///
    /// # Errors
    /// [`Error::Config`] for no image or more than 400, and [`Error::File`] for one that can't be decoded.
    pub fn contact_sheet(&self, count: usize, seed: u64) -> Result<RgbImage> {
        if !(1..=MOST).contains(&count) {
            return Err(Error::config("contact sheet", format!("expected 1 to {MOST} images, got {count}")));
        }
        let chosen = self.chosen(count, seed);
        // Every set has an image.
        let columns = COLUMNS.min(chosen.len()).max(1);
        let rows = chosen.len().div_ceil(columns) as u32;
        let [wide, high] = [TILE[0] + GAP, TILE[1] + CAPTION + GAP];
        let mut sheet = RgbImage::from_pixel(columns as u32 * wide + GAP, rows * high + GAP, GROUND);
        let tiles = in_parallel(Cost::Large, &chosen, |(image, classes)| tile(image, classes));
        for (k, (drawn, (image, _))) in tiles.into_iter().zip(&chosen).enumerate() {
            let drawn = drawn?;
            let (x, y) = ((k % columns) as u32 * wide + GAP, (k / columns) as u32 * high + GAP);
            let (dx, dy) = ((TILE[0] - drawn.width()) / 2, (TILE[1] - drawn.height()) / 2);
            imageops::replace(&mut sheet, &drawn, i64::from(x + dx), i64::from(y + dy));
            let caption = caption(&image.name, image.boxes.len());
            draw::text(&mut sheet, [x as i32, (y + TILE[1] + 3) as i32], 1, [200, 204, 210], &caption);
        }
        Ok(sheet)
    }

    /// Up to `count` images with the names of their classes, each once.
    fn chosen(&self, count: usize, seed: u64) -> Vec<(&BoxImage, &[String])> {
        let sets: Vec<&BoxSet> = self.parts().map(|(_, set)| set).collect();
        let odd = self.odd_names();
        let is_odd =
            |set: &BoxSet, at: usize| set.image(at).is_some_and(|image| odd.contains(stem(&image.name)));
        // Of every part first its odd images, in its order, then the others in a drawn one.
        let mut stream = Stream::new(seed, "contact sheet");
        let mut of_parts = Vec::new();
        for (k, set) in sets.iter().enumerate() {
            let drawn = stream.permutation(set.len()).into_iter();
            let (mut first, others): (Vec<usize>, Vec<usize>) = drawn.partition(|&at| is_odd(set, at));
            first.sort_unstable();
            of_parts.push((k, first.into_iter(), others.into_iter()));
        }
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        for (k, first, _) in &mut of_parts {
            let free = (count / 2).saturating_sub(chosen.len());
            chosen.extend(first.take(free).map(|at| (*k, at)));
        }
        // The training part, which comes first, has most of the others.
        for (k, _, others) in &mut of_parts {
            let left = count.saturating_sub(chosen.len());
            let parts = if *k == 0 { sets.len().min(2) } else { sets.len() - *k };
            chosen.extend(others.take(left.div_ceil(parts)).map(|at| (*k, at)));
        }
        // Where a part has fewer than its share, others have more.
        for (k, first, others) in &mut of_parts {
            let left = count.saturating_sub(chosen.len());
            chosen.extend(others.chain(first).take(left).map(|at| (*k, at)));
        }
        let images = chosen.into_iter().filter_map(|(k, at)| Some((sets.get(k)?, at)));
        images.filter_map(|(set, at)| Some((set.image(at)?, set.class_names()))).collect()
    }

    /// Names, without folder and ending, of files of which something is odd.
    fn odd_names(&self) -> HashSet<&str> {
        let kinds = self.traps.kinds().into_iter().filter(|kind| kind.severity() > Severity::Note);
        kinds.flat_map(|kind| self.traps.places(kind)).map(|place| stem(place)).collect()
    }
}

/// The name of a file up to its first dot.
fn stem(place: &str) -> &str {
    let name = place.rsplit('/').next().unwrap_or(place);
    name.split('.').next().unwrap_or(name)
}

fn caption(name: &str, boxes: usize) -> String {
    let most = (TILE[0] / 6) as usize - 14;
    let letters: Vec<char> = name.chars().collect();
    let name = match letters.len() > most {
        true => format!("..{}", letters[letters.len() - most + 2..].iter().collect::<String>()),
        false => name.to_string(),
    };
    format!("{name}  {boxes} {}", if boxes == 1 { "box" } else { "boxes" })
}

/// An image no larger than a tile, with its boxes.
fn tile(image: &BoxImage, classes: &[String]) -> Result<RgbImage> {
    let labels: Vec<String> = image
        .boxes
        .iter()
        .map(|annotation| {
            let name = classes.get(annotation.class).map_or("?", String::as_str);
            match (annotation.crowd, annotation.difficult) {
                (true, _) => format!("{name} (crowd)"),
                (_, true) => format!("{name} (difficult)"),
                _ => name.to_string(),
            }
        })
        .collect();
    let labelled = image.boxes.iter().zip(&labels).map(|(annotation, label)| Labelled {
        bounds: annotation.bounds,
        label,
        class: annotation.class,
    });
    Ok(Fitted::new(&image.decode()?, TILE).with_boxes(&labelled.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::boxes::testing::write_pictures;
    use crate::data::boxes::{OpenOptions, open};
    use crate::data::testing::{Scratch, message};

    #[test]
    fn odd_images_come_first_and_all_parts_are_shown() {
        let dir = Scratch::new();
        for k in 0..9 {
            let part = if k < 6 { "train" } else { "val" };
            write_pictures(&dir, &[&format!("images/{part}/{k}.png")]);
            let text = if k == 5 { "0 .5 .5 0 .1\n0 .5 .5 .5 .5\n" } else { "0 .5 .5 .5 .5\n" };
            dir.write(&format!("labels/{part}/{k}.txt"), text);
        }
        dir.write("classes.txt", "thing\n");
        let sets = open(dir.path(), &OpenOptions::default()).unwrap();
        let chosen = sets.chosen(4, 0);
        assert_eq!(chosen[0].0.name, "images/train/5.png");
        assert_eq!(chosen.iter().filter(|(image, _)| image.name.contains("val")).count(), 1);
        assert_eq!(sets.chosen(100, 0).len(), 9);
        let sheet = sets.contact_sheet(4, 0).unwrap();
        assert_eq!(sheet.dimensions(), (4 * 368 + 8, 270 + 14 + 8 + 8));
        // The box's colour, at its left edge: an image of 40x20 is 360x180 in its tile.
        let (x, y) = (GAP + 90, GAP + (270 - 180) / 2 + 90);
        assert_eq!(sheet.get_pixel(x, y).0, draw::colour(0));
        for count in [0, MOST + 1] {
            assert!(message(sets.contact_sheet(count, 0)).contains("1 to 400"));
        }
    }

    /// As many as are asked for, each once, whichever part has them and however many are odd.
    #[test]
    fn a_sheet_is_filled() {
        let dir = Scratch::new();
        for k in 0..20 {
            let part = if k < 18 { "train" } else { "val" };
            write_pictures(&dir, &[&format!("images/{part}/{k}.png")]);
            let text = if k < 9 { "0 .5 .5 0 .1\n0 .5 .5 .5 .5\n" } else { "0 .5 .5 .5 .5\n" };
            dir.write(&format!("labels/{part}/{k}.txt"), text);
        }
        dir.write("classes.txt", "thing\n");
        let sets = open(dir.path(), &OpenOptions::default()).unwrap();
        for count in [1, 4, 12, 19, 20] {
            let names: HashSet<&str> =
                sets.chosen(count, 0).iter().map(|(image, _)| image.name.as_str()).collect();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn very_wide_and_very_small_images_fit_in_a_tile() {
        let of = |w: u32, h: u32| {
            let image = BoxImage::rgb("a", [w, h], vec![7; (w * h * 3) as usize], Vec::new()).unwrap();
            let drawn = tile(&image, &[]).unwrap();
            assert!(drawn.pixels().all(|pixel| pixel.0 == [7; 3]), "{w}x{h}");
            drawn.dimensions()
        };
        assert_eq!((of(1_000_000, 1), of(1, 1_000_000)), ((360, 1), (1, 270)));
        // By four, and not by four and a half.
        assert_eq!((of(80, 60), of(1, 1), of(720, 540)), ((320, 240), (270, 270), (360, 270)));
    }

    #[test]
    fn names_are_compared_without_folder_and_ending() {
        assert_eq!(stem("a/b/c.txt:3 (class 1)"), "c");
        assert_eq!(stem("images/c.jpg"), "c");
        let long = caption(&"x".repeat(200), 1);
        assert!(long.len() <= 60 && long.starts_with("..x") && long.ends_with("1 box"), "{long}");
    }
}
