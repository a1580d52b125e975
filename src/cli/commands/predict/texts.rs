//! What a classifier or a regressor makes of texts.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::likeliest::{NOT_FINITE, Probability, likeliest};
use super::{PredictFlags, given};
use crate::cli::AdapterFlags;
use crate::cli::out::{json, say};
use crate::cli::run::box_flags::not_of_classes;
use crate::cli::run::subject::tokens::tokenizer_for;
use crate::data::text::TextSet;
use crate::data::{Source, Split};
use crate::models::saved::Saved;
use crate::models::{Head, encoder};
use crate::report::{printable, significant};
use crate::sentences::answers;
use crate::{Error, Result};

#[derive(Serialize)]
struct Prediction<'a> {
    text: &'a str,
    /// Of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<&'a str>,
    #[serde(flatten)]
    answer: Answer<'a>,
}

/// What a network says of a text.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer<'a> {
    /// The likeliest classes.
    Classes(Vec<Probability<'a>>),
    /// In the network's order.
    Numbers(Vec<Number<'a>>),
}

#[derive(Serialize)]
struct Number<'a> {
    name: &'a str,
    value: f32,
}

impl<'a> Answer<'a> {
    fn of(head: Head, row: &[f32], names: &'a [String], top: usize) -> Option<Self> {
        match head {
            Head::Classes(_) => likeliest(row, names, top).map(Self::Classes),
            _ if row.iter().all(|v| v.is_finite()) => {
                let all = names.iter().zip(row).map(|(name, &value)| Number { name, value });
                Some(Self::Numbers(all.collect()))
            }
            _ => None,
        }
    }

    fn show(&self) -> Result<()> {
        match self {
            Self::Classes(all) => all.iter().try_for_each(Probability::show),
            Self::Numbers(all) => all.iter().try_for_each(|Number { name, value }| {
                say!("  {:>8}  {}", significant(f64::from(*value)), printable(name))
            }),
        }
    }
}

/// Reads, runs and prints: texts of at most `longest` tokens. Nothing is printed unless every text could be read.
pub fn run(adapter: &AdapterFlags, flags: &PredictFlags, saved: &Saved, longest: usize) -> Result<ExitCode> {
    flags.boxes.refuse()?;
    if flags.out.is_some() {
        return Err(not_of_classes("--out"));
    }
    let head = saved.network.head();
    if !matches!(head, Head::Classes(_)) && encoder::gives_vectors(&saved.network)? {
        let width = head.width();
        let message = format!(
            "it gives a vector of {width} numbers for a text, no class and no score; `limbeck embed` writes vectors"
        );
        return Err(Error::file(&flags.model.file, message));
    }
    let texts = given::texts(&flags.inputs, &flags.columns)?;
    let tokenizer = tokenizer_for(&flags.model.file, saved)?;
    let set = Arc::new(TextSet::tokenized(&texts, Split::Test, &tokenizer, longest)?);
    if set.cut() > 0 {
        log::warn!("{} of {} texts have more than {longest} tokens and were cut", set.cut(), set.len());
    }
    let rows = answers(&adapter.open()?, &saved.network, &set)?;
    let names = &saved.metadata.classes;
    let mut all = Vec::with_capacity(texts.len());
    for (at, (text, row)) in texts.firsts().iter().zip(rows.chunks(head.width())).enumerate() {
        let answer = Answer::of(head, row, names, flags.top as usize);
        let answer = answer.ok_or_else(|| Error::config(format!("text {at}"), NOT_FINITE))?;
        let second = texts.seconds().and_then(|all| all.get(at)).map(String::as_str);
        all.push(Prediction { text, second, answer });
    }
    if flags.json {
        json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for Prediction { text, second, answer } in &all {
        let second = second.map_or(String::new(), |second| format!(" | {}", printable(second)));
        say!("{}{second}", printable(text))?;
        answer.show()?;
    }
    Ok(ExitCode::SUCCESS)
}
