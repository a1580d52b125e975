//! Boxes of one image after another, and the same boxes class by class.

use super::here::{Here, best_first, is_finite};
use super::result::{self, DetectionResult};
use super::{MapKind, confusion};
use crate::tasks::detect::{Found, Truth};
use crate::{Error, Result};

/// The boxes that are in images, and those that were found in them.
///
/// ```
/// use limbeck::tasks::detect::{Found, Gathered, MapKind, SCORE, Truth};
///
/// let truth = Truth { bounds: [10., 10., 20., 20.], class: 1, area: 400., crowd: false, difficult: false };
/// let found = Found { bounds: [10., 10., 20., 18.], class: 1, score: 0.8 };
/// let mut gathered = Gathered::default();
/// gathered.add(&[truth], &[found]);
/// let result = gathered.measure(MapKind::Coco, SCORE, &["cat".into(), "dog".into()])?;
/// // An overlap of 0.9 is enough for nine of the ten thresholds.
/// assert!((result.metrics[0].value - 0.9).abs() < 1e-12);
/// # Ok::<(), limbeck::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    truths: Vec<Truth>,
    found: Vec<Found>,
    /// Where the truths and the found boxes of an image end.
    ends: Vec<(usize, usize)>,
}

impl Gathered {
    /// Adds an image: what is in it, and what was found in it, in any order. Of equal scores the earlier image's comes first,
    /// and within an image the earlier box.
    pub fn add(&mut self, truths: &[Truth], found: &[Found]) {
        self.truths.extend_from_slice(truths);
        self.found.extend_from_slice(found);
        self.ends.push((self.truths.len(), self.found.len()));
    }

    /// How many images were added.
    pub fn images(&self) -> usize {
        self.ends.len()
    }

    /// What is in the image that was added at `place`, and what was found in it, as they were added.
    pub fn image(&self, place: usize) -> Option<(&[Truth], &[Found])> {
        let end = self.ends.get(place)?;
        let start = place.checked_sub(1).map_or((0, 0), |before| self.ends[before]);
        Some((&self.truths[start.0..end.0], &self.found[start.1..end.1]))
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.truths.clear();
        self.found.clear();
        self.ends.clear();
    }

    /// What they come to. `score` is that above which boxes count in the confusion, in images' mistakes, and in precision and
    /// recall at a score; `names` are those of all classes.
    ///
    /// # Errors
    /// [`Error::Config`] for a box of a class that has no name, and for a score that is not from 0 to 1.
    pub fn measure(&self, kind: MapKind, score: f32, names: &[String]) -> Result<DetectionResult> {
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::config("score", format!("expected a number from 0 to 1, got {score}")));
        }
        let classes = self.truths.iter().map(|t| t.class).chain(self.found.iter().map(|f| f.class));
        if let Some(class) = classes.max().filter(|class| *class >= names.len()) {
            let message =
                format!("expected a name for each, got {} names and a box of class {class}", names.len());
            return Err(Error::config("classes", message));
        }
        let (confusion, by_image) = confusion::count(self.each(), score, names.len());
        let not_finite = self.found.iter().filter(|found| !is_finite(found)).count();
        let counts = result::Counts { images: self.images(), not_finite, confusion, by_image };
        Ok(result::of_classes(&self.by_class(names.len()), kind, score, names, counts))
    }

    /// The boxes of each image, in the order in which they were added.
    fn each(&self) -> impl Iterator<Item = (&[Truth], &[Found])> {
        (0..self.images()).filter_map(|place| self.image(place))
    }

    /// By class, then by image, without images that have nothing of the class.
    fn by_class(&self, classes: usize) -> Vec<Vec<Here<'_>>> {
        let mut all: Vec<Vec<Here>> = (0..classes).map(|_| Vec::new()).collect();
        for (image, (truths, found)) in self.each().enumerate() {
            for truth in truths {
                Here::of(&mut all[truth.class], image).truths.push(truth);
            }
            for box_ in found {
                Here::of(&mut all[box_.class], image).found.push(box_);
            }
        }
        for here in all.iter_mut().flatten() {
            here.found.sort_by(|a, b| best_first(a, b));
        }
        all
    }
}

#[cfg(test)]
#[path = "gathered_tests.rs"]
mod tests;
