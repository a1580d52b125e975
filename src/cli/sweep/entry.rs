//! A row of a sweep's tables as the user writes it: a method, or a scheme with its settings.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::cli::run::recipe::Recipe;
use crate::cli::run::schemes::{self, Generation, SchemeKind};
use crate::train::sweep::ALONE;
use crate::{Error, Result};

/// What a pair runs for every seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The row of the tables, by which pairs replace it.
    pub label: String,
    /// What the label stands for.
    pub written: String,
    /// Method, scheme and what goes with them, by the names of `distill`'s flags; nothing for the student
    /// alone.
    pub settings: Recipe,
}

impl Entry {
    /// The student without a teacher.
    pub fn alone() -> Self {
        Self { label: ALONE.into(), written: ALONE.into(), settings: Recipe::default() }
    }

    pub fn is_alone(&self) -> bool {
        self.settings.method.is_none() && self.settings.scheme.is_none()
    }

    /// Its scheme; offline for methods, and for the student alone.
    pub fn scheme_kind(&self) -> Result<SchemeKind> {
        SchemeKind::named(self.settings.scheme.as_deref())
    }

    /// Its trainings where there are several. `settings` says all that they depend on: a teacher is of a chain
    /// where it is named here, or where the scheme can't do without.
    pub fn generations(&self) -> Result<Vec<Generation>> {
        schemes::generations(&self.settings, self.scheme_kind()?)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(EntryVisitor)
    }
}

/// A text is a method; a table is a method or a scheme, with a label, settings and teachers of its own.
struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(
            "a method such as \"kd\", or a table such as { label = \"soft\", method = \"kd:1,temperature=8\" \
             } or { scheme = \"dml\" }",
        )
    }

    fn visit_str<E: de::Error>(self, method: &str) -> Result<Entry, E> {
        let settings = Recipe { method: Some(method.into()), ..Default::default() };
        Ok(Entry { label: method.into(), written: method.into(), settings })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map))?.entry().map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    label: Option<String>,
    method: Option<String>,
    scheme: Option<String>,
    generations: Option<u64>,
    assistant: Option<Vec<String>>,
    peer: Option<String>,
    teacher_decay: Option<f64>,
    teachers: Option<Vec<PathBuf>>,
    teacher_weights: Option<Vec<f32>>,
}

impl Table {
    fn entry(self) -> Result<Entry> {
        let named = self.label.as_ref().or(self.scheme.as_ref()).or(self.method.as_ref());
        let (Some(label), true) = (named.cloned(), self.method.is_some() || self.scheme.is_some()) else {
            let got = self.label.map_or("neither".into(), |label| format!("only the label \"{label}\""));
            let message = format!(
                "expected method = \"..\", a method such as \"kd\", or scheme = \"..\", such as \"dml\", \
                 got {got}"
            );
            return Err(Error::config("methods", message));
        };
        let written = self.written();
        let settings = Recipe {
            method: self.method,
            scheme: self.scheme,
            generations: self.generations,
            assistant: self.assistant,
            peer: self.peer,
            teacher_decay: self.teacher_decay,
            teacher: self.teachers.as_deref().map(joined).transpose()?,
            teacher_weights: self.teacher_weights,
            ..Default::default()
        };
        Ok(Entry { label, written, settings })
    }

    /// The entry in words.
    fn written(&self) -> String {
        let head = match (&self.scheme, &self.method) {
            (Some(scheme), Some(method)) => format!("{scheme} by {method}"),
            (scheme, method) => scheme.as_ref().or(method.as_ref()).cloned().unwrap_or_default(),
        };
        let paths = |all: &Vec<PathBuf>| all.iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
        let numbers = |all: &Vec<f32>| all.iter().map(f32::to_string).collect::<Vec<_>>();
        let settings = [
            self.generations.map(|n| format!("generations {n}")),
            self.assistant.as_ref().map(|all| format!("assistant {}", all.join(", "))),
            self.peer.as_ref().map(|peer| format!("peer {peer}")),
            self.teacher_decay.map(|decay| format!("teacher_decay {decay}")),
            self.teachers.as_ref().map(|all| format!("teachers {}", paths(all).join(", "))),
            self.teacher_weights.as_ref().map(|all| format!("teacher_weights {}", numbers(all).join(", "))),
        ];
        let settings: Vec<String> = settings.into_iter().flatten().collect();
        if settings.is_empty() { head } else { format!("{head} with {}", settings.join(", ")) }
    }
}

/// Several teachers as `distill --teacher` takes them.
pub fn joined(paths: &[PathBuf]) -> Result<PathBuf> {
    if paths.is_empty() {
        return Err(Error::config("teachers", "expected at least one file, got none; leave it out"));
    }
    let name = |path: &PathBuf| match path.to_str() {
        Some(name) if paths.len() == 1 || !name.contains(',') => Ok(name.to_string()),
        _ => {
            let message = format!("expected names without commas, got \"{}\"; rename it", path.display());
            Err(Error::config("teachers", message))
        }
    };
    Ok(paths.iter().map(name).collect::<Result<Vec<_>>>()?.join(",").into())
}
