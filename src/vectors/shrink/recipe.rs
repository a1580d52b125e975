//! Recipes as users write them: `words:10000+pca:16+int8`.

use std::fmt;
use std::str::FromStr;

use super::codes::uneven;
use super::store::Store;
use super::{Learning, Small, linear};
use crate::gpu::Gpu;
#[cfg(not(target_arch = "wasm32"))]
use crate::platform::block_on;
use crate::tasks::vectors::{Closeness, MOST_WORDS};
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
/// Trained ones have settings: `neighbours:16,steps=400,temperature=0.07,batch=1024,near=32,lr=0.005`.
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

/// Fewest words that are compared with each other.
const FEWEST: usize = 4;
/// Names of the steps, for messages.
const NAMES: &str =
    "words:N, pca:K, cosines:K, ppa:N, similarities:K, neighbours:K, f32, f16, int8, codes:PxB";

impl Recipe {
    /// Whether a step is trained, on a device.
    #[must_use]
    pub fn trains(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Learned(_)))
    }

    /// Fails where a step does not fit a table of so many words and numbers a word.
    ///
    /// # Errors
    /// [`Error::Config`] that names the step.
    pub fn check(&self, mut words: usize, mut width: usize) -> Result<()> {
        for step in &self.steps {
            let (name, narrower) = match step {
                Step::Words(count) => {
                    words = words.min(*count);
                    continue;
                }
                Step::AllButTheTop(top) if *top >= width => {
                    let message =
                        format!("expected fewer directions than the {width} numbers of a vector, got {top}");
                    return Err(refuse(&format!("ppa:{top}"), message));
                }
                Step::AllButTheTop(_) => continue,
                Step::Pca(narrower) => ("pca", *narrower),
                Step::Cosines(narrower) => ("cosines", *narrower),
                Step::Learned(learning) => (learning.closeness.name(), learning.width),
            };
            let step = format!("{name}:{narrower}");
            if narrower > width {
                return Err(refuse(&step, format!("expected 1 to the {width} numbers of a vector")));
            }
            if matches!(name, "similarities" | "neighbours") && words < FEWEST {
                return Err(refuse(
                    &step,
                    format!("is trained on {FEWEST} words or more, and there are {words}"),
                ));
            }
            width = narrower;
        }
        match self.store {
            Store::Codes { parts, .. } if !width.is_multiple_of(parts) => Err(uneven(parts, width)),
            _ => Ok(()),
        }
    }

    /// Makes the table smaller. `seed` keys what is drawn at random. Blocks where something is trained, which is all that
    /// needs a device.
    ///
    /// # Errors
    /// As [`Recipe::check`]; [`Error::Config`] for a step that is trained and no device; and those of the device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn apply(&self, gpu: Option<&Gpu>, vectors: &WordVectors, seed: u64) -> Result<Small> {
        let made = self.apply_async(gpu, vectors, seed);
        match gpu {
            Some(gpu) => gpu.block_on(made),
            // There is nothing to wait for.
            None => block_on(made),
        }
    }

    /// [`Recipe::apply`] for callers that may not block.
    ///
    /// # Errors
    /// As [`Recipe::apply`].
    pub async fn apply_async(&self, gpu: Option<&Gpu>, vectors: &WordVectors, seed: u64) -> Result<Small> {
        self.check(vectors.len(), vectors.width())?;
        let mut made = vectors.clone();
        for step in &self.steps {
            made = match step {
                Step::Words(count) => made.first(*count)?,
                Step::Pca(width) => linear::pca(&made, *width)?,
                Step::Cosines(width) => linear::cosines(&made, *width)?,
                Step::AllButTheTop(count) => linear::all_but_the_top(&made, *count)?,
                Step::Learned(learning) => {
                    let gpu = gpu.ok_or_else(|| {
                        refuse(learning.closeness.name(), "is trained on a device; give one")
                    })?;
                    Learning { seed, ..*learning }.run(gpu, &made).await?
                }
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

/// A whole number of a setting.
fn within(part: &str, name: &str, text: &str, least: usize, most: usize) -> Result<usize> {
    let number = text.trim().parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| {
        refuse(part, format!("{name}: expected a whole number from {least} to {most}, got {text:?}"))
    })
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
            ("steps", _) => learning.steps = within(part, "steps", value, 1, 1_000_000)? as u64,
            ("batch", _) => learning.batch_size = within(part, "batch", value, FEWEST, MOST_WORDS)?,
            ("near", _) => learning.near = within(part, "near", value, 1, MOST_WORDS)?,
            ("lr", _) => learning.learning_rate = number,
            ("temperature", Closeness::Neighbours { temperature }) if (0.01..=100.0).contains(&number) => {
                *temperature = number as f32;
            }
            ("temperature", Closeness::Neighbours { .. }) => {
                return Err(refuse(part, format!("temperature: expected 0.01 to 100, got {number}")));
            }
            (other, _) => {
                let message = format!(
                    "has no setting {other:?}; there are steps, batch, near, lr, and temperature of neighbours"
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
                    Some(Store::Codes { parts: whole(part, parts)?, bits: within(part, "bits", bits, 1, 8)? })
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
                "neighbours" => learning(part, rest, Closeness::Neighbours { temperature: 0.07 })?,
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
    fn steps_that_do_not_fit_a_table_are_named() {
        let message = |text: &str, words, width| {
            text.parse::<Recipe>().unwrap().check(words, width).err().map(|e| e.to_string())
        };
        assert!(message("neighbours:16+codes:3x8", 100, 50).unwrap().contains("one of 1, 2, 4, 8, 16"));
        assert!(message("pca:16+pca:17", 100, 50).unwrap().contains("pca:17"));
        assert!(message("ppa:50", 100, 50).unwrap().contains("ppa:50"));
        assert!(message("words:3+similarities:2", 100, 50).unwrap().contains("there are 3"));
        assert_eq!(message("words:9+ppa:3+neighbours:16+codes:8x8", 100, 50), None);
        assert!(
            "neighbours:16".parse::<Recipe>().unwrap().trains()
                && !"pca:3".parse::<Recipe>().unwrap().trains()
        );
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
            ("codes:3x9", "bits: expected a whole number from 1 to 8"),
            ("neighbours:3,batch=2", "batch: expected a whole number from 4 to 4096"),
            ("neighbours:3,steps=999999999999", "steps: expected"),
            ("neighbours:3,temperature=0.001", "temperature: expected 0.01 to 100"),
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
