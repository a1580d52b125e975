//! Images of classes.

use std::path::Path;
use std::sync::Arc;

use super::{Kind, Subject};
use crate::cli::run::recipe::Recipe;
use crate::data::{self, Content, Dataset, LoadOptions, Source, Split, find};
use crate::models::saved::{ModelMetadata, Overrides, Saved};
use crate::tasks::{Classify, Task, classify};
use crate::{Error, Result};

/// Images of classes, as settings see them.
pub const KIND: Kind = Kind {
    task: classify::SPEC.name,
    takes: &[Content::Images],
    words: "images of classes",
    samples: "images",
    settings: &["crop_padding", "flip", "label_smoothing", "data_mean", "data_std"],
    method: "kd",
    defaults: |_, _| Recipe::default(),
    open: |recipe| Ok(Box::new(Labelled::open(recipe)?)),
};

/// Images with a label each, to be classified.
pub struct Labelled {
    training: Arc<Dataset>,
    validation: Option<Arc<Dataset>>,
    test: Arc<Dataset>,
}

impl Labelled {
    /// The data set that the settings name, found, loaded and cut to size.
    fn open(recipe: &Recipe) -> Result<Self> {
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
                (training, Some(Arc::new(validation)))
            }
            None => (training, None),
        };
        Ok(Self { training: Arc::new(training), validation, test: Arc::new(test) })
    }
}

impl Subject for Labelled {
    fn training(&self) -> Arc<dyn Source> {
        self.training.clone()
    }

    fn validation(&self) -> Option<Arc<dyn Source>> {
        self.validation.clone().map(|set| set as Arc<dyn Source>)
    }

    fn test(&self) -> Arc<dyn Source> {
        self.test.clone()
    }

    fn classes(&self) -> &[String] {
        &self.training.class_names
    }

    fn task(&self, recipe: &Recipe) -> Result<Arc<dyn Task>> {
        Ok(Arc::new(Classify::new(&self.training, recipe.classify_config())?))
    }

    fn normalise_as(&mut self, recipe: &Recipe, mean: &[f32], std: &[f32]) -> Result<()> {
        let (own_mean, own_std) = (recipe.data_mean.is_none(), recipe.data_std.is_none());
        for set in [&mut self.training, &mut self.test].into_iter().chain(&mut self.validation) {
            let set = Arc::make_mut(set);
            if own_mean {
                set.mean = mean.to_vec();
            }
            if own_std {
                set.std = std.to_vec();
            }
        }
        Ok(())
    }

    fn metadata(&self) -> ModelMetadata {
        let Dataset { class_names, mean, std, .. } = &*self.training;
        ModelMetadata {
            classes: class_names.clone(),
            mean: mean.clone(),
            std: std.clone(),
            ..Default::default()
        }
    }

    fn overrides(&self) -> Overrides {
        overrides_from(&self.training)
    }

    /// Classes go by their numbers: names of other lists are often only numbers.
    fn teacher(&self, teacher: Saved) -> Result<Saved> {
        if let Some(difference) = (self as &dyn Subject).class_difference(&teacher.metadata.classes) {
            log::warn!("{difference} Its soft targets may teach the wrong classes");
        }
        Ok(teacher)
    }
}

/// What a data set tells about a network that was trained on it.
pub fn overrides_from(data: &Dataset) -> Overrides {
    Overrides {
        model: None,
        input: Some([data.channels, data.height, data.width]),
        classes: Some(data.class_names.clone()),
        mean: Some(data.mean.clone()),
        std: Some(data.std.clone()),
        map: None,
    }
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
