//! The file of a sweep: settings as `train` and `distill` have them, methods and schemes, seeds, and pairs of
//! teacher and student.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::entry::Entry;
use super::pair::PairFile;
use crate::cli::run::recipe::Recipe;
use crate::files::read_text;
use crate::train::sweep::{ALONE, TEACHER};
use crate::{Error, Result};

/// What the user writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    pub title: Option<String>,
    pub out: Option<PathBuf>,
    /// Of every pair, unless it says otherwise.
    #[serde(default)]
    pub methods: Vec<Entry>,
    pub seeds: Vec<u64>,
    /// Of every run, by the flags' names with _ for -.
    #[serde(default)]
    pub settings: Recipe,
    #[serde(rename = "pair", default)]
    pub pairs: Vec<PairFile>,
}

impl SweepFile {
    /// Reads and checks everything that can be checked without data.
    pub fn read(path: &Path) -> Result<Self> {
        let file: Self = toml::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
        file.check().map_err(|e| Error::file(path, e))?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        if self.seeds.is_empty() || self.pairs.is_empty() {
            return Err(Error::config("sweep", "needs at least one seed and one [[pair]]"));
        }
        unique("seeds", self.seeds.iter().map(u64::to_string).collect())?;
        unique("methods", labels(&self.methods))?;
        unique("pair", self.pairs.iter().map(PairFile::name).collect())?;
        self.pairs.iter().try_for_each(|pair| {
            pair.check(self).map_err(|error| inside(&format!("[[pair]] \"{}\"", pair.name()), error))
        })
    }
}

/// An error of a setting, with the table that the setting is in.
pub fn inside(table: &str, error: Error) -> Error {
    match error {
        Error::Config { setting, message, .. } => Error::config(format!("{table}: {setting}"), message),
        other => Error::config(table, other),
    }
}

pub fn labels(methods: &[Entry]) -> Vec<String> {
    methods.iter().map(|m| m.label.clone()).collect()
}

/// Refuses a name that is there twice, and one that the tables use themselves.
pub fn unique(what: &str, all: Vec<String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in all {
        if what == "methods" && [ALONE, TEACHER].contains(&name.as_str()) {
            let message =
                format!("\"{name}\" is the name of a row that every table has; choose another label");
            return Err(Error::config(what, message));
        }
        if !seen.insert(name.clone()) {
            let message = format!("\"{name}\" appears twice; the runs would share a folder");
            return Err(Error::config(what, message));
        }
    }
    Ok(())
}
