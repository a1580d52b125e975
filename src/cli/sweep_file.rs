//! The file of a sweep: settings as `train` and `distill` have them, methods, seeds, and pairs of teacher and student.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::recipe::Recipe;
use crate::files::read_text;
use crate::{Error, Result, distill};

/// What the user writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    pub title: Option<String>,
    pub out: Option<PathBuf>,
    pub methods: Vec<String>,
    pub seeds: Vec<u64>,
    /// Of every run, by the flags' names with _ for -.
    #[serde(default)]
    pub settings: Recipe,
    #[serde(rename = "pair", default)]
    pub pairs: Vec<PairFile>,
}

/// A teacher and a student.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairFile {
    name: Option<String>,
    pub teacher: PathBuf,
    teacher_model: Option<String>,
    /// The student's architecture.
    model: String,
    /// Over those of the whole sweep.
    #[serde(default)]
    pub settings: Recipe,
    /// How the teacher is trained where its file is missing: at least `model`.
    pub train_teacher: Option<Recipe>,
}

impl PairFile {
    pub fn name(&self) -> String {
        let stem = || self.teacher.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let teacher = || self.teacher_model.clone().unwrap_or_else(stem);
        self.name.clone().unwrap_or_else(|| format!("{} to {}", teacher(), self.model))
    }

    /// The settings of one run; no method for the student alone.
    pub fn recipe(&self, file: &SweepFile, method: Option<&str>, seed: u64, out: &Path) -> Result<Recipe> {
        let own = Recipe {
            teacher: Some(self.teacher.clone()),
            teacher_model: self.teacher_model.clone(),
            model: Some(self.model.clone()),
            method: method.map(String::from),
            seed: Some(seed),
            out: Some(out.to_path_buf()),
            ..Default::default()
        };
        own.over(&self.settings.over(&file.settings)?)
    }
}

impl SweepFile {
    /// Reads and checks everything that can be checked without data.
    pub fn read(path: &Path) -> Result<Self> {
        let file: Self = toml::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
        file.check().map_err(|e| Error::file(path, e))?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        let refuse = |name: &str, message: String| Err(Error::config(name, message));
        if self.seeds.is_empty() || self.pairs.is_empty() {
            return refuse("sweep", "needs at least one seed and one [[pair]]".into());
        }
        let twice = |all: Vec<String>| {
            let mut seen = BTreeSet::new();
            all.into_iter().find(|one| !seen.insert(one.clone()))
        };
        let names = [
            ("seeds", self.seeds.iter().map(u64::to_string).collect()),
            ("methods", self.methods.clone()),
            ("pair", self.pairs.iter().map(PairFile::name).collect()),
        ];
        for (what, all) in names {
            if let Some(name) = twice(all) {
                return refuse(what, format!("\"{name}\" is there twice; the runs would share a folder"));
            }
        }
        for pair in &self.pairs {
            let recipe = pair.recipe(self, None, 0, Path::new(""))?;
            if recipe.method.is_some() || recipe.scheme.is_some() || recipe.baseline.is_some() {
                let message =
                    "a sweep names methods in its own list, has no scheme, and always trains alone too";
                return refuse("settings", message.into());
            }
            recipe.train_config()?;
            for method in &self.methods {
                distill::parse(method, &recipe.method_config())?;
            }
        }
        Ok(())
    }
}
