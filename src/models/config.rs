//! What a network is built for: what it reads and what it gives.

use std::fmt;

use super::values::{BOXES, FEATURES, IMAGES, LOGITS, NUMBERS, TOKENS, WORDS};
use crate::{Error, Result};

/// Most values of one sample: beyond this, products of sizes could overflow.
pub(super) const MAX_INPUT: usize = 1 << 28;
/// Most classes, or numbers, of a network.
pub const MAX_CLASSES: usize = 1 << 20;

/// What a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelConfig {
    /// What it reads.
    pub input: InputSpec,
    /// What it gives.
    pub head: Head,
}

/// What a network reads for each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSpec {
    /// An image: channels, height, width.
    Image([usize; 3]),
    /// So many numbers in no order.
    Features(usize),
    /// One of so many words, by number.
    Words(usize),
    /// A text: tokens of a vocabulary of so many, by number. Texts are packed, see [`SPANS`](super::SPANS).
    Tokens {
        /// Tokens that there are.
        vocabulary: usize,
        /// Most tokens of one text.
        longest: usize,
    },
}

/// What a network gives for each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// A logit for each class.
    Classes(usize),
    /// Numbers.
    Numbers(usize),
    /// Boxes of so many classes, read off maps of which there are several: see [`darknet`](super::darknet).
    Boxes(usize),
    /// A logit for each token of a vocabulary of so many, at those places of texts that are asked for: see
    /// [`CHOSEN`](super::CHOSEN).
    Tokens(usize),
}

impl ModelConfig {
    /// A classifier of images (channels, height, width).
    pub const fn classifier(image: [usize; 3], classes: usize) -> Self {
        Self { input: InputSpec::Image(image), head: Head::Classes(classes) }
    }

    /// Fails for sizes that no host could hold, and for none.
    pub(super) fn check(&self) -> Result<()> {
        let dims = match &self.input {
            InputSpec::Words(words) => std::slice::from_ref(words),
            InputSpec::Tokens { vocabulary, .. } => std::slice::from_ref(vocabulary),
            other => other.dims(),
        };
        let values = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if values.is_none_or(|n| n == 0 || n > MAX_INPUT) || !(1..=MAX_CLASSES).contains(&self.head.width()) {
            let message = format!(
                "expected {} of 1 to {MAX_INPUT} values and 1 to {MAX_CLASSES} {}, got {} and {}",
                self.input.name(),
                self.head.noun(),
                self.input,
                self.head.width()
            );
            return Err(Error::config("model", message));
        }
        Ok(())
    }
}

impl InputSpec {
    /// Whether a network that is built for it reads samples of `other`: the same, or texts of no more and no other tokens.
    pub fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tokens { vocabulary, longest }, Self::Tokens { vocabulary: few, longest: short }) => {
                few <= vocabulary && short <= longest
            }
            _ => self == other,
        }
    }

    /// The name of the value that a model reads it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Image(_) => IMAGES,
            Self::Features(_) => FEATURES,
            Self::Words(_) => WORDS,
            Self::Tokens { .. } => TOKENS,
        }
    }

    /// Sizes of one sample.
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Image(dims) => dims,
            Self::Features(n) => std::slice::from_ref(n),
            Self::Words(_) | Self::Tokens { .. } => &[],
        }
    }

    /// Values of one sample.
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width.
    ///
    /// # Errors
    /// [`Error::Config`] where it is no image.
    pub fn image(&self) -> Result<[usize; 3]> {
        match self {
            Self::Image(dims) => Ok(*dims),
            Self::Features(n) => {
                let message =
                    format!("it takes images (channels, height, width), not {n} features; mlp takes these");
                Err(Error::config("model", message))
            }
            Self::Words(n) => {
                let message =
                    format!("it takes images (channels, height, width), not {n} words; table takes these");
                Err(Error::config("model", message))
            }
            Self::Tokens { .. } => {
                let message = "it takes images (channels, height, width), not texts; bert takes these";
                Err(Error::config("model", message))
            }
        }
    }
}

impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => return write!(f, "{words} words"),
            Self::Tokens { vocabulary, longest } => {
                return write!(f, "texts of {longest} out of {vocabulary} tokens");
            }
            Self::Image(_) | Self::Features(_) => {}
        }
        let dims: Vec<String> = self.dims().iter().map(usize::to_string).collect();
        f.write_str(&dims.join("x"))
    }
}

impl Head {
    /// The name of the model's output.
    pub fn output(&self) -> &'static str {
        match self {
            Self::Classes(_) | Self::Tokens(_) => LOGITS,
            Self::Numbers(_) => NUMBERS,
            Self::Boxes(_) => BOXES,
        }
    }

    /// Values a sample.
    pub fn width(&self) -> usize {
        match self {
            Self::Classes(n) | Self::Numbers(n) | Self::Boxes(n) | Self::Tokens(n) => *n,
        }
    }

    /// Values of the row that it gives for each sample.
    ///
    /// # Errors
    /// [`Error::Config`] where boxes are wanted, which are read off maps, or tokens of texts.
    pub fn row(&self) -> Result<usize> {
        match self {
            Self::Classes(n) | Self::Numbers(n) => Ok(*n),
            Self::Boxes(_) => {
                let message = "it gives a row of values for each sample, and boxes are wanted; a .cfg of darknet gives \
                               these, and so do yolov4-tiny, yolo-fastest and others of `limbeck models`";
                Err(Error::config("model", message))
            }
            Self::Tokens(_) => {
                let message = "it gives a row of values for each sample, and tokens of texts are wanted; bert gives these";
                Err(Error::config("model", message))
            }
        }
    }

    /// The metadata key under which a saved file names its values.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Classes(_) => "classes",
            Self::Numbers(_) => "numbers",
            Self::Boxes(_) => "box_classes",
            Self::Tokens(_) => "tokens",
        }
    }

    /// What its values are called.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Classes(_) => "classes",
            Self::Numbers(_) => "numbers",
            Self::Boxes(_) => "classes of boxes",
            Self::Tokens(_) => "tokens",
        }
    }
}
