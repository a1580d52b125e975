//! From what a label file says to boxes on an image: everything odd is counted, repaired, left out or refused.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::image::is_seen;
use super::label::{Listed, Place, RawBox, RawClass};
use super::probe::{self, Probe};
use super::text::{relative, why};
use super::traps::{Trap, Traps};
use super::{Annotation, BoxImage};
use crate::platform::parallel::{Cost, in_parallel};

/// A box that reaches out by less than this many pixels does so because someone rounded it.
const ROUNDED: f64 = 0.02;

/// What labels are held against.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    /// The data set's folder, for messages.
    pub root: &'a Path,
    pub classes: &'a [String],
    /// Classes by name.
    pub numbers: HashMap<&'a str, usize>,
    /// The share of a side that a box may reach out of its image.
    pub tolerance: f64,
    /// Whether the camera's orientation is applied.
    pub upright: bool,
    /// The most boxes of an image.
    pub most: usize,
}

impl Checker<'_> {
    /// The images that can be used, with their boxes, in the order of `listed`.
    pub(super) fn images(&self, listed: &[Listed], traps: &mut Traps) -> Vec<BoxImage> {
        let done = in_parallel(Cost::Small, listed, |listed| {
            let mut traps = Traps::default();
            (self.image(listed, &mut traps), traps)
        });
        let mut images = Vec::with_capacity(done.len());
        for (image, found) in done {
            traps.extend(found);
            images.extend(image);
        }
        images
    }

    fn image(&self, listed: &Listed, traps: &mut Traps) -> Option<BoxImage> {
        let name = relative(self.root, &listed.image);
        let probe = match probe::file(&listed.image) {
            Ok(probe) => probe,
            Err(e) => {
                let why = why(&listed.image, &e);
                let why = why.strip_suffix("; replace or remove it").unwrap_or(&why);
                traps.add(Trap::Damaged, || format!("{name} ({why})"));
                return None;
            }
        };
        let turned = self.size_and_turn(listed, &probe, &name, traps);
        for (is, trap) in [
            (probe.grey, Trap::Grey),
            (probe.alpha, Trap::Alpha),
            (probe.cmyk, Trap::FourInks),
            (probe.deep, Trap::Deep),
            (probe.animated, Trap::Animated),
        ] {
            if is {
                traps.add(trap, || name.clone());
            }
        }
        let mut image = BoxImage::file(name, listed.image.clone(), &probe, turned);
        image.boxes = self.boxes(listed, &image, traps);
        Some(image)
    }

    /// Whether the image is turned upright.
    fn size_and_turn(&self, listed: &Listed, probe: &Probe, name: &str, traps: &mut Traps) -> bool {
        let is_turned = probe.orientation != ::image::metadata::Orientation::NoTransforms;
        let mut turned = self.upright && is_turned;
        let at = || listed.labels.as_deref().map_or(name.to_string(), |path| relative(self.root, path));
        if let Some([w, h]) = listed.size {
            let [iw, ih] = if turned { probe.turned_size() } else { probe.size };
            if w == 0 || h == 0 {
                traps.add(Trap::NoSize, at);
            } else if [w, h] != [iw, ih] {
                if turned && [w, h] == probe.size {
                    traps.add(Trap::LabelledUnturned, || name.to_string());
                    turned = false;
                } else {
                    traps.add(Trap::OtherSize, || format!("{} ({w}x{h}, the image has {iw}x{ih})", at()));
                }
            }
        }
        if turned {
            traps.add(Trap::Turned, || name.to_string());
        }
        turned
    }

    fn boxes(&self, listed: &Listed, image: &BoxImage, traps: &mut Traps) -> Vec<Annotation> {
        let file = listed.labels.as_deref().map_or(image.name.clone(), |path| relative(self.root, path));
        let (mut boxes, mut seen) = (Vec::new(), HashSet::new());
        for raw in &listed.boxes {
            let at = |what: String| raw.at.of(&file) + &what;
            let Some(class) = self.class(&raw.class, traps, &at) else { continue };
            let Some(bounds) = self.bounds(raw, image.size(), traps, &at) else { continue };
            if !seen.insert((bounds.map(f32::to_bits), class, raw.crowd)) {
                traps.add(Trap::Duplicate, || at(String::new()));
                continue;
            }
            if raw.crowd {
                traps.add(Trap::Crowd, || at(String::new()));
            }
            if raw.difficult {
                traps.add(Trap::Difficult, || at(String::new()));
            }
            let (crowd, difficult) = (raw.crowd, raw.difficult);
            let area = raw.area.map_or(bounds[2] * bounds[3], |area| area as f32);
            boxes.push(Annotation { bounds, class, area, crowd, difficult });
        }
        if boxes.len() > self.most {
            let over = boxes.len() - self.most;
            traps.add_many(Trap::TooMany, over, || format!("{} ({} boxes)", image.name, boxes.len()));
            boxes.truncate(self.most);
        }
        boxes
    }

    fn class(&self, class: &RawClass, traps: &mut Traps, at: &dyn Fn(String) -> String) -> Option<usize> {
        match class {
            RawClass::Number(number) if *number < self.classes.len() => Some(*number),
            RawClass::Number(number) => {
                traps.add(Trap::ClassNumber, || {
                    at(format!(" (class {number}, there are {})", self.classes.len()))
                });
                None
            }
            RawClass::Name(name) => {
                let found = self.numbers.get(&**name).copied();
                if found.is_none() {
                    traps.add(Trap::ClassName, || at(format!(" ({name})")));
                }
                found
            }
        }
    }

    /// Left, top, width, height in pixels, as the file has them.
    fn bounds(
        &self,
        raw: &RawBox,
        [width, height]: [u32; 2],
        traps: &mut Traps,
        at: &dyn Fn(String) -> String,
    ) -> Option<[f32; 4]> {
        let side = [f64::from(width), f64::from(height)];
        let [mut left, mut top, mut right, mut bottom] = match raw.place {
            Place::Shares([x, y, w, h]) => [
                (x - w / 2.0) * side[0],
                (y - h / 2.0) * side[1],
                (x + w / 2.0) * side[0],
                (y + h / 2.0) * side[1],
            ],
            Place::Corners(corners) => corners,
            Place::Pixels([x, y, w, h]) => [x, y, x + w, y + h],
        };
        if right < left || bottom < top {
            traps.add(Trap::Reversed, || at(String::new()));
            (left, right) = (left.min(right), left.max(right));
            (top, bottom) = (top.min(bottom), top.max(bottom));
        }
        let shown = format!(" ({left:.0},{top:.0} to {right:.0},{bottom:.0} of {width}x{height})");
        let out = [(-left / side[0]), (-top / side[1]), right / side[0] - 1.0, bottom / side[1] - 1.0];
        let farthest = out.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if farthest > self.tolerance + 1e-9 {
            let over =
                format!(", {:.1} % over a tolerance of {} %", 100.0 * farthest, 100.0 * self.tolerance);
            traps.add(Trap::Outside, || at(format!("{}{over})", shown.trim_end_matches(')'))));
            return None;
        }
        let bounds = [left, top, right - left, bottom - top].map(|value| value as f32);
        if !is_seen(bounds, [width, height]) {
            traps.add(Trap::Point, || at(shown));
            return None;
        }
        let reaches = |out: f64, side: f64| out * side > ROUNDED && out > 1e-5;
        if out.iter().zip([side[0], side[1], side[0], side[1]]).any(|(&out, side)| reaches(out, side)) {
            traps.add(Trap::Clipped, || at(shown));
        }
        Some(bounds)
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
