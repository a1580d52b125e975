//! Recipes as users write them: `words:10000+pca:16+int8`.

use std::fmt;
use std::str::FromStr;

use super::store::Store;
use super::{Learning, Small, linear};
use crate::gpu::Gpu;
use crate::tasks::vectors::Closeness;
use crate::vectors::WordVectors;
use crate::{Error, Result};

/// Steps that make a table smaller, in order.
///
/// | step | what it does |
/// |---|---|
/// | `words:N` | the first N words: files have the most frequent first |
/// | `pca:K` | the K directions of most variance, the mean taken out |
/// | `cosines:K` | the best linear map for cosines, the mean left in |
/// | `ppa:N` | the mean and the N directions of most variance taken out (Mu and Viswanath 1702.01417); as wide as before |
/// | `similarities:K` | K numbers trained to keep all similarities: see [`Closeness::Similarities`] |
/// | `neighbours:K` | K numbers trained to keep the neighbours: see [`Closeness::Neighbours`] |
/// | `f16`, `int8` | fewer bytes a number; the last step |
/// | `codes:PxB` | product codes of P parts of B bits; the last step |
///
/// Trained ones have settings: `neighbours:16,steps=800,temperature=0.1,batch=1024,lr=0.005`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    text: String,
    steps: Vec<Step>,
    store: Store,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Words(usize),
    Pca(usize),
    Cosines(usize),
    AllButTheTop(usize),
    Learned(Learning),
}

/// Names of the steps, for messages.
const NAMES: &str =
    "words:N, pca:K, cosines:K, ppa:N, similarities:K, neighbours:K, f32, f16, int8, codes:PxB";

impl Recipe {
    /// Makes the table smaller. `seed` keys what is drawn at random. Blocks where something is trained.
    ///
    /// # Errors
    /// [`Error::Config`] for steps that do not fit the table, by name, and those of the device.
    pub fn apply(&self, gpu: &Gpu, vectors: &WordVectors, seed: u64) -> Result<Small> {
        let mut made = vectors.clone();
        for step in &self.steps {
            made = match step {
                Step::Words(count) => made.first(*count)?,
                Step::Pca(width) => linear::pca(&made, *width)?,
                Step::Cosines(width) => linear::cosines(&made, *width)?,
                Step::AllButTheTop(count) => linear::all_but_the_top(&made, *count)?,
                Step::Learned(learning) => Learning { seed, ..*learning }.run(gpu, &made)?,
            };
        }
        self.store.store(&made, seed)
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn refuse(part: &str, message: impl fmt::Display) -> Error {
    Error::config(format!("step {part:?}"), message)
}

/// A whole number above 0.
fn whole(part: &str, text: &str) -> Result<usize> {
    let number = text.trim().parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| refuse(part, format!("expected a whole number above 0, got {text:?}")))
}

/// `16,steps=800,temperature=0.1`.
fn learning(part: &str, text: &str, mut closeness: Closeness) -> Result<Step> {
    let mut settings = text.split(',');
    let mut learning = Learning::new(whole(part, settings.next().unwrap_or_default())?, closeness);
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let number: f64 = value
            .trim()
            .parse()
            .ok()
            .filter(|n: &f64| n.is_finite() && *n > 0.0)
            .ok_or_else(|| refuse(part, format!("{name}: expected a number above 0, got {value:?}")))?;
        match (name.trim(), &mut closeness) {
            ("steps", _) => learning.steps = whole(part, value)? as u64,
            ("batch", _) => learning.batch_size = whole(part, value)?,
            ("lr", _) => learning.learning_rate = number,
            ("temperature", Closeness::Neighbours { temperature }) => *temperature = number as f32,
            (other, _) => {
                let message = format!(
                    "has no setting {other:?}; there are steps, batch, lr, and temperature of neighbours"
                );
                return Err(refuse(part, message));
            }
        }
    }
    Ok(Step::Learned(Learning { closeness, ..learning }))
}

impl FromStr for Recipe {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut recipe = Self { text: text.trim().to_string(), steps: Vec::new(), store: Store::F32 };
        let parts: Vec<&str> = text.split('+').map(str::trim).collect();
        for (at, part) in parts.iter().enumerate() {
            let (name, rest) = part.split_once(':').unwrap_or((part, ""));
            let number = || whole(part, rest);
            let store = match (name, rest) {
                ("f32", "") => Some(Store::F32),
                ("f16", "") => Some(Store::F16),
                ("int8", "") => Some(Store::Int8),
                ("codes", _) => {
                    let (parts, bits) = rest
                        .split_once('x')
                        .ok_or_else(|| refuse(part, "expected parts x bits, such as codes:10x8"))?;
                    Some(Store::Codes { parts: whole(part, parts)?, bits: whole(part, bits)? })
                }
                _ => None,
            };
            if let Some(store) = store {
                if at + 1 < parts.len() {
                    return Err(refuse(part, "says how numbers are stored, and is the last step"));
                }
                recipe.store = store;
                continue;
            }
            recipe.steps.push(match name {
                "words" => Step::Words(number()?),
                "pca" => Step::Pca(number()?),
                "cosines" => Step::Cosines(number()?),
                "ppa" => Step::AllButTheTop(number()?),
                "similarities" => learning(part, rest, Closeness::Similarities)?,
                "neighbours" => learning(part, rest, Closeness::Neighbours { temperature: 0.1 })?,
                _ => return Err(refuse(part, format!("is none of {NAMES}"))),
            });
        }
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_read_as_they_are_written() {
        let recipe: Recipe =
            "words:100 + ppa:3+neighbours:16,steps=800,temperature=0.05+ codes:4x8".parse().unwrap();
        let learning =
            Learning { steps: 800, ..Learning::new(16, Closeness::Neighbours { temperature: 0.05 }) };
        assert_eq!(recipe.steps, [Step::Words(100), Step::AllButTheTop(3), Step::Learned(learning)]);
        assert_eq!(recipe.store, Store::Codes { parts: 4, bits: 8 });
        assert_eq!("int8".parse::<Recipe>().unwrap().store, Store::Int8);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| text.parse::<Recipe>().unwrap_err().to_string();
        for (text, part) in [
            ("pca", "whole number above 0, got \"\""),
            ("pca:0", "got \"0\""),
            ("pac:3", "is none of words:N"),
            ("int8+pca:3", "the last step"),
            ("codes:3", "codes:10x8"),
            ("neighbours:3,speed=2", "no setting \"speed\""),
            ("similarities:3,temperature=2", "no setting \"temperature\""),
            ("neighbours:3,lr=-1", "lr: expected a number above 0"),
            ("f16:2", "is none of"),
            ("", "is none of"),
        ] {
            assert!(message(text).contains(part), "{text}: {}", message(text));
        }
    }
}
