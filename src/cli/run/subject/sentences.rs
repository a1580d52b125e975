//! Sentences, and pairs of them that people scored: for vectors of sentences.

use std::sync::Arc;

use super::tokens::{self, Tokens};
use super::{Kind, Subject};
use crate::cli::run::recipe::Recipe;
use crate::data::text::TextSet;
use crate::data::{Content, Source};
use crate::models::saved::{ModelMetadata, Overrides, Saved};
use crate::models::{InputSpec, Network, encoder};
use crate::tasks::{Embed, Task, embed};
use crate::train::doctor::Figures;
use crate::{Error, Result};

/// Sentences, as settings see them.
pub const KIND: Kind = Kind {
    task: embed::SPEC.name,
    takes: &[Content::Sentences],
    words: "sentences",
    samples: "pairs",
    settings: &["tokenizer", "max_tokens", "text_columns", "text_format", "label_column"],
    method: "embed-cosine",
    defaults: tokens::defaults,
    open: |recipe| Ok(Box::new(Sentences::open(recipe)?)),
};

/// Sentences to learn from, and scored pairs to measure by.
pub struct Sentences {
    tokens: Tokens,
    training: Arc<TextSet>,
    validation: Option<Arc<TextSet>>,
    test: Arc<TextSet>,
    width: usize,
}

impl Sentences {
    fn open(recipe: &Recipe) -> Result<Self> {
        let tokens = Tokens::of(recipe)?;
        let sets = tokens.load(recipe)?;
        if recipe.validation.is_some() {
            let message =
                "sentences to learn from have no scores to hold out; give a part of pairs, dev.tsv, instead";
            return Err(Error::config("validation", message));
        }
        let training = tokens::limit(sets.train, recipe.limit_train, "--limit-train")?;
        let test = tokens::limit(sets.test, recipe.limit_test, "--limit-test")?;
        let width = width_of(recipe, tokens.sizes())?;
        Ok(Self {
            tokens,
            width,
            training: Arc::new(training),
            validation: sets.validation.map(Arc::new),
            test: Arc::new(test),
        })
    }
}

impl Subject for Sentences {
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
        &[]
    }

    fn task(&self, _: &Recipe) -> Result<Arc<dyn Task>> {
        Ok(Arc::new(Embed::new(self.training.as_ref(), self.tokens.sizes(), self.width)?))
    }

    /// Texts are not normalised.
    fn normalise_as(&mut self, _: &Recipe, _: &[f32], _: &[f32]) -> Result<()> {
        Ok(())
    }

    fn metadata(&self) -> ModelMetadata {
        // A saved network's numbers have names.
        let numbers: Vec<String> = (0..self.width).map(|n| n.to_string()).collect();
        self.tokens.metadata(&numbers)
    }

    fn overrides(&self) -> Overrides {
        Overrides::default()
    }

    fn known(&self) -> Figures {
        self.tokens.known(&self.training, &[])
    }

    fn exports(&self, network: &Network) -> &'static [&'static str] {
        tokens::exports(network)
    }

    fn teacher(&self, teacher: Saved) -> Result<Saved> {
        self.tokens.fit(&teacher)?;
        Ok(teacher)
    }
}

/// Numbers of a vector: as many as the student is wide.
fn width_of(recipe: &Recipe, [vocabulary, longest]: [usize; 2]) -> Result<usize> {
    let model = recipe.need(&recipe.model, "model", "bert:2,128,2")?;
    encoder::width_of(model, InputSpec::Tokens { vocabulary, longest })
}
