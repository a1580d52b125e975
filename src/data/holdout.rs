//! Choosing samples with each class in proportion.

use super::shuffle::permutation;
use super::{Dataset, Split};
use crate::{Error, Result};

/// How many of the `len` samples of the set `name` are held out: `ceil(fraction * len)`.
///
/// # Errors
/// [`Error::Config`] for a fraction outside (0, 1), and for a part that would be empty.
pub(super) fn holdout_count(name: &str, len: usize, fraction: f64) -> Result<usize> {
    if !(fraction > 0.0 && fraction < 1.0) {
        let message = format!("expected a fraction between 0 and 1, got {fraction}");
        return Err(Error::config("holdout", message));
    }
    // The tiny term keeps 0.2 * 1795, which is 359.00000000000006, from becoming 360.
    let count = (fraction * len as f64 - 1e-9).ceil() as usize;
    if count == 0 || count >= len {
        let message = format!(
            "a fraction of {fraction} leaves one part of {name} with no samples ({len} in all); add more"
        );
        return Err(Error::config("holdout", message));
    }
    Ok(count)
}

impl Dataset {
    /// `n` samples (all, when there are fewer), each class in proportion, chosen by `seed`, in their original order.
    ///
    /// # Errors
    /// Those of [`Dataset::check`].
    pub fn sample(&self, n: usize, seed: u64) -> Result<Dataset> {
        self.check()?;
        let chosen = stratified(&self.labels, self.num_classes(), n.min(self.len()), seed);
        self.subset(&(0..self.len()).filter(|&i| chosen[i]).collect::<Vec<_>>())
    }

    /// Splits off a test part of `ceil(fraction * len)` samples, each class in proportion: (train, test). Depends on
    /// nothing but the labels, `fraction` and `seed`; both parts keep the original order.
    ///
    /// # Errors
    /// [`Error::Config`] for a fraction outside (0, 1), for a part that would be empty, and those of [`Dataset::check`].
    pub fn split_holdout(&self, fraction: f64, seed: u64) -> Result<(Dataset, Dataset)> {
        self.check()?;
        let count = holdout_count(&self.name, self.len(), fraction)?;
        let held_out = stratified(&self.labels, self.num_classes(), count, seed);
        let (test, train): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(|&i| held_out[i]);
        let mut test = self.subset(&test)?;
        let mut train = self.subset(&train)?;
        test.split = Split::Test;
        train.split = Split::Train;
        Ok((train, test))
    }
}

/// Marks `count` of samples with these labels, which are below `classes`: each class gets its share by largest remainder, then its
/// own by a keyed shuffle.
pub(super) fn stratified(labels: &[u32], classes: usize, count: usize, seed: u64) -> Vec<bool> {
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        by_class[label as usize].push(i);
    }
    let n = labels.len().max(1) as u128;
    let share = |class: usize| by_class[class].len() as u128 * count as u128;
    let mut quota: Vec<usize> = (0..by_class.len()).map(|class| (share(class) / n) as usize).collect();
    let mut order: Vec<usize> = (0..by_class.len()).collect();
    order.sort_by_key(|&class| (std::cmp::Reverse(share(class) % n), class));
    let missing = count - quota.iter().sum::<usize>();
    for &class in order.iter().take(missing) {
        quota[class] += 1;
    }
    let mut chosen = vec![false; labels.len()];
    for (class, members) in by_class.iter().enumerate() {
        for &k in permutation(members.len() as u32, seed, class as u64).iter().take(quota[class]) {
            chosen[members[k as usize]] = true;
        }
    }
    chosen
}
