//! What the settings of a run get from the kind of its data.

use super::{Subject, boxed, labelled, sentences, texts};
use crate::cli::run::recipe::Recipe;
use crate::data::{Content, find};
use crate::{Error, Result};

/// A kind of data, as settings see it.
pub struct Kind {
    /// In messages: `images with boxes`.
    pub words: &'static str,
    /// What its samples are called: `images`.
    pub samples: &'static str,
    /// Settings that not every kind has.
    pub settings: &'static [&'static str],
    /// What a student learns by from a teacher where no method is named.
    pub method: &'static str,
    /// What is trained with, beside these settings and for so many steps, where they don't say it.
    pub defaults: fn(&Recipe, u64) -> Recipe,
    /// Its data.
    pub open: fn(&Recipe) -> Result<Box<dyn Subject>>,
}

const ALL: [&Kind; 4] = [&labelled::KIND, &boxed::KIND, &texts::KIND, &sentences::KIND];

impl Kind {
    /// The kind of the data that the settings name.
    pub fn of(recipe: &Recipe) -> Result<&'static Kind> {
        Ok(match find(recipe.data_name())?.content {
            Content::Images => &labelled::KIND,
            Content::Boxes => &boxed::KIND,
            Content::Texts => &texts::KIND,
            Content::Sentences => &sentences::KIND,
        })
    }

    /// Fails for a setting that is given and that only other data has.
    pub fn owns(&self, recipe: &Recipe) -> Result<()> {
        let given = toml::Table::try_from(recipe).map_err(|e| Error::config("settings", e))?;
        let mut others = ALL.iter().flat_map(|kind| kind.settings);
        match others.find(|name| given.contains_key(**name) && !self.settings.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let (words, own) = (self.words, self.settings.join(", "));
                let message = format!("does not apply to {words}; leave it out. There are {own}");
                Err(Error::config(*name, message))
            }
        }
    }

    /// The settings for so many training samples, with the kind's defaults where they say nothing.
    pub fn complete(&self, recipe: &Recipe, samples: usize) -> Result<Recipe> {
        let config = recipe.train_config()?;
        let steps = config.steps(samples / config.batch_size);
        recipe.over(&(self.defaults)(recipe, steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_have_defaults_of_their_own() {
        let complete = |recipe: Recipe| Kind::of(&recipe).unwrap().complete(&recipe, 64_000).unwrap();
        let boxes = Recipe { data: Some("bccd".into()), ..Default::default() };
        let config = complete(boxes.clone()).train_config().unwrap();
        assert_eq!((config.learning_rate, config.max_grad_norm), (0.01, Some(10.0)));
        assert_eq!(config.schedule.warmup().steps, 50);
        // A short training has a short warm-up.
        let short = Kind::of(&boxes).unwrap().complete(&boxes, 64).unwrap();
        assert!(short.train_config().unwrap().schedule.warmup().steps <= 3, "{short:?}");
        let adam = complete(Recipe { optimizer: Some("adam".into()), ..boxes.clone() });
        assert_eq!(adam.train_config().unwrap().learning_rate, 0.001);
        let said = complete(Recipe { learning_rate: Some(0.3), warmup_steps: Some(0), ..boxes });
        let said = said.train_config().unwrap();
        assert_eq!((said.learning_rate, said.schedule.warmup().steps), (0.3, 0));
        assert_eq!(complete(Recipe::default()), Recipe::default());
    }
}
