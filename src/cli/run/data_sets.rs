//! The data sets that flags name: found, loaded and cut to size.

use std::path::Path;

use super::recipe::Recipe;
use crate::data::{self, Dataset, LoadOptions, Split, find};
use crate::{Error, Result};

/// The images of a run.
pub struct DataSets {
    pub training: Dataset,
    /// Held out of the training images.
    pub validation: Option<Dataset>,
    pub test: Dataset,
}

/// Reads the data set that the settings name, as they want it.
pub fn of(recipe: &Recipe) -> Result<DataSets> {
    let (training, test) = load(recipe.data_name(), recipe.data_dir.as_deref())?;
    let mut training = limit(training, recipe.limit_train, "--limit-train")?;
    let mut test = limit(test, recipe.limit_test, "--limit-test")?;
    for set in [&mut training, &mut test] {
        if let Some(mean) = &recipe.data_mean {
            set.mean.clone_from(mean);
        }
        if let Some(std) = &recipe.data_std {
            set.std.clone_from(std);
        }
        set.check()?;
    }
    let (training, validation) = match recipe.validation {
        Some(fraction) => {
            let (training, mut validation) = training.split_holdout(fraction, recipe.seed())?;
            validation.split = Split::Validation;
            (training, Some(validation))
        }
        None => (training, None),
    };
    Ok(DataSets { training, validation, test })
}

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
