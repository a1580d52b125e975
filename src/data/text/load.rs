//! Data sets of texts by name: their files, and which part of them is what.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{TextFormat, TextOptions, TextSet, Texts, Tokenizer, read};
use crate::data::load::find_place;
use crate::data::{Content, Source, Split};
use crate::{Error, Result};

/// The parts of a data set of texts, as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TextSets {
    /// To learn from.
    pub train: TextSet,
    /// To watch while training, where there is such a part.
    pub validation: Option<TextSet>,
    /// To measure by.
    pub test: TextSet,
}

/// The parts of a data set of texts, as they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct TextParts {
    /// To learn from.
    pub train: Texts,
    /// To watch while training, where there is such a part.
    pub validation: Option<Texts>,
    /// To measure by.
    pub test: Texts,
}

/// Names that parts of a user's own data may have, without their endings.
const PARTS: [&[&str]; 3] = [&["train"], &["dev", "validation", "valid"], &["test"]];
/// Endings of their files.
const ENDINGS: [&str; 5] = ["tsv", "csv", "jsonl", "json", "txt"];

/// Opens the data set `name` of texts or sentences, from `dir`, or else from the first of the places that
/// [`load`](crate::data::load()) looks in.
///
/// Of texts each sample has a label. Of sentences the training part is every different sentence, without scores, and of the others
/// samples 2 i and 2 i + 1 are a pair, and both have its score; `options.label` is the column of the score there.
///
/// # Errors
/// [`Error::Config`] for an unknown name, a set of images, and texts without labels or pairs without scores; those of [`read`]; and
/// [`Error::File`], when there is no such data, with each place looked at and what belongs there.
pub fn read_texts(name: &str, dir: Option<&Path>, options: &TextOptions) -> Result<TextParts> {
    let (info, place) = find_place(name, dir, &[Content::Texts, Content::Sentences])?;
    let sentences = info.content == Content::Sentences;
    let mut options = known(name, options);
    if sentences && options.score.is_none() {
        options.score = options.label.take();
    }
    let (train, validation, test) = files(name, &place)?;
    let texts = read(&train, &training(&train, &options, sentences))?;
    if !sentences && options.classes.is_none() {
        options.classes = Some(texts.class_names().to_vec());
    }
    let measured = |path: &PathBuf| measured(path, read(path, &options)?, sentences);
    let validation = validation.as_ref().map(measured).transpose()?;
    let test = measured(&test)?;
    let train = if sentences { different(&texts) } else { labelled(&train, texts)? };
    Ok(TextParts { train, validation, test })
}

/// [`read_texts`] as tokens: texts of at most `longest`.
///
/// # Errors
/// Those of [`read_texts`] and of [`Tokenizer::encode`].
pub fn load_texts(
    name: &str,
    dir: Option<&Path>,
    (tokenizer, longest): (&Tokenizer, usize),
    options: &TextOptions,
) -> Result<TextSets> {
    let parts = read_texts(name, dir, options)?;
    let set = |texts: &Texts, split| tokenized(name, texts, split, (tokenizer, longest));
    let validation = parts.validation.map(|texts| set(&texts, Split::Validation)).transpose()?;
    Ok(TextSets { train: set(&parts.train, Split::Train)?, validation, test: set(&parts.test, Split::Test)? })
}

/// Opens the texts of a data set as [`load_texts`] does, without labels and scores: every different one, of pairs both. A part may then
/// be lines of text.
///
/// # Errors
/// As [`load_texts`].
pub fn load_plain_texts(
    name: &str,
    dir: Option<&Path>,
    (tokenizer, longest): (&Tokenizer, usize),
    options: &TextOptions,
) -> Result<TextSets> {
    let (_, place) = find_place(name, dir, &[Content::Texts, Content::Sentences])?;
    let options = known(name, options);
    let (train, validation, test) = files(name, &place)?;
    let set = |path: &PathBuf, split| {
        let texts = different(&read(path, &training(path, &options, true))?);
        tokenized(name, &texts, split, (tokenizer, longest))
    };
    let validation = validation.map(|path| set(&path, Split::Validation)).transpose()?;
    Ok(TextSets { train: set(&train, Split::Train)?, validation, test: set(&test, Split::Test)? })
}

/// Texts by their tokens; says how many are cut.
fn tokenized(
    name: &str,
    texts: &Texts,
    split: Split,
    (tokenizer, longest): (&Tokenizer, usize),
) -> Result<TextSet> {
    let set = TextSet::tokenized(texts, split, tokenizer, longest)?;
    if set.cut() > 0 {
        let (cut, all) = (set.cut(), set.len());
        log::warn!("{name} ({split}): {cut} of {all} texts have more than {longest} tokens and were cut");
    }
    Ok(set)
}

/// The options for a set whose files are known.
fn known(name: &str, options: &TextOptions) -> TextOptions {
    let own = match name {
        "sst2" => TextOptions {
            format: Some(TextFormat::Tsv),
            header: Some(false),
            text: Some(0.into()),
            label: Some(1.into()),
            classes: Some(vec!["negative".into(), "positive".into()]),
            ..Default::default()
        },
        "stsb" => TextOptions {
            format: Some(TextFormat::Tsv),
            header: Some(false),
            text: Some(5.into()),
            second: Some(6.into()),
            score: Some(4.into()),
            ..Default::default()
        },
        _ => return options.clone(),
    };
    TextOptions { limit: options.limit, ..own }
}

/// The files of training, validation and test.
fn files(name: &str, place: &Path) -> Result<(PathBuf, Option<PathBuf>, PathBuf)> {
    if name == "stsb" {
        let [train, dev, test] = ["train", "dev", "test"].map(|part| place.join(format!("sts-{part}.csv")));
        return Ok((train, Some(dev), test));
    }
    let find = |names: &[&str]| {
        let named = |name: &&str| ENDINGS.map(|ending| place.join(format!("{name}.{ending}")));
        names.iter().flat_map(named).find(|path| path.is_file())
    };
    let [train, validation, test] = PARTS.map(find);
    let there = |part: &str, path: Option<PathBuf>| {
        let message =
            format!("expected a file {part}.{}, found none of them", ENDINGS.join(&format!(", {part}.")));
        path.ok_or_else(|| Error::file(place, message))
    };
    Ok((there("train", train)?, validation, there("test", test)?))
}

/// How the training part is read: sentences need no scores, and lines have no columns.
fn training(path: &Path, options: &TextOptions, sentences: bool) -> TextOptions {
    if !sentences {
        return options.clone();
    }
    let lines = options.format.is_none() && path.extension().is_some_and(|ending| ending == "txt");
    let columns = if lines { (None, None) } else { (options.text.clone(), options.second.clone()) };
    TextOptions { text: columns.0, second: columns.1, label: None, score: None, ..options.clone() }
}

/// Every different sentence, in the order in which they come.
fn different(texts: &Texts) -> Texts {
    let one_by_one = texts.one_by_one();
    let mut seen = HashSet::new();
    let all = one_by_one.firsts().iter().filter(|text| seen.insert(text.as_str())).cloned().collect();
    Texts::new(texts.name(), all)
}

/// Texts to measure by: with labels, or as pairs with scores.
fn measured(path: &Path, texts: Texts, sentences: bool) -> Result<Texts> {
    if !sentences {
        return labelled(path, texts);
    }
    if texts.seconds().is_none() || texts.scores().is_none() {
        let message = "expected pairs of sentences and a score of each; name the columns of both texts and of the score";
        return Err(Error::file(path, message));
    }
    Ok(texts.one_by_one())
}

fn labelled(path: &Path, texts: Texts) -> Result<Texts> {
    match texts.labels() {
        Some(_) => Ok(texts),
        None => Err(Error::file(path, "expected a label of each text; name their column")),
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
