//! What the settings of a run get from the kind of its data.

use super::{Subject, boxed, labelled, masked, sentences, texts};
use crate::cli::run::recipe::Recipe;
use crate::data::{Content, find};
use crate::{Error, Result};

/// A kind of data, as settings see it.
pub struct Kind {
    /// What is trained for.
    pub task: &'static str,
    /// The data that it is of.
    pub takes: &'static [Content],
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

/// Every kind. Where a task is not named it is the first that takes the data.
const ALL: [&Kind; 5] = [&labelled::KIND, &boxed::KIND, &texts::KIND, &sentences::KIND, &masked::KIND];

impl Kind {
    /// The kind of the data that the settings name, for the task that they name.
    pub fn of(recipe: &Recipe) -> Result<&'static Kind> {
        let content = find(recipe.data_name())?.content;
        let of_data: Vec<&Kind> = ALL.into_iter().filter(|kind| kind.takes.contains(&content)).collect();
        let wanted = |kind: &&Kind| recipe.task.as_ref().is_none_or(|task| kind.task == task);
        of_data.iter().copied().find(wanted).ok_or_else(|| {
            let tasks: Vec<&str> = of_data.iter().map(|kind| kind.task).collect();
            let (data, task) = (recipe.data_name(), recipe.task.as_deref().unwrap_or_default());
            let message = format!("{data} is for {}, got \"{task}\"", tasks.join(" and "));
            Error::config("task", message)
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
    fn a_task_is_that_of_the_data_or_one_that_is_named() {
        let kind = |data: &str, task: Option<&str>| {
            let recipe =
                Recipe { data: Some(data.into()), task: task.map(String::from), ..Default::default() };
            Kind::of(&recipe).map(|kind| kind.task)
        };
        for (data, task, expected) in [
            ("digits", None, "classify"),
            ("bccd", None, "detect"),
            ("sst2", None, "classify"),
            ("sst2", Some("mlm"), "mlm"),
            ("sentences", None, "embed"),
            ("sentences", Some("mlm"), "mlm"),
        ] {
            assert_eq!(kind(data, task).unwrap(), expected, "{data} {task:?}");
        }
        let message = kind("sst2", Some("detect")).unwrap_err().to_string();
        assert!(message.contains("sst2 is for classify and mlm, got \"detect\""), "{message}");
    }

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
