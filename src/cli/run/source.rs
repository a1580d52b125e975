//! The data set that flags name: found, loaded and cut to size.

use std::path::Path;

use crate::data::{self, Dataset, LoadOptions, find};
use crate::{Error, Result};

/// Loads (train, test) of the data set `name`.
pub fn load(name: &str, dir: Option<&Path>) -> Result<(Dataset, Dataset)> {
    if let Some(dir) = dir.filter(|_| find(name).is_ok_and(|info| info.files.is_empty())) {
        let message = format!(
            "{name} is built into limbeck and read from no directory; leave out {}, or name the data set there with \
             --data",
            dir.display()
        );
        return Err(Error::config("--data-dir", message));
    }
    data::load(name, dir, &LoadOptions::default())
}

/// `n` images of `set`, each class in proportion; all where no number is given. `flag` is where it came from.
pub fn limit(set: Dataset, n: Option<usize>, flag: &str) -> Result<Dataset> {
    match n {
        None => Ok(set),
        Some(0) => Err(Error::config(flag, "expected at least 1 image, got 0; leave it out to use them all")),
        Some(n) => set.sample(n, 0),
    }
}
