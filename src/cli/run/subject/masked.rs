//! Texts in which words are hidden, to be predicted: whatever else is known of them is not read.

use std::sync::Arc;

use super::tokens::{self, Tokens};
use super::{Kind, Subject};
use crate::cli::run::recipe::Recipe;
use crate::data::text::{MaskedTexts, Masking, TextSet};
use crate::data::{Content, Source};
use crate::models::saved::{ModelMetadata, Overrides, Saved};
use crate::models::{Head, Network};
use crate::tasks::{MaskedWords, Task, masked};
use crate::{Error, Result};

/// Texts with words hidden, as settings see them.
pub const KIND: Kind = Kind {
    task: masked::SPEC.name,
    takes: &[Content::Texts, Content::Sentences],
    words: "texts with hidden words",
    samples: "texts",
    settings: &["tokenizer", "max_tokens", "text_columns", "text_format", "mask_share"],
    method: "distilbert",
    defaults: tokens::defaults,
    open: |recipe| Ok(Box::new(Masked::open(recipe)?)),
};

/// Texts with words hidden.
pub struct Masked {
    tokens: Tokens,
    share: f64,
    training: Arc<MaskedTexts>,
    validation: Option<Arc<MaskedTexts>>,
    test: Arc<MaskedTexts>,
}

impl Masked {
    fn open(recipe: &Recipe) -> Result<Self> {
        let tokens = Tokens::of(recipe)?;
        let sets = tokens.load_plain(recipe)?;
        let training = tokens::limit(sets.train, recipe.limit_train, "--limit-train")?;
        let test = tokens::limit(sets.test, recipe.limit_test, "--limit-test")?;
        let (training, validation) = tokens::held_out(recipe, training, sets.validation)?;
        let share = recipe.mask_share.unwrap_or(Masking::SHARE);
        let masking = tokens.masking(share)?;
        let hidden =
            |set: TextSet| Ok::<_, Error>(Arc::new(MaskedTexts::new(Arc::new(set), masking.clone())?));
        Ok(Self {
            training: hidden(training)?,
            validation: validation.map(hidden).transpose()?,
            test: hidden(test)?,
            tokens,
            share,
        })
    }
}

impl Subject for Masked {
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
        Ok(Arc::new(MaskedWords::new(self.training.as_ref(), self.tokens.sizes(), self.share)?))
    }

    /// Texts are not normalised.
    fn normalise_as(&mut self, _: &Recipe, _: &[f32], _: &[f32]) -> Result<()> {
        Ok(())
    }

    fn metadata(&self) -> ModelMetadata {
        self.tokens.metadata(&[])
    }

    fn overrides(&self) -> Overrides {
        Overrides::default()
    }

    fn exports(&self, network: &Network) -> &'static [&'static str] {
        tokens::exports(network)
    }

    fn teacher(&self, teacher: Saved) -> Result<Saved> {
        self.tokens.fit(&teacher)?;
        let [vocabulary, _] = self.tokens.sizes();
        if teacher.network.head() == Head::Tokens(vocabulary) {
            return Ok(teacher);
        }
        let (given, noun) = (teacher.network.head().width(), teacher.network.head().noun());
        let message = format!(
            "it gives {given} {noun}, and the hidden words are of {vocabulary} tokens; give a masked language model, such as \
             limbeck train --task mlm makes, or a folder with a BertForMaskedLM or DistilBertForMaskedLM"
        );
        Err(Error::config("teacher", message))
    }
}
