//! Texts in which words are hidden, to be predicted: masked language modelling (Devlin et al. 1810.04805).
//!
//! Of the n tokens of a text that are not special, round(0.15 n) are chosen, at least one. Of these 80 % become the mask token, 10 %
//! any token of the vocabulary, and 10 % stay: a model can't tell from a token that it need not be predicted. What is chosen follows
//! from the seed, the epoch and the text's number alone, so that every epoch hides other words, and a run that goes on the same.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{TOKENS, TextSet};
use crate::data::{Field, Row, Source, View};
use crate::files::hex;
use crate::rng::Stream;
use crate::{Error, Result};

/// The field of what stood at the chosen places, packed i32: -1 at all others.
pub const MASKED: &str = "masked";

/// Of the chosen tokens those that become the mask token, and those that become any.
const MASKS: f64 = 0.8;
const ANY: f64 = 0.1;

/// How words are hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    /// The share of tokens that are chosen, from above 0 to 1.
    pub share: f64,
    /// The number of the mask token, such as that of `[MASK]`.
    pub mask: u32,
    /// Numbers of tokens that are never chosen, such as those of `[CLS]` and `[SEP]`.
    pub special: Vec<u32>,
}

impl Masking {
    /// The share of BERT.
    pub const SHARE: f64 = 0.15;

    /// At most so many tokens are chosen of `texts` texts of `tokens` tokens together.
    pub fn most_chosen(share: f64, tokens: usize, texts: usize) -> usize {
        // Of each text up to one more than its share.
        ((tokens as f64 * share) as usize + texts).clamp(1, tokens.max(1))
    }

    /// Tokens that are chosen of so many.
    fn count(&self, candidates: usize) -> usize {
        ((candidates as f64 * self.share).round() as usize).clamp(1, candidates.max(1)).min(candidates)
    }
}

/// A [`TextSet`] with words hidden: the fields [`TOKENS`], in which they are, and [`MASKED`], which has them.
///
/// ```
/// use std::sync::Arc;
///
/// use limbeck::data::text::{MASKED, MaskedTexts, Masking, TextSet};
/// use limbeck::data::{Loader, LoaderConfig, Split};
///
/// // [CLS] is 1, [SEP] is 2 and [MASK] is 3.
/// let set = TextSet::new("mine", Split::Train, [100, 8], [vec![1, 5, 7, 6, 2], vec![1, 9, 2]])?;
/// let masking = Masking { share: Masking::SHARE, mask: 3, special: vec![1, 2, 3] };
/// let masked = MaskedTexts::new(Arc::new(set), masking)?;
/// let loader = Loader::new(Arc::new(masked), LoaderConfig::in_order(2))?;
/// let batch = loader.epoch(0).next().expect("a batch")?;
/// // One token of each text.
/// assert_eq!(batch.i32(MASKED)?.iter().filter(|&&token| token >= 0).count(), 2);
/// # Ok::<(), limbeck::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaskedTexts {
    set: Arc<TextSet>,
    masking: Masking,
}

impl MaskedTexts {
    /// Hides words of these texts.
    ///
    /// # Errors
    /// [`Error::Config`] for a share outside (0, 1], and a mask token that is not below the vocabulary.
    pub fn new(set: Arc<TextSet>, masking: Masking) -> Result<Self> {
        if !(masking.share > 0.0 && masking.share <= 1.0) {
            let message = format!("expected a share above 0 and up to 1, got {}", masking.share);
            return Err(Error::config("mask_share", message));
        }
        if masking.mask as usize >= set.vocabulary() {
            let message = format!("expected a mask token below {}, got {}", set.vocabulary(), masking.mask);
            return Err(Error::config("mask", message));
        }
        Ok(Self { set, masking })
    }

    /// The texts.
    pub fn texts(&self) -> &Arc<TextSet> {
        &self.set
    }

    /// Hides words of a text: `shown` gets what takes their places, and `masked`, which has -1 everywhere, the words themselves.
    fn hide(&self, random: &mut Stream, shown: &mut [i32], masked: &mut [i32]) {
        let is_special = |token: i32| self.masking.special.iter().any(|&special| special as i32 == token);
        let mut places: Vec<usize> = (0..shown.len()).filter(|&at| !is_special(shown[at])).collect();
        for next in 0..self.masking.count(places.len()) {
            let other = next + random.below(places.len() - next);
            places.swap(next, other);
            let place = places[next];
            masked[place] = shown[place];
            shown[place] = match random.unit() {
                u if u < MASKS => self.masking.mask as i32,
                u if u < MASKS + ANY => random.below(self.set.vocabulary()) as i32,
                _ => shown[place],
            };
        }
    }
}

impl Source for MaskedTexts {
    fn name(&self) -> &str {
        self.set.name()
    }

    fn len(&self) -> usize {
        self.set.len()
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::packed(TOKENS), Field::packed(MASKED)]
    }

    fn lengths(&self) -> Option<&[u32]> {
        self.set.lengths()
    }

    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> Result<()> {
        let Some(tokens) = self.set.tokens(id) else {
            let message = format!("text {id} is past the end: there are {}", self.len());
            return Err(Error::config(format!("texts {}", self.name()), message));
        };
        let (mut shown, mut masked) = (tokens.to_vec(), vec![-1; tokens.len()]);
        let mut random = Stream::of(view.seed, "masked words", [view.epoch as u32, id as u32]);
        self.hide(&mut random, &mut shown, &mut masked);
        row.i32(TOKENS)?.copy_from_slice(&shown);
        row.i32(MASKED)?.copy_from_slice(&masked);
        Ok(())
    }

    fn fingerprint(&self) -> String {
        let Masking { share, mask, special } = &self.masking;
        let text = format!("limbeck masked texts 1 {} {share} {mask} {special:?}", self.set.fingerprint());
        hex(&Sha256::digest(text.as_bytes()))
    }

    fn is_random(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        let is_word = |token: &i32| !self.masking.special.iter().any(|&special| special as i32 == *token);
        if self.set.all_tokens().iter().any(is_word) {
            return Ok(());
        }
        let message = "expected words to hide; its texts have none, or the tokenizer is not theirs";
        Err(Error::config(format!("texts {}", self.name()), message))
    }
}

#[cfg(test)]
#[path = "masked_tests.rs"]
mod tests;
