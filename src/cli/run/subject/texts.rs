//! Texts of classes.

use std::sync::Arc;

use super::tokens::{self, Tokens};
use super::{Kind, Subject};
use crate::cli::run::recipe::Recipe;
use crate::data::text::TextSet;
use crate::data::{Content, Source};
use crate::models::Network;
use crate::models::saved::{ModelMetadata, Overrides, Saved};
use crate::tasks::{Classify, Task, classify};
use crate::train::doctor::Figures;
use crate::{Error, Result};

/// Texts of classes, as settings see them.
pub const KIND: Kind = Kind {
    task: classify::SPEC.name,
    takes: &[Content::Texts],
    words: "texts of classes",
    samples: "texts",
    settings: &["tokenizer", "max_tokens", "text_columns", "text_format", "label_column", "label_smoothing"],
    method: "kd",
    defaults: tokens::defaults,
    open: |recipe| Ok(Box::new(Texts::open(recipe)?)),
};

/// Texts with a label each, to be classified.
pub struct Texts {
    tokens: Tokens,
    training: Arc<TextSet>,
    validation: Option<Arc<TextSet>>,
    test: Arc<TextSet>,
}

impl Texts {
    fn open(recipe: &Recipe) -> Result<Self> {
        let tokens = Tokens::of(recipe)?;
        let sets = tokens.load(recipe)?;
        let training = tokens::limit(sets.train, recipe.limit_train, "--limit-train")?;
        let test = tokens::limit(sets.test, recipe.limit_test, "--limit-test")?;
        let (training, validation) = tokens::held_out(recipe, training, sets.validation)?;
        Ok(Self {
            tokens,
            training: Arc::new(training),
            validation: validation.map(Arc::new),
            test: Arc::new(test),
        })
    }
}

impl Subject for Texts {
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
        let (classes, sizes) = (self.classes().len(), self.tokens.sizes());
        let task = Classify::of_texts(self.training.as_ref(), classes, sizes, recipe.classify_config())?;
        Ok(Arc::new(task))
    }

    /// Texts are not normalised.
    fn normalise_as(&mut self, _: &Recipe, _: &[f32], _: &[f32]) -> Result<()> {
        Ok(())
    }

    fn metadata(&self) -> ModelMetadata {
        self.tokens.metadata(self.classes())
    }

    fn overrides(&self) -> Overrides {
        Overrides { classes: Some(self.classes().to_vec()), ..Default::default() }
    }

    fn known(&self) -> Figures {
        self.tokens.known(&self.training, self.classes())
    }

    fn exports(&self, network: &Network) -> &'static [&'static str] {
        tokens::exports(network)
    }

    fn teacher(&self, teacher: Saved) -> Result<Saved> {
        self.tokens.fit(&teacher)?;
        if teacher.metadata.classes != self.classes() {
            let message = format!(
                "its classes are {}, and those of the data {}; fine-tune it on this data first",
                teacher.metadata.classes.join(", "),
                self.classes().join(", ")
            );
            return Err(Error::config("teacher", message));
        }
        Ok(teacher)
    }
}
