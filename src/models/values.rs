//! Named tensors of a pass: what a model reads, and what it gives.

use std::sync::Arc;

use crate::ops::boxes::YoloHead;
use crate::tape::Tensor;
use crate::{Error, Result};

/// Images (N, C, H, W), normalised, as a model reads them.
pub const IMAGES: &str = "images";
/// Flat numbers (N, F), as a model reads them.
pub const FEATURES: &str = "features";
/// Words by number, i32 (N), as a model reads them.
pub const WORDS: &str = "words";
/// Tokens by number, i32 (T), as a model reads them: the texts of a batch one behind the other, and -1 for places that no
/// token fills.
pub const TOKENS: &str = "tokens";
/// Where among the tokens each text of a batch is, i32 (N, 2): its first place and the one behind its last. One of equal
/// numbers is of a place in the batch that no text fills.
pub const SPANS: &str = "spans";
/// The places of those tokens that a masked language model is to predict, i32 (R): -1 for rows that no token fills.
pub const CHOSEN: &str = "chosen";
/// Scores of classes before any softmax, (N, C), as a classifier gives them; of a masked language model (R, V).
pub const LOGITS: &str = "logits";
/// Predicted numbers (N, K).
pub const NUMBERS: &str = "numbers";

/// What boxes are read off: a map (N, A (5 + C), H, W) for each head.
pub const BOXES: &str = "boxes";

/// Tensors by name, in order.
#[derive(Clone, Debug, Default)]
pub struct Values {
    named: Vec<(String, Tensor)>,
    heads: Vec<(String, Arc<YoloHead>)>,
}

/// What a model gives: `logits` of a classifier, several of them of others.
pub type Outputs = Values;

impl Values {
    /// A single tensor.
    pub fn one(name: impl Into<String>, tensor: Tensor) -> Self {
        Self::default().with(name, tensor)
    }

    /// Images (N, C, H, W).
    pub fn images(images: &Tensor) -> Self {
        Self::one(IMAGES, images.clone())
    }

    /// One more tensor behind the others.
    pub fn with(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.named.push((name.into(), tensor));
        self
    }

    /// One more tensor, a map (N, A (5 + C), H, W) off which `head` reads boxes.
    pub fn with_boxes(mut self, name: impl Into<String>, map: Tensor, head: Arc<YoloHead>) -> Self {
        let name = name.into();
        self.heads.push((name.clone(), head));
        self.with(name, map)
    }

    /// The maps off which boxes are read, in order, with how that is done; none of a network that gives no boxes.
    pub fn boxes(&self) -> impl Iterator<Item = (&Tensor, &Arc<YoloHead>)> {
        let map = |name: &str| self.named.iter().find(|(other, _)| other == name).map(|(_, map)| map);
        self.heads.iter().filter_map(move |(name, head)| Some((map(name)?, head)))
    }

    /// How boxes are read off the map of this name, where it is one.
    pub fn head_of(&self, name: &str) -> Option<&Arc<YoloHead>> {
        self.heads.iter().find(|(other, _)| other == name).map(|(_, head)| head)
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`Error::Config`] that lists the names there are, with shapes.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let found = self.named.iter().find(|(other, _)| other == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| {
            let all: Vec<_> =
                self.iter().map(|(name, tensor)| format!("{name} {}", tensor.shape())).collect();
            let there = if all.is_empty() { "nothing".into() } else { all.join(", ") };
            Error::config(name, format!("expected a value of this name, and there is {there}"))
        })
    }

    /// The only tensor, whatever its name.
    ///
    /// # Errors
    /// [`Error::Config`] where there are none or several.
    pub fn only(&self) -> Result<&Tensor> {
        match &self.named[..] {
            [(_, tensor)] => Ok(tensor),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                Err(Error::config("outputs", format!("expected one, and there are [{}]", names.join(", "))))
            }
        }
    }

    /// The logits (N, C) of a classifier.
    ///
    /// # Errors
    /// As [`Values::get`].
    pub fn logits(&self) -> Result<&Tensor> {
        self.get(LOGITS)
    }
}
