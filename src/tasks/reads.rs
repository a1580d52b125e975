//! What a network reads of a batch: images, flat numbers, texts. Tasks that take any of them have one of these.

use std::fmt::Debug;

use super::{Leaves, Views};
use crate::data::{FieldType, Source};
use crate::models::{FEATURES, InputSpec, SPANS, TOKENS, Values};
use crate::nn::Mode;
use crate::{Error, Result};

/// How the fields of a batch become what a network reads.
pub trait Reads: Debug + Send + Sync {
    /// What that is.
    fn input(&self) -> InputSpec;

    /// Fails where a source lacks a field, or has one of other sizes, naming it.
    fn check(&self, source: &dyn Source) -> Result<()>;

    /// Records it.
    fn record(&self, leaves: &Leaves, mode: Mode) -> Result<Values>;

    /// What a model is shown of each sample.
    fn views(&self) -> Views {
        Views::default()
    }

    /// What a checkpoint's weights depend on, by name.
    fn identity(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Flat numbers, from the field `features`, f32 (F).
#[derive(Debug, Clone)]
pub struct Features(usize);

impl Features {
    /// As many as a source has.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without the field.
    pub fn of(source: &dyn Source) -> Result<Self> {
        flat(source, FEATURES).map(Self)
    }
}

impl Reads for Features {
    fn input(&self) -> InputSpec {
        InputSpec::Features(self.0)
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        if flat(source, FEATURES)? == self.0 {
            return Ok(());
        }
        let message = format!("expected {} features as in the training set", self.0);
        Err(Error::config(format!("data set {}", source.name()), message))
    }

    fn record(&self, leaves: &Leaves, _: Mode) -> Result<Values> {
        Ok(Values::one(FEATURES, leaves.get(FEATURES)?.clone()))
    }
}

/// Texts, from the packed field `tokens`: the texts of a batch one behind the other, T places, and where each of them is.
#[derive(Debug, Clone)]
pub struct Texts {
    vocabulary: usize,
    longest: usize,
}

impl Texts {
    /// Texts of at most `longest` out of `vocabulary` tokens.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without texts, and for a vocabulary or a length of 0.
    pub fn new(source: &dyn Source, vocabulary: usize, longest: usize) -> Result<Self> {
        if vocabulary == 0 || longest == 0 {
            let message = format!("expected tokens, got texts of {longest} out of {vocabulary}");
            return Err(Error::config("tokens", message));
        }
        let texts = Self { vocabulary, longest };
        texts.check(source).map(|()| texts)
    }
}

impl Reads for Texts {
    fn input(&self) -> InputSpec {
        InputSpec::Tokens { vocabulary: self.vocabulary, longest: self.longest }
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        let field = source.field(TOKENS)?;
        let refuse =
            |message: String| Err(Error::config(format!("field {field} of {}", source.name()), message));
        let Some(lengths) = source.lengths().filter(|_| field.dtype == FieldType::I32) else {
            return refuse("expected texts: i32, packed".into());
        };
        match lengths.iter().position(|length| *length as usize > self.longest) {
            None => Ok(()),
            Some(at) => refuse(format!(
                "expected texts of at most {} tokens, and sample {at} has {}",
                self.longest, lengths[at]
            )),
        }
    }

    fn record(&self, leaves: &Leaves, _: Mode) -> Result<Values> {
        let tokens = leaves.get(TOKENS)?.clone();
        Ok(Values::one(TOKENS, tokens).with(SPANS, leaves.spans()?.clone()))
    }
}

/// The length of a field that must be flat floats.
pub(super) fn flat(source: &dyn Source, name: &str) -> Result<usize> {
    let field = source.field(name)?;
    match (&field.shape[..], field.dtype) {
        (&[n], FieldType::F32) if n > 0 => Ok(n),
        _ => {
            let message = format!("expected f32 [K], got {field}");
            Err(Error::config(format!("field {name} of {}", source.name()), message))
        }
    }
}
