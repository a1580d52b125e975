//! What all kinds of texts share: their tokenizer, and how they are read.

use std::path::Path;
use std::sync::Arc;

use crate::cli::run::recipe::Recipe;
use crate::data::load_texts;
use crate::data::text::{TextOptions, TextSet, TextSets, Tokenizer};
use crate::files::read_text;
use crate::models::saved::{self, ModelMetadata, Overrides, Saved};
use crate::{Error, Result};

/// Most tokens of a text where nobody says.
const MOST_TOKENS: usize = 128;

/// A transformer's: AdamW at a low rate that rises from nothing, and clipped gradients.
pub fn defaults(given: &Recipe, steps: u64) -> Recipe {
    let optimizer = given.optimizer.as_deref().unwrap_or("adamw");
    Recipe {
        optimizer: Some(optimizer.into()),
        learning_rate: optimizer.starts_with("adam").then_some(5e-4),
        batch_size: Some(32),
        warmup_steps: Some(steps / 10),
        max_grad_norm: Some(1.0),
        ..Default::default()
    }
}

/// How texts become tokens.
pub struct Tokens {
    tokenizer: Tokenizer,
    json: Arc<str>,
}

impl Tokens {
    /// The tokenizer that the settings name, or that of the teacher or of the weights to start from.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let named = [&recipe.tokenizer, &recipe.teacher, &recipe.init].into_iter().flatten().next();
        let Some(path) = named else {
            let message = "texts need one: the tokenizer.json of a model, or a model that has one";
            return Err(Error::config("tokenizer", message));
        };
        let json = tokenizer_of(path)?;
        Self::new(json, recipe.max_tokens.unwrap_or(MOST_TOKENS))
    }

    /// Of this `tokenizer.json`, for texts of at most so many tokens.
    pub fn new(json: Arc<str>, longest: usize) -> Result<Self> {
        Ok(Self { tokenizer: Tokenizer::from_json(&json, longest)?, json })
    }

    /// The vocabulary, and most tokens of a text.
    pub fn sizes(&self) -> [usize; 2] {
        [self.tokenizer.vocabulary(), self.tokenizer.longest()]
    }

    /// The parts of the data set `name`.
    pub fn load(&self, recipe: &Recipe, name: &str, dir: Option<&Path>) -> Result<TextSets> {
        let options = TextOptions {
            text_columns: recipe.text_columns.clone(),
            label_column: recipe.label_column.clone(),
            ..Default::default()
        };
        load_texts(name, dir, &self.tokenizer, &options)
    }

    /// What a network that reads these tokens must be fed.
    pub fn metadata(&self, classes: &[String]) -> ModelMetadata {
        ModelMetadata { classes: classes.to_vec(), tokenizer: Some(self.json.clone()), ..Default::default() }
    }

    /// Fails for a network of other tokens: numbers that mean other words teach nothing.
    pub fn fit(&self, saved: &Saved) -> Result<()> {
        match &saved.metadata.tokenizer {
            Some(other) if *other != self.json => {
                let message = "its tokenizer is another than the student's: numbers of tokens would mean other words; give \
                               both the same, or leave out `tokenizer`";
                Err(Error::config("teacher", message))
            }
            _ => Ok(()),
        }
    }
}

/// The text of a `tokenizer.json`, or of that which a model has with it.
fn tokenizer_of(path: &Path) -> Result<Arc<str>> {
    if path.extension().is_some_and(|ending| ending == "json") {
        return Ok(read_text(path)?.into());
    }
    let model = saved::open(path, &Overrides::default())?;
    model.metadata.tokenizer.ok_or_else(|| {
        Error::file(path, "it has no tokenizer; name a tokenizer.json with `tokenizer`")
    })
}

/// `n` texts of a set; all where no number is given. `flag` is where it came from.
pub fn limit(set: TextSet, n: Option<usize>, flag: &str) -> Result<TextSet> {
    match n {
        None => Ok(set),
        Some(0) => Err(Error::config(flag, "expected at least 1 text, got 0; leave it out to use them all")),
        Some(n) => set.sample(n.min(set.len()), 0),
    }
}
