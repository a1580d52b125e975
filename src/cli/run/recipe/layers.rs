//! Settings over settings: flags over a file, a sweep's entry over its pair.

use std::path::Path;

use super::Recipe;
use crate::files::read_text;
use crate::{Error, Result};

impl Recipe {
    /// These flags laid over the file's settings.
    pub fn over_file(&self, file: Option<&Path>) -> Result<Recipe> {
        let Some(path) = file else { return Ok(self.clone()) };
        let from_file: Recipe = toml::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
        self.over(&from_file)
    }

    /// These settings laid over others.
    pub fn over(&self, below: &Recipe) -> Result<Recipe> {
        let fail = |e: &dyn std::fmt::Display| Error::config("settings", e);
        let table = |recipe: &Recipe| toml::Table::try_from(recipe).map_err(|e| fail(&e));
        let (mut merged, own) = (table(below)?, table(self)?);
        // Two ways to say one thing: what is laid over replaces whichever was said below.
        let ways = ["milestones", "milestone_epochs"];
        if ways.iter().any(|way| own.contains_key(*way)) {
            ways.iter().for_each(|way| drop(merged.remove(*way)));
        }
        merged.extend(own);
        merged.try_into().map_err(|e: toml::de::Error| fail(&e))
    }

    /// As TOML, to repeat the run.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config("settings", e))
    }
}
