//! How token vectors become a static model's rows.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::{Error, Result};

/// Steps from token vectors to rows: principal components, scaled, and weights of tokens.
///
/// ```
/// use limbeck::sentences::statics::{Recipe, Scaling, Weights};
///
/// let recipe = Recipe { weights: "both:3e-4".parse()?, ..Recipe::new(128) };
/// assert_eq!((recipe.scaling, recipe.weights), (Scaling::QuarterRoot, Weights::Both { a: 3e-4 }));
/// # Ok::<(), limbeck::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Numbers of a row.
    pub dims: usize,
    /// What becomes of the components.
    pub scaling: Scaling,
    /// How much a token counts in a sentence.
    pub weights: Weights,
}

/// What becomes of principal components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// They stay as they are, as in model2vec.
    None,
    /// Each is divided by the fourth root of its variance: half of what whitening does. Similarities of sentences and of words, and
    /// classes told apart, all gain.
    #[default]
    QuarterRoot,
    /// So many of the largest are left out (after Mu and Viswanath 1702.01417). Similarities gain more, classes lose.
    DropLargest(usize),
}

/// How much a token counts: a / (a + p), with p its share of all tokens (Arora et al. 2017, SIF). What is frequent counts less:
/// good where sentences are compared, bad where question words or the like tell classes apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weights {
    /// All alike.
    None,
    /// p by Zipf's law: 1 / (row + 2), for the tokenizers that have frequent tokens first.
    Zipf {
        /// The share of a token that counts half.
        a: f64,
    },
    /// p counted in sentences.
    Counts {
        /// The share of a token that counts half.
        a: f64,
    },
    /// p the mean of both.
    Both {
        /// The share of a token that counts half.
        a: f64,
    },
}

impl Default for Weights {
    fn default() -> Self {
        Self::Zipf { a: 1e-4 }
    }
}

impl Recipe {
    /// The default: components divided by the fourth root of their variance, weights by Zipf's law.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        Self { dims, scaling: Scaling::default(), weights: Weights::default() }
    }

    /// What model2vec 0.10 does.
    #[must_use]
    pub fn model2vec(dims: usize) -> Self {
        Self { scaling: Scaling::None, ..Self::new(dims) }
    }

    /// The default of [`fit`](super::fit): weights that are flatter, since sentences say what counts. Classes gain.
    #[must_use]
    pub fn for_sentences(dims: usize) -> Self {
        Self { weights: Weights::Zipf { a: 1e-3 }, ..Self::new(dims) }
    }

    /// Components that are left out.
    pub(super) fn dropped(&self) -> usize {
        if let Scaling::DropLargest(count) = self.scaling { count } else { 0 }
    }

    /// Fails where vectors of `width` numbers have no such components: [`build`](super::build) and [`fit`](super::fit) ask the
    /// same, and making token vectors before them takes minutes.
    ///
    /// # Errors
    /// [`Error::Config`] for more components than numbers, or none, and for weights that are no share.
    pub fn check(&self, width: usize) -> Result<()> {
        let dropped = self.dropped();
        if self.dims == 0 || self.dims.checked_add(dropped).is_none_or(|most| most > width) {
            let without = if dropped > 0 { format!(", {dropped} of them dropped") } else { String::new() };
            let message =
                format!("expected 1 to the {width} numbers of a token vector{without}, got {}", self.dims);
            return Err(Error::config("dims", message));
        }
        if let Some(a) = self.weights.a().filter(|a| !(*a > 0.0 && a.is_finite())) {
            return Err(Error::config("weights", format!("expected a share above 0, such as 1e-4, got {a}")));
        }
        Ok(())
    }
}

impl Weights {
    /// The share of a token that counts half.
    #[must_use]
    pub fn a(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Zipf { a } | Self::Counts { a } | Self::Both { a } => Some(a),
        }
    }

    /// Whether tokens have to be counted in sentences.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Self::Counts { .. } | Self::Both { .. })
    }

    /// The weight of each of `tokens` tokens.
    pub(super) fn of(self, tokens: usize, counts: Option<&[u64]>) -> Result<Vec<f64>> {
        let Some(a) = self.a() else { return Ok(vec![1.0; tokens]) };
        let zipf = || {
            let ranks = || (0..tokens).map(|row| 1.0 / (row as f64 + 2.0));
            let sum: f64 = ranks().sum();
            ranks().map(move |share| share / sum)
        };
        let counted = || {
            let counts = counts.filter(|counts| counts.len() == tokens && counts.iter().any(|n| *n > 0));
            let counts = counts.ok_or_else(|| {
                let message = format!(
                    "{self}: expected counts of {tokens} tokens in sentences; give sentences, or take zipf"
                );
                Error::config("weights", message)
            })?;
            let sum: f64 = counts.iter().map(|n| *n as f64).sum();
            Ok(counts.iter().map(move |n| *n as f64 / sum))
        };
        let weight = |share: f64| a / (a + share);
        Ok(match self {
            Self::Counts { .. } => counted()?.map(weight).collect(),
            Self::Both { .. } => zipf().zip(counted()?).map(|(a, b)| weight((a + b) / 2.0)).collect(),
            Self::None | Self::Zipf { .. } => zipf().map(weight).collect(),
        })
    }
}

/// As it is read.
impl Display for Scaling {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::QuarterRoot => f.write_str("quarter-root"),
            Self::DropLargest(count) => write!(f, "drop:{count}"),
        }
    }
}

/// `none`, `quarter-root`, or `drop:8`.
impl FromStr for Scaling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "none" => Ok(Self::None),
            "quarter-root" => Ok(Self::QuarterRoot),
            other => other
                .strip_prefix("drop:")
                .and_then(|count| count.trim().parse().ok())
                .map(Self::DropLargest)
                .ok_or_else(|| {
                    Error::config("scaling", format!("expected none, quarter-root or drop:8, got {text:?}"))
                }),
        }
    }
}

/// As it is read.
impl Display for Weights {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zipf { a } => write!(f, "zipf:{a:e}"),
            Self::Counts { a } => write!(f, "counts:{a:e}"),
            Self::Both { a } => write!(f, "both:{a:e}"),
        }
    }
}

/// `none`, `zipf`, `counts` or `both`, the last three with a share of their own (`zipf:1e-4`) or their default.
impl FromStr for Weights {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::config(
                "weights",
                format!(
                    "expected none, zipf, counts or both, with a share above 0 such as zipf:1e-4, got {text:?}"
                ),
            )
        };
        let (name, share) =
            text.trim().split_once(':').map_or((text.trim(), None), |(name, a)| (name, Some(a)));
        let share = match share {
            None => None,
            Some(a) => {
                Some(a.trim().parse().ok().filter(|a: &f64| *a > 0.0 && a.is_finite()).ok_or_else(refuse)?)
            }
        };
        match name {
            "none" if share.is_none() => Ok(Self::None),
            "zipf" => Ok(Self::Zipf { a: share.unwrap_or(1e-4) }),
            "counts" => Ok(Self::Counts { a: share.unwrap_or(3e-4) }),
            "both" => Ok(Self::Both { a: share.unwrap_or(3e-4) }),
            _ => Err(refuse()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares_of_what_is_seen() {
        let a = 0.1;
        let sum = 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0;
        let zipf = Weights::Zipf { a }.of(3, None).unwrap();
        assert!((zipf[1] - a / (a + 1.0 / 3.0 / sum)).abs() < 1e-15);
        let counts = Weights::Counts { a }.of(3, Some(&[6, 0, 2])).unwrap();
        assert!((counts[0] - a / (a + 0.75)).abs() < 1e-15 && counts[1] == 1.0);
        let both = Weights::Both { a }.of(3, Some(&[6, 0, 2])).unwrap();
        assert!((both[2] - a / (a + (0.25 / sum + 0.25) / 2.0)).abs() < 1e-15);
        assert_eq!(Weights::None.of(2, None).unwrap(), [1.0, 1.0]);
        for counts in [None, Some(&[1, 2][..]), Some(&[0, 0, 0])] {
            let message = Weights::Both { a }.of(3, counts).unwrap_err().to_string();
            assert!(message.contains("both:1e-1: expected counts of 3 tokens"), "{message}");
        }
    }

    #[test]
    fn settings_are_read_as_they_are_written() {
        for text in ["none", "quarter-root", "drop:8"] {
            assert_eq!(text.parse::<Scaling>().unwrap().to_string(), text);
        }
        for text in ["none", "zipf:1e-4", "counts:2.5e-3", "both:3e-4"] {
            assert_eq!(text.parse::<Weights>().unwrap().to_string(), text);
        }
        assert_eq!("zipf".parse::<Weights>().unwrap(), Weights::default());
        for text in ["", "zipf:", "zipf:0", "zipf:-1", "zipf:inf", "none:1", "sif:1"] {
            assert!(text.parse::<Weights>().unwrap_err().to_string().contains("got \""), "{text}");
        }
        for text in ["", "drop", "drop:-1", "drop:x", "half"] {
            assert!(text.parse::<Scaling>().unwrap_err().to_string().contains("got \""), "{text}");
        }
    }

    #[test]
    fn recipes_that_do_not_fit_are_refused() {
        let message = |recipe: Recipe| recipe.check(10).unwrap_err().to_string();
        assert!(Recipe::new(10).check(10).is_ok());
        assert!(message(Recipe::new(11)).contains("1 to the 10 numbers of a token vector, got 11"));
        assert!(message(Recipe::new(0)).contains("got 0"));
        let dropped = Recipe { scaling: Scaling::DropLargest(3), ..Recipe::new(8) };
        assert!(message(dropped).contains("3 of them dropped, got 8"));
        assert!(Recipe { dims: 7, ..dropped }.check(10).is_ok());
        let overflow = Recipe { scaling: Scaling::DropLargest(usize::MAX), ..dropped };
        assert!(overflow.check(10).is_err());
        assert!(message(Recipe { weights: Weights::Zipf { a: f64::NAN }, ..dropped }).contains("dims"));
        let weights = Recipe { weights: Weights::Zipf { a: f64::NAN }, ..Recipe::new(1) };
        assert!(message(weights).contains("got NaN"));
    }
}
