//! What the metadata of a file says, and what stands for it where it says nothing.

use std::path::Path;

use super::{ModelMetadata, Overrides, TOKENIZER, parse_input};
use crate::files::Metadata;
use crate::models::{Head, InputSpec, cfg_file};
use crate::{Error, Result};

/// What a file's metadata says.
pub(super) struct FileMetadata<'a> {
    pub path: &'a Path,
    pub metadata: &'a Metadata,
}

impl FileMetadata<'_> {
    /// The text of the `.cfg` that a model of the file's own is, where it is one.
    pub fn description(&self, model: &str, given: bool) -> Result<Option<&str>> {
        if given || cfg_file(model).is_none() {
            return Ok(None);
        }
        // What a file says is no reason to read another one.
        self.metadata.get("limbeck.cfg").map(|text| Some(text.as_str())).ok_or_else(|| {
            let message = format!(
                "its model is {}, and it does not say that (limbeck.cfg); pass `model` with the .cfg",
                model.escape_debug()
            );
            Error::file(self.path, message)
        })
    }

    /// What a network of this input gives where the file says that it is tokens of its vocabulary.
    pub fn tokens(&self, input: InputSpec) -> Option<Head> {
        let InputSpec::Tokens { vocabulary, .. } = input else { return None };
        let key = format!("limbeck.{}", Head::Tokens(0).key());
        self.metadata.contains_key(&key).then_some(Head::Tokens(vocabulary))
    }

    /// What the network gives, and the names of it: boxes and tokens where its model does, numbers where the file says so, or else
    /// classes.
    pub fn head(&self, said: [&Option<Vec<String>>; 2], native: Option<Head>) -> Result<(Head, Vec<String>)> {
        if let Some(Head::Boxes(classes)) = native {
            let key = Head::Boxes(0).key();
            let names = Some(class_names(said[1], classes));
            let names = self.one(key, "classes", [said[0], &names], |text| list(self.path, key, text))?;
            return Ok((Head::Boxes(names.len()), names));
        }
        if let Some(tokens @ Head::Tokens(_)) = native {
            return Ok((tokens, Vec::new()));
        }
        let numbers = Head::Numbers(0).key();
        if said[0].is_none() && self.metadata.contains_key(&format!("limbeck.{numbers}")) {
            let names =
                self.one(numbers, "numbers", [&None, &None], |text| list(self.path, numbers, text))?;
            return Ok((Head::Numbers(names.len()), names));
        }
        let names = self.classes(said)?;
        Ok((Head::Classes(names.len()), names))
    }

    /// The names of the classes.
    pub fn classes(&self, given: [&Option<Vec<String>>; 2]) -> Result<Vec<String>> {
        self.one("classes", "classes", given, |text| list(self.path, "classes", text))
    }

    /// How the network is fed, checked.
    pub fn metadata(
        &self,
        overrides: &Overrides,
        fallback: &Overrides,
        input: InputSpec,
        classes: Vec<String>,
    ) -> Result<ModelMetadata> {
        let path = self.path;
        let read = |text: &str| list(path, "mean", text);
        if let InputSpec::Features(_) | InputSpec::Words(_) | InputSpec::Tokens { .. } = input {
            let tokenizer = self.metadata.get(TOKENIZER).map(|text| text.as_str().into());
            return Ok(ModelMetadata { classes, tokenizer, ..Default::default() });
        }
        let mean: Vec<f32> = self.one("mean", "mean", [&overrides.mean, &fallback.mean], read)?;
        let read = |text: &str| list(path, "std", text);
        let std: Vec<f32> = self.one("std", "standard deviation", [&overrides.std, &fallback.std], read)?;
        check_metadata(path, input.dims()[0], &classes, &mean, &std)?;
        Ok(ModelMetadata { classes, mean, std, ..Default::default() })
    }

    /// One fact: from the user, else from the file, else from the fallback.
    pub fn one<T: Clone>(
        &self,
        key: &str,
        what: &str,
        [user, fallback]: [&Option<T>; 2],
        parse: impl Fn(&str) -> Result<T>,
    ) -> Result<T> {
        if let Some(value) = user {
            return Ok(value.clone());
        }
        if let Some(text) = self.metadata.get(&format!("limbeck.{key}")) {
            return parse(text);
        }
        fallback.clone().ok_or_else(|| {
            let hint = match key {
                "model" => "pass `model` with the one it was made with, such as `model = resnet20`",
                "input" => {
                    "pass `input`, such as `input = 3x32x32`, or `data` with the data set it was trained on"
                }
                "classes" | "box_classes" => {
                    "pass `classes` with their names or number, or `data` with the data set it was trained on"
                }
                "mean" => "pass `mean` and `std`, or `data` with the data set it was trained on",
                _ => "pass `std`, or `data` with the data set it was trained on",
            };
            Error::file(self.path, format!("the file does not say its {what} (limbeck.{key}); {hint}"))
        })
    }
}

/// Refuses what no network can be built for or fed with.
pub(super) fn check_metadata(
    path: &Path,
    channels: usize,
    classes: &[String],
    mean: &[f32],
    std: &[f32],
) -> Result<()> {
    if classes.is_empty() {
        return Err(Error::file(path, "metadata limbeck.classes: expected at least one class, found none"));
    }
    if mean.len() != channels || std.len() != channels {
        let message = format!(
            "expected a mean and a standard deviation for each of {} channels, got {mean:?} and {std:?}; pass both \
             `mean` and `std`",
            channels
        );
        return Err(Error::file(path, message));
    }
    if !mean.iter().all(|m| m.is_finite()) || !std.iter().all(|s| s.is_finite() && *s > 0.0) {
        let message =
            format!("expected finite means and standard deviations above 0, got {mean:?} and {std:?}");
        return Err(Error::file(path, message));
    }
    Ok(())
}

/// The names of so many classes: these where they are as many, or else numbers.
pub(super) fn class_names(names: &Option<Vec<String>>, classes: usize) -> Vec<String> {
    let fit = names.clone().filter(|names| names.len() == classes);
    fit.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect())
}

/// `3x32x32` for an image, `12` for 12 features, `400 words`, `texts of 128 out of 30522 tokens`.
pub(super) fn parse_spec(text: &str) -> Result<InputSpec> {
    if let Some((longest, vocabulary)) = tokens(text.trim()) {
        return Ok(InputSpec::Tokens { vocabulary, longest });
    }
    if let Some(words) = text.trim().strip_suffix(" words").and_then(|n| n.parse().ok()) {
        return Ok(InputSpec::Words(words));
    }
    match text.trim().parse() {
        Ok(n) if n > 0 => Ok(InputSpec::Features(n)),
        _ => parse_input(text).map(InputSpec::Image),
    }
}

/// The two numbers of `texts of 128 out of 30522 tokens`.
fn tokens(text: &str) -> Option<(usize, usize)> {
    let (longest, vocabulary) =
        text.strip_prefix("texts of ")?.strip_suffix(" tokens")?.split_once(" out of ")?;
    Some((longest.parse().ok().filter(|n| *n > 0)?, vocabulary.parse().ok()?))
}

fn list<T: serde::de::DeserializeOwned>(path: &Path, key: &str, text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text)
        .map_err(|e| Error::file(path, format!("metadata limbeck.{key}: expected a JSON list ({e})")))
}
