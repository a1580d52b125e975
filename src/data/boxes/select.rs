//! Choosing some of the images.

use super::BoxSet;
use crate::data::holdout::holdout_count;
use crate::data::{Source, Split};
use crate::rng::Stream;
use crate::{Error, Result};

impl BoxSet {
    /// The images at `indices`, in that order; an index may repeat.
    ///
    /// # Errors
    /// [`Error::Config`] for an index past the end, or none at all.
    pub fn subset(&self, indices: &[usize]) -> Result<BoxSet> {
        let order: Option<Vec<u32>> = indices.iter().map(|&index| self.order().get(index).copied()).collect();
        match order {
            Some(order) if !order.is_empty() => Ok(self.with_order(order)),
            _ => {
                let message = format!(
                    "expected indices below {}, the images of {}, got {indices:?}",
                    self.len(),
                    self.name()
                );
                Err(Error::config("subset", message))
            }
        }
    }

    /// `n` images (all, when there are fewer), chosen by `seed`, in their original order.
    ///
    /// # Errors
    /// [`Error::Config`] for no image.
    pub fn sample(&self, n: usize, seed: u64) -> Result<BoxSet> {
        let chosen = self.chosen(n.min(self.len()), seed);
        self.subset(&(0..self.len()).filter(|&i| chosen[i]).collect::<Vec<_>>())
    }

    /// Splits off a test part of `ceil(fraction * len)` images: (train, test). Depends on nothing but the number of images,
    /// `fraction` and `seed`; both parts keep the original order.
    ///
    /// # Errors
    /// [`Error::Config`] for a fraction outside (0, 1), and for a part that would be empty.
    pub fn split_holdout(&self, fraction: f64, seed: u64) -> Result<(BoxSet, BoxSet)> {
        let count = holdout_count(self.name(), self.len(), fraction)?;
        let held_out = self.chosen(count, seed);
        let (test, train): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(|&i| held_out[i]);
        Ok((self.subset(&train)?.of_split(Split::Train), self.subset(&test)?.of_split(Split::Test)))
    }

    /// A training part that has none of the images: that of a set which has other parts only.
    pub(super) fn without_images(&self) -> BoxSet {
        self.with_order(Vec::new()).of_split(Split::Train)
    }

    fn chosen(&self, count: usize, seed: u64) -> Vec<bool> {
        let mut chosen = vec![false; self.len()];
        for index in Stream::new(seed, "boxes held out").permutation(self.len()).into_iter().take(count) {
            chosen[index] = true;
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::boxes::testing::tiny;
    use crate::data::testing::message;

    #[test]
    fn parts_are_disjoint_and_depend_on_the_seed() {
        let all = tiny(20);
        let (train, test) = all.split_holdout(0.3, 1).unwrap();
        assert_eq!(
            (train.len(), test.len(), train.split(), test.split()),
            (14, 6, Split::Train, Split::Test)
        );
        let mut names: Vec<&str> =
            train.images().chain(test.images()).map(|image| image.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 20);
        let again = all.split_holdout(0.3, 1).unwrap().1;
        assert_eq!(test.fingerprint(), again.fingerprint());
        assert_ne!(test.fingerprint(), all.split_holdout(0.3, 2).unwrap().1.fingerprint());
    }

    #[test]
    fn a_subset_is_in_the_order_asked_for() {
        let part = tiny(5).subset(&[3, 0, 3]).unwrap();
        let names: Vec<&str> = part.images().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["3", "0", "3"]);
        assert_eq!(tiny(5).sample(100, 0).unwrap().len(), 5);
        assert_eq!(tiny(5).sample(2, 0).unwrap().len(), 2);
    }

    #[test]
    fn what_leaves_nothing_is_refused() {
        assert!(message(tiny(3).subset(&[3])).contains("below 3"));
        assert!(message(tiny(3).sample(0, 0)).contains("subset"));
        let text = message(tiny(1).split_holdout(0.5, 0));
        assert!(text.contains("one part of tiny with no samples (1 in all)"), "{text}");
        assert!(message(tiny(3).split_holdout(1.0, 0)).contains("between 0 and 1"));
    }
}
