//! The file of a sweep: settings as `train` and `distill` have them, methods, seeds, and pairs of teacher and student.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::recipe::Recipe;
use crate::files::read_text;
use crate::train::sweep::{ALONE, TEACHER};
use crate::{Error, Result, distill};

/// What the user writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    pub title: Option<String>,
    pub out: Option<PathBuf>,
    /// Of every pair, unless it says otherwise.
    #[serde(default)]
    methods: Vec<MethodEntry>,
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
    /// In place of the sweep's of the same label, or besides them.
    #[serde(default)]
    methods: Vec<MethodEntry>,
    /// Labels of the sweep's methods that this pair leaves out.
    #[serde(default)]
    without: Vec<String>,
    /// How the teacher is trained where its file is missing: at least `model`.
    pub train_teacher: Option<Recipe>,
}

/// A method as it stands in a list: its text, or a table with a label too, by which pairs replace it and tables show it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a method such as \"kd\", or { label = \"..\", method = \"..\" }")]
enum MethodEntry {
    Text(String),
    Labelled(Labelled),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labelled {
    label: String,
    method: String,
}

impl MethodEntry {
    fn label(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Labelled(labelled) => &labelled.label,
        }
    }

    fn method(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Labelled(labelled) => &labelled.method,
        }
    }
}

/// What a pair runs for every seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// The row of the tables.
    pub label: String,
    /// The methods as `distill` takes them; none for the student alone.
    pub methods: Option<String>,
}

impl PairFile {
    pub fn name(&self) -> String {
        let stem = || self.teacher.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let teacher = || self.teacher_model.clone().unwrap_or_else(stem);
        self.name.clone().unwrap_or_else(|| format!("{} to {}", teacher(), self.model))
    }

    /// The settings of one run; no methods for the student alone.
    pub fn recipe(&self, file: &SweepFile, methods: Option<&str>, seed: u64, out: &Path) -> Result<Recipe> {
        let own = Recipe {
            teacher: Some(self.teacher.clone()),
            teacher_model: self.teacher_model.clone(),
            model: Some(self.model.clone()),
            method: methods.map(String::from),
            seed: Some(seed),
            out: Some(out.to_path_buf()),
            ..Default::default()
        };
        own.over(&self.settings.over(&file.settings)?)
    }

    /// The student alone, then the sweep's methods as this pair has them, then those of this pair only.
    pub fn lessons(&self, file: &SweepFile) -> Vec<Lesson> {
        let own = |label: &str| self.methods.iter().find(|m| m.label() == label);
        let shared = file.methods.iter().filter(|m| !self.without.iter().any(|label| label == m.label()));
        let shared = shared.map(|m| own(m.label()).unwrap_or(m));
        let added = self.methods.iter().filter(|m| file.methods.iter().all(|f| f.label() != m.label()));
        let taught =
            shared.chain(added).map(|m| Lesson { label: m.label().into(), methods: Some(m.method().into()) });
        std::iter::once(Lesson { label: ALONE.into(), methods: None }).chain(taught).collect()
    }

    fn check(&self, file: &SweepFile) -> Result<()> {
        let recipe = self.recipe(file, None, 0, Path::new(""))?;
        if recipe.method.is_some() || recipe.scheme.is_some() || recipe.baseline.is_some() {
            let message = "a sweep names methods in lists, has no scheme, and always trains alone too";
            return Err(Error::config("settings", message));
        }
        recipe.train_config()?;
        unique("methods", labels(&self.methods))?;
        if let Some(name) = self.without.iter().find(|name| file.methods.iter().all(|m| m.label() != *name)) {
            let known = labels(&file.methods).join(", ");
            let message = format!("the sweep has no method \"{name}\" to leave out; there are {known}");
            return Err(Error::config("without", message));
        }
        for method in self.lessons(file).iter().filter_map(|lesson| lesson.methods.as_deref()) {
            distill::parse(method, &recipe.method_config())?;
        }
        Ok(())
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
        if self.seeds.is_empty() || self.pairs.is_empty() {
            return Err(Error::config("sweep", "needs at least one seed and one [[pair]]"));
        }
        unique("seeds", self.seeds.iter().map(u64::to_string).collect())?;
        unique("methods", labels(&self.methods))?;
        unique("pair", self.pairs.iter().map(PairFile::name).collect())?;
        self.pairs.iter().try_for_each(|pair| pair.check(self))
    }
}

fn labels(methods: &[MethodEntry]) -> Vec<String> {
    methods.iter().map(|m| m.label().to_string()).collect()
}

/// Refuses a name that is there twice, and one that the tables use themselves.
fn unique(what: &str, all: Vec<String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in all {
        if what == "methods" && [ALONE, TEACHER].contains(&name.as_str()) {
            let message =
                format!("\"{name}\" is the name of a row that every table has; choose another label");
            return Err(Error::config(what, message));
        }
        if !seen.insert(name.clone()) {
            let message = format!("\"{name}\" is there twice; the runs would share a folder");
            return Err(Error::config(what, message));
        }
    }
    Ok(())
}
