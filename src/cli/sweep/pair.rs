//! A pair of a sweep's file: a student, whom it learns from, and what differs from the whole sweep.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::entry::{Entry, joined};
use super::file::{SweepFile, inside, labels, unique};
use crate::cli::run::recipe::Recipe;
use crate::cli::run::schemes::{self, SchemeKind};
use crate::cli::run::teachers::teachers_of;
use crate::models::check_name;
use crate::{Error, Result};

/// What stands for the seed in the name of stored outputs, which are of one seed where images are cropped or
/// flipped.
const SEED: &str = "{seed}";

/// A teacher and a student.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairFile {
    name: Option<String>,
    pub teacher: Option<PathBuf>,
    /// Several, instead of one; methods learn from all of them.
    teachers: Option<Vec<PathBuf>>,
    teacher_weights: Option<Vec<f32>>,
    teacher_model: Option<String>,
    /// What the teacher said before, as `limbeck teach` writes it.
    teacher_outputs: Option<String>,
    /// The student's architecture.
    model: String,
    /// Over those of the whole sweep.
    #[serde(default)]
    pub settings: Recipe,
    /// In place of the sweep's of the same label, or besides them.
    #[serde(default)]
    methods: Vec<Entry>,
    /// Labels of the sweep's methods that this pair leaves out.
    #[serde(default)]
    without: Vec<String>,
    /// How the teacher is trained where its file is missing: at least `model`.
    pub train_teacher: Option<Recipe>,
}

impl PairFile {
    pub fn name(&self) -> String {
        let stem = |path: &Path| path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let teachers: Vec<String> = self.teachers().iter().filter_map(|path| stem(path)).collect();
        let outputs = || self.teacher_outputs.as_deref().and_then(|path| stem(Path::new(path)));
        let file = || Some(teachers.join(" and ")).filter(|names| !names.is_empty()).or_else(outputs);
        let teacher = self.teacher_model.clone().or_else(file);
        let made = || teacher.map_or(self.model.clone(), |teacher| format!("{teacher} to {}", self.model));
        self.name.clone().unwrap_or_else(made)
    }

    /// The teachers' files, as they are written.
    pub fn teachers(&self) -> &[PathBuf] {
        match &self.teachers {
            Some(all) => all,
            None => self.teacher.as_slice(),
        }
    }

    /// The file of stored outputs for a seed.
    pub fn outputs(&self, seed: u64) -> Option<PathBuf> {
        self.teacher_outputs.as_ref().map(|path| path.replace(SEED, &seed.to_string()).into())
    }

    /// Every file that somebody else must have made, for `entries` and `seeds`.
    pub fn files(&self, entries: &[Entry], seeds: &[u64]) -> Vec<PathBuf> {
        let own = entries.iter().filter_map(|entry| teachers_of(&entry.settings).ok());
        let own = own.flatten().map(|(path, _)| path);
        let outputs = seeds.iter().filter_map(|seed| self.outputs(*seed));
        let mut all: Vec<PathBuf> = Vec::new();
        for path in self.teachers().iter().cloned().chain(outputs).chain(own) {
            if !all.contains(&path) {
                all.push(path);
            }
        }
        all
    }

    /// The settings of one run.
    pub fn recipe(&self, file: &SweepFile, entry: &Entry, seed: u64, out: &Path) -> Result<Recipe> {
        let kind = entry.scheme_kind()?;
        let own_teacher = entry.settings.teacher.is_some();
        // Chains and peers that need no teacher learn without the pair's.
        let taught = !own_teacher && matches!(kind, SchemeKind::Offline | SchemeKind::Assistants);
        let live = match (taught, self.teachers()) {
            (false, _) | (true, []) => None,
            (true, all) => Some(joined(all)?),
        };
        let offline = taught && kind == SchemeKind::Offline;
        // The student alone is the same with outputs and without them.
        let outputs = self.outputs(seed).filter(|_| offline && !(entry.is_alone() && live.is_some()));
        let own = Recipe {
            teacher_weights: self.teacher_weights.clone().filter(|_| offline),
            teacher_model: self.teacher_model.clone().filter(|_| own_teacher || live.is_some()),
            teacher: live,
            teacher_outputs: outputs,
            model: Some(self.model.clone()),
            seed: Some(seed),
            out: Some(out.to_path_buf()),
            ..Default::default()
        };
        let recipe = entry.settings.over(&own.over(&self.settings.over(&file.settings)?)?)?;
        // It tells of outputs.
        let teacher_hash = recipe.teacher_hash.clone().filter(|_| recipe.teacher_outputs.is_some());
        Ok(Recipe { teacher_hash, ..recipe })
    }

    /// The student alone, then the sweep's methods as this pair has them, then those of this pair only.
    pub fn entries(&self, file: &SweepFile) -> Vec<Entry> {
        let own = |label: &str| self.methods.iter().find(|m| m.label == label);
        let shared = file.methods.iter().filter(|m| !self.without.contains(&m.label));
        let shared = shared.map(|m| own(&m.label).unwrap_or(m));
        let added = self.methods.iter().filter(|m| file.methods.iter().all(|f| f.label != m.label));
        std::iter::once(Entry::alone()).chain(shared.chain(added).cloned()).collect()
    }

    /// Everything that can be said without data.
    pub fn check(&self, file: &SweepFile) -> Result<()> {
        misplaced(&self.settings.over(&file.settings)?)?;
        if self.teacher.is_some() && self.teachers.is_some() {
            return Err(Error::config("teachers", "is given beside teacher; leave one out"));
        }
        if self.train_teacher.is_some() && self.teacher.is_none() {
            let message = "says how to train a teacher, and there is no teacher = \"FILE\" to write";
            return Err(Error::config("train_teacher", message));
        }
        if self.train_teacher.as_ref().is_some_and(|own| own.model.is_none()) {
            let message = "needs model = \"NAME\", the architecture of the teacher that it trains";
            return Err(Error::config("train_teacher", message));
        }
        if self.teacher_weights.is_some() && self.teachers().is_empty() {
            return Err(Error::config("teacher_weights", "are the shares of teachers, and there are none"));
        }
        if self.teacher_outputs.is_some() && self.teachers().len() > 1 {
            let message = "are one teacher's, and the pair has several; leave one of both out";
            return Err(Error::config("teacher_outputs", message));
        }
        known_models("model", [&self.model])?;
        known_models("train_teacher", self.train_teacher.iter().filter_map(|own| own.model.as_ref()))?;
        unique("methods", labels(&self.methods))?;
        if let Some(name) = self.without.iter().find(|name| file.methods.iter().all(|m| m.label != **name)) {
            let known = labels(&file.methods).join(", ");
            let message = format!("the sweep has no method \"{name}\" to leave out; there are {known}");
            return Err(Error::config("without", message));
        }
        self.entries(file).iter().try_for_each(|entry| {
            self.check_entry(file, entry)
                .map_err(|error| inside(&format!("methods: \"{}\"", entry.label), error))
        })
    }

    fn check_entry(&self, file: &SweepFile, entry: &Entry) -> Result<()> {
        let recipe = self.recipe(file, entry, 0, Path::new(""))?;
        recipe.train_config()?;
        if recipe.teacher.is_some() {
            let teachers = teachers_of(&recipe)?.len();
            if teachers > 1 && entry.scheme_kind()? != SchemeKind::Offline {
                let message = format!(
                    "expected one teacher for this scheme, got the pair's {teachers}; \
                     give the entry one in teachers"
                );
                return Err(Error::config("teachers", message));
            }
        }
        if entry.is_alone() {
            return Ok(());
        }
        let kind = SchemeKind::of(&recipe)?;
        entry.generations()?;
        known_models("assistant", recipe.assistant.iter().flatten())?;
        known_models("peer", &recipe.peer)?;
        let teacherless = schemes::is_teacherless(&recipe, kind, &schemes::objective(&recipe)?)?;
        let given =
            recipe.teacher.is_some() || (kind == SchemeKind::Offline && recipe.teacher_outputs.is_some());
        let needed = matches!(kind, SchemeKind::Assistants) || (kind == SchemeKind::Offline && !teacherless);
        if needed && !given {
            let message = "is needed here; give the pair teacher = \"FILE\", or leave this out by without";
            return Err(Error::config("teacher", message));
        }
        Ok(())
    }
}

/// Refuses a name of no architecture, before other rows have run for hours.
fn known_models<'a>(key: &str, names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    names.into_iter().try_for_each(|name| {
        check_name(name).map_err(|error| match error {
            Error::Config { message, .. } => Error::config(key, message),
            other => other,
        })
    })
}

/// Refuses what has a place of its own in a sweep.
fn misplaced(settings: &Recipe) -> Result<()> {
    let given = [
        ("method", settings.method.is_some(), "a sweep names methods in lists"),
        ("scheme", settings.scheme.is_some(), "a sweep names schemes in methods, as { scheme = \"dml\" }"),
        ("baseline", settings.baseline.is_some(), "a sweep always trains alone too"),
        ("generations", settings.generations.is_some(), "it belongs to an entry of methods"),
        ("assistant", settings.assistant.is_some(), "it belongs to an entry of methods"),
        ("peer", settings.peer.is_some(), "it belongs to an entry of methods"),
        ("teacher_decay", settings.teacher_decay.is_some(), "it belongs to an entry of methods"),
        ("teacher", settings.teacher.is_some(), "it belongs to [[pair]]"),
        ("teacher_weights", settings.teacher_weights.is_some(), "it belongs to [[pair]]"),
        ("teacher_outputs", settings.teacher_outputs.is_some(), "it belongs to [[pair]]"),
        ("model", settings.model.is_some(), "it belongs to [[pair]]"),
    ];
    match given.iter().find(|(_, given, _)| *given) {
        None => Ok(()),
        Some((name, _, why)) => {
            Err(Error::config(format!("settings: {name}"), format!("{why}; leave it out")))
        }
    }
}
