//! What all kinds of texts share: their tokenizer, and how they are read.

use std::path::Path;

use crate::cli::run::recipe::Recipe;
use crate::data::Source;
use crate::data::text::{Column, TextOptions, TextSet, TextSets, Tokenizer, load_texts};
use crate::models::saved::{self, ModelMetadata, Overrides, Saved};
use crate::models::{InputSpec, Network, base_of};
use crate::train::doctor::{CutFigure, Figures};
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
    longest: usize,
}

impl Tokens {
    /// The tokenizer that the settings name, or that of the teacher or of the weights to start from.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let named = [&recipe.tokenizer, &recipe.teacher, &recipe.init].into_iter().flatten().next();
        let Some(path) = named else {
            let message = "texts need one: the tokenizer.json of a model, or a model that has one";
            return Err(Error::config("tokenizer", message));
        };
        let longest = recipe.max_tokens.unwrap_or(MOST_TOKENS);
        if longest < 3 {
            let message = format!("expected at least 3, with those that begin and end a text, got {longest}");
            return Err(Error::config("max_tokens", message));
        }
        Ok(Self { tokenizer: tokenizer_of(path)?, longest })
    }

    /// The tokenizer that a model has with it, for texts of at most so many tokens.
    pub fn with(path: &Path, saved: &Saved, longest: usize) -> Result<Self> {
        Ok(Self { tokenizer: tokenizer_for(path, saved)?, longest })
    }

    /// The vocabulary, and most tokens of a text.
    pub fn sizes(&self) -> [usize; 2] {
        [self.tokenizer.vocabulary(), self.longest]
    }

    /// What the doctor is told of texts to learn from.
    pub fn known(&self, training: &TextSet, classes: &[String]) -> Figures {
        let cut = CutFigure { cut: training.cut(), texts: training.len(), longest: training.longest() };
        Figures {
            classes: classes.to_vec(),
            cut: Some(cut),
            tokens: Some(self.tokenizer.vocabulary()),
            ..Default::default()
        }
    }

    /// The parts of the data set that the settings name.
    pub fn load(&self, recipe: &Recipe) -> Result<TextSets> {
        let columns = recipe.text_columns.as_deref().unwrap_or_default();
        if columns.len() > 2 {
            let message = format!("expected one column, or two of pairs, got {}", columns.len());
            return Err(Error::config("text_columns", message));
        }
        let column = |name: Option<&String>| name.map(|name| Column::from(name.as_str()));
        let options = TextOptions {
            text: column(columns.first()),
            second: column(columns.get(1)),
            label: column(recipe.label_column.as_ref()),
            ..Default::default()
        };
        load_texts(recipe.data_name(), recipe.data_dir.as_deref(), (&self.tokenizer, self.longest), &options)
    }

    /// What a network that reads these tokens must be fed.
    pub fn metadata(&self, classes: &[String]) -> ModelMetadata {
        let tokenizer = Some(self.tokenizer.json().into());
        ModelMetadata { classes: classes.to_vec(), tokenizer, ..Default::default() }
    }

    /// Fails for a teacher of other tokens: numbers that mean other words teach nothing; and for one of shorter texts.
    pub fn fit(&self, saved: &Saved) -> Result<()> {
        let refuse = |setting: &str, message: String| Err(Error::config(setting, message));
        let other = saved.metadata.tokenizer.as_ref();
        if let Some(difference) = other.and_then(|other| self.tokenizer.difference(other)) {
            let message = format!(
                "its tokenizer is another than the student's ({difference}): numbers of tokens would mean other words; give \
                 both the same, or leave out `tokenizer`"
            );
            return refuse("teacher", message);
        }
        if let Some(message) = few_rows(saved, &self.tokenizer) {
            return refuse("teacher", message);
        }
        match saved.network.input() {
            InputSpec::Tokens { longest, .. } if longest < self.longest => refuse(
                "max_tokens",
                format!(
                    "the teacher takes at most {longest}, got {}; pass `max_tokens = {longest}`",
                    self.longest
                ),
            ),
            _ => Ok(()),
        }
    }
}

/// The folder that sentence-transformers and transformers open; low-rank factors have no place there.
pub fn exports(network: &Network) -> &'static [&'static str] {
    if base_of(&network.name) == network.name { &["encoder"] } else { &[] }
}

/// A `tokenizer.json`, or that which a model has with it.
pub fn tokenizer_of(path: &Path) -> Result<Tokenizer> {
    if path.extension().is_some_and(|ending| ending == "json") || path.join("tokenizer.json").is_file() {
        return Tokenizer::open(path);
    }
    let model = saved::open(path, &Overrides::default())?;
    tokenizer_in(path, &model.metadata)
}

/// [`tokenizer_in`], that the network has a row for each token of.
pub fn tokenizer_for(path: &Path, saved: &Saved) -> Result<Tokenizer> {
    let tokenizer = tokenizer_in(path, &saved.metadata)?;
    match few_rows(saved, &tokenizer) {
        None => Ok(tokenizer),
        Some(message) => Err(Error::file(path, message)),
    }
}

/// What is said of a network that has fewer rows than there are tokens.
fn few_rows(saved: &Saved, tokenizer: &Tokenizer) -> Option<String> {
    let InputSpec::Tokens { vocabulary: rows, .. } = saved.network.input() else { return None };
    let tokens = tokenizer.vocabulary();
    (tokens > rows).then(|| {
        format!(
            "the tokenizer has {tokens} tokens, and the model's table {rows} rows: it is that of another model; get the one that \
             belongs to it"
        )
    })
}

/// The tokenizer that a model has with it.
pub fn tokenizer_in(path: &Path, metadata: &ModelMetadata) -> Result<Tokenizer> {
    let json = metadata
        .tokenizer
        .clone()
        .ok_or_else(|| Error::file(path, "it has no tokenizer; name a tokenizer.json with `tokenizer`"))?;
    Tokenizer::parse(path, json.to_string())
}

/// `n` texts of a set; all where no number is given. `flag` is where it came from. Scored pairs stay together.
pub fn limit(set: TextSet, n: Option<usize>, flag: &str) -> Result<TextSet> {
    match n {
        None => Ok(set),
        Some(_) if set.scores().is_some() => {
            Err(Error::config(flag, "scored pairs are measured all; leave it out"))
        }
        Some(0) => Err(Error::config(flag, "expected at least 1 text, got 0; leave it out to use them all")),
        Some(n) => set.sample(n.min(set.len()), 0),
    }
}
