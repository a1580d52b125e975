//! Images with boxes.

use std::sync::Arc;

use super::Subject;
use crate::cli::run::recipe::Recipe;
use crate::data::boxes::{BoxSet, BoxSets, OpenOptions, Resize};
use crate::data::{Source, Split, load_boxes};
use crate::models::{
    self,
    saved::{ModelMetadata, Overrides, Saved},
};
use crate::tasks::Task;
use crate::tasks::detect::Detect;
use crate::{Error, Result};

/// Settings that only data with boxes has.
pub const SETTINGS: &[&str] = &[
    "letterbox",
    "mosaic",
    "close_mosaic",
    "scale",
    "translate",
    "hsv",
    "flip",
    "box_weight",
    "objectness_weight",
    "class_weight",
    "map",
];

/// Images with boxes, which are to be found.
pub struct Boxed {
    training: Arc<BoxSet>,
    validation: Option<Arc<BoxSet>>,
    test: Arc<BoxSet>,
}

impl Boxed {
    /// The data set that the settings name, at this size of images.
    pub fn open(recipe: &Recipe, [_, height, width]: [usize; 3]) -> Result<Self> {
        let resize = resize(recipe.letterbox);
        let options =
            OpenOptions { size: [height, width], resize, seed: recipe.seed(), ..Default::default() };
        let BoxSets { train, validation, test, traps, .. } =
            load_boxes(recipe.data_name(), recipe.data_dir.as_deref(), &options)?;
        for trap in traps.kinds() {
            log::info!("{}: {} ({})", trap.words(), traps.count(trap), traps.first(trap, 3));
        }
        let training = limit(train, recipe.limit_train, "--limit-train", recipe.seed())?;
        let test = limit(test, recipe.limit_test, "--limit-test", recipe.seed())?;
        let (training, validation) = match recipe.validation {
            Some(fraction) => {
                let (training, held_out) = training.split_holdout(fraction, recipe.seed())?;
                (training, Some(held_out.of_split(Split::Validation)))
            }
            None => (training, validation),
        };
        Ok(Self { training: Arc::new(training), validation: validation.map(Arc::new), test: Arc::new(test) })
    }
}

/// How images are brought to a network's size.
pub fn resize(letterbox: Option<bool>) -> Resize {
    if letterbox == Some(true) { Resize::Letterbox } else { Resize::Stretch }
}

/// `n` images of a set, drawn by the seed; all where no number is given. `flag` is where it came from.
pub fn limit(set: BoxSet, n: Option<usize>, flag: &str, seed: u64) -> Result<BoxSet> {
    match n {
        None => Ok(set),
        Some(0) => Err(Error::config(flag, "expected at least 1 image, got 0; leave it out to use them all")),
        Some(n) => set.sample(n.min(set.len()), seed),
    }
}

impl Subject for Boxed {
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
        self.training.class_names()
    }

    fn task(&self, recipe: &Recipe) -> Result<Arc<dyn Task>> {
        let config = recipe.detect_config()?;
        Ok(Arc::new(Detect::new(self.training.as_ref(), self.training.class_names(), config)?))
    }

    /// Detectors read pixel / 255 as it is.
    fn normalise_as(&mut self, _: &Recipe, mean: &[f32], std: &[f32]) -> Result<()> {
        if mean.iter().all(|m| *m == 0.0) && std.iter().all(|s| *s == 1.0) {
            return Ok(());
        }
        let message =
            format!("expected a teacher that reads pixel / 255 as it is, got mean {mean:?} and std {std:?}");
        Err(Error::config("teacher", message))
    }

    fn metadata(&self) -> ModelMetadata {
        ModelMetadata { classes: self.classes().to_vec(), mean: vec![0.0; 3], std: vec![1.0; 3] }
    }

    fn overrides(&self) -> Overrides {
        let [height, width] = self.training.size();
        Overrides { input: Some([3, height, width]), ..overrides_from(self.classes()) }
    }

    /// With `model.cfg` and `model.names` beside it: darknet, OpenCV and ncnn read these.
    fn exports(&self) -> &'static [&'static str] {
        &["model.weights"]
    }

    /// Classes go by their names: of a teacher of COCO's 80 those that the data has are taken.
    fn teacher(&self, teacher: Saved) -> Result<Saved> {
        let Saved { network, metadata } = teacher;
        let own = metadata.classes.len();
        let network = models::reclassed(network, &metadata.classes, self.classes())?;
        if own != self.classes().len() {
            log::info!(
                "of the {own} classes of {} those of the data teach: {}",
                network.name,
                self.classes().join(", ")
            );
        }
        Ok(Saved { network, metadata: ModelMetadata { classes: self.classes().to_vec(), ..metadata } })
    }
}

/// What data with boxes of these classes tells about a network that was trained on it.
pub fn overrides_from(classes: &[String]) -> Overrides {
    Overrides {
        classes: Some(classes.to_vec()),
        mean: Some(vec![0.0; 3]),
        std: Some(vec![1.0; 3]),
        ..Default::default()
    }
}
