//! What a command learns or measures: samples in parts, and the task that they are for. A file for each kind of data.

pub mod boxed;
mod kind;
pub mod labelled;
pub mod masked;
pub mod sentences;
pub mod texts;
pub mod tokens;

use std::path::Path;
use std::sync::Arc;

use super::recipe::Recipe;
use crate::data::boxes::OpenOptions;
use crate::data::{Content, Source, Split, find, load_boxes};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::models::saved::{ModelMetadata, Overrides, Saved};
use crate::report::{Section, printable};
use crate::tasks::Task;
use crate::train::doctor::Figures;
use crate::{Error, Result};

pub use kind::Kind;

/// Data, and the task that is trained on it.
pub trait Subject {
    /// The samples to learn from.
    fn training(&self) -> Arc<dyn Source>;

    /// Samples to watch while training: held out of those to learn from where the settings ask for it, or a part that the
    /// data has for it.
    fn validation(&self) -> Option<Arc<dyn Source>>;

    /// The samples that results are of.
    fn test(&self) -> Arc<dyn Source>;

    /// Names of the classes, in order.
    fn classes(&self) -> &[String];

    /// The task, for the images as they are normalised now.
    fn task(&self, recipe: &Recipe) -> Result<Arc<dyn Task>>;

    /// Normalises all images as a network wants them that was trained before, but for what the settings say.
    fn normalise_as(&mut self, recipe: &Recipe, mean: &[f32], std: &[f32]) -> Result<()>;

    /// What a trained network must be fed.
    fn metadata(&self) -> ModelMetadata;

    /// What it tells about a network that was trained on it.
    fn overrides(&self) -> Overrides;

    /// What the doctor is told of the data before anything runs.
    fn known(&self) -> Figures {
        Figures { classes: self.classes().to_vec(), ..Default::default() }
    }

    /// Files in which a trained network is written for other programs, besides its own.
    fn exports(&self, _network: &Network) -> &'static [&'static str] {
        &[]
    }

    /// What a report shows of a trained network on the test set, besides its figures. Blocks.
    fn sections(&self, _gpu: &Gpu, _network: &Network, _recipe: &Recipe) -> Result<Vec<Section>> {
        Ok(Vec::new())
    }

    /// A teacher as it teaches on this data: of the data's classes.
    fn teacher(&self, teacher: Saved) -> Result<Saved>;
}

/// The data that the settings name, as they want it.
pub fn open(recipe: &Recipe) -> Result<Box<dyn Subject>> {
    let kind = Kind::of(recipe)?;
    kind.owns(recipe)?;
    let subject = (kind.open)(recipe)?;
    if recipe.patience.is_some() && subject.validation().is_none() {
        let message = "needs --validation, such as 0.1: stopping by the test set would flatter the result";
        return Err(Error::config("patience", message));
    }
    Ok(subject)
}

/// What a data set tells about a network that was trained on it: of one with boxes the classes, as these come in any size.
pub fn overrides_of(name: &str, dir: Option<&Path>) -> Result<Overrides> {
    if find(name)?.content == Content::Boxes {
        let sets = load_boxes(name, dir, &OpenOptions::default())?;
        return Ok(boxed::overrides_from(sets.class_names()));
    }
    Ok(labelled::overrides_from(&labelled::load(name, dir)?.0))
}

impl dyn Subject + '_ {
    /// What is measured after every epoch, and which part that is: the validation samples where there are any, or else the
    /// test set.
    pub fn watched(&self) -> (Arc<dyn Source>, Split) {
        match self.validation() {
            Some(validation) => (validation, Split::Validation),
            None => (self.test(), Split::Test),
        }
    }

    /// [`class_difference`] of a network and the data.
    pub fn class_difference(&self, network: &[String]) -> Option<String> {
        class_difference(network, self.classes(), self.training().name())
    }
}

/// How a network's class names differ from those of a data set, for a warning; `None` where they don't.
pub fn class_difference(network: &[String], data: &[String], name: &str) -> Option<String> {
    let at = network.iter().zip(data).position(|(a, b)| a != b)?;
    let (ours, theirs) = (printable(&network[at]), printable(&data[at]));
    Some(format!(
        "class {at} is \"{ours}\" for the network and \"{theirs}\" in {name}: was it trained on this data set, with its \
         classes in this order?"
    ))
}
