//! Tokenizers as Hugging Face's `tokenizer.json` describes them, by the crate `tokenizers`.
//!
//! Such a file may say that texts are cut and padded to a length: all-MiniLM-L6-v2's says 128 for both, though the model takes
//! more. Neither is done here: a text is cut to what its model takes, and batches need no padding.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::Value;
use tokenizers::{EncodeInput, Encoding};

use super::{Masking, TextSet, Texts};
use crate::data::Split;
use crate::platform::parallel::{Cost, in_parallel};
use crate::{Error, Result, files};

/// Makes tokens of texts.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    json: String,
    vocabulary: usize,
}

/// The tokens of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// By number.
    pub tokens: Vec<u32>,
    /// Whether there were more, and some at the end were left out.
    pub cut: bool,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocabulary", &self.vocabulary).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, or that of a folder.
    ///
    /// # Errors
    /// [`Error::File`] for one that is not there, or that is no tokenizer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_path_buf() };
        Self::parse(&file, files::read_text(&file)?)
    }

    /// The tokenizer that this text of a `tokenizer.json` describes; `origin` is for messages.
    ///
    /// # Errors
    /// [`Error::File`] for a text that describes none.
    pub fn parse(origin: impl AsRef<Path>, json: impl Into<String>) -> Result<Self> {
        let (origin, json) = (origin.as_ref(), json.into());
        let refuse = |why: &dyn std::fmt::Display| {
            let message =
                format!("is no tokenizer.json that can be used: {why}; save the model's tokenizer again");
            Error::file(origin, message)
        };
        let mut described: Value = serde_json::from_str(&json).map_err(|e| refuse(&e))?;
        // Nothing here makes texts of tokens.
        described.as_object_mut().map(|object| object.remove("decoder"));
        let read = guarded(|| serde_json::from_value::<tokenizers::Tokenizer>(described));
        let mut inner = read.map_err(|e| refuse(&e))?.map_err(|e| refuse(&e))?;
        inner.with_truncation(None).map_err(|e| refuse(&e))?;
        inner.with_padding(None);
        let last = inner.get_vocab(true).into_values().max();
        let vocabulary = last.map_or(0, |last| last as usize + 1);
        if vocabulary == 0 || vocabulary > i32::MAX as usize {
            return Err(refuse(&format!("it has {vocabulary} tokens")));
        }
        // What stands around texts may be told so that nothing can be made of it.
        guarded(|| inner.encode_fast("a", true)).map_err(|e| refuse(&e))?.map_err(|e| refuse(&e))?;
        Ok(Self { inner, json, vocabulary })
    }

    /// The text of its `tokenizer.json`, as it was read.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Tokens that there are, V: their numbers are below it.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The token of this number, as the vocabulary has it.
    pub fn token(&self, number: u32) -> Option<String> {
        self.inner.id_to_token(number)
    }

    /// The number of a token of the vocabulary, such as `[CLS]`.
    pub fn number(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// How words of its texts are hidden, to be predicted: this share of them.
    ///
    /// # Errors
    /// [`Error::Config`] for a tokenizer without a mask token, `[MASK]` or `<mask>`.
    pub fn masking(&self, share: f64) -> Result<Masking> {
        let mask = ["[MASK]", "<mask>"].into_iter().find_map(|mask| self.number(mask));
        let mask = mask.ok_or_else(|| {
            let message = "it has no token [MASK] or <mask>, by which words are hidden; masked language models need one";
            Error::config("tokenizer", message)
        })?;
        let added = self.inner.get_added_tokens_decoder().into_iter();
        let mut special: Vec<u32> =
            added.filter(|(_, token)| token.special).map(|(number, _)| number).collect();
        special.sort_unstable();
        Ok(Masking { share, mask, special })
    }

    /// How the tokens that another `tokenizer.json` makes differ from these, for people; `None` where they are the same. How texts are cut
    /// and padded, and made of tokens, does not count.
    pub fn difference(&self, other: &str) -> Option<String> {
        if *other == *self.json {
            return None;
        }
        let parts = |json: &str| {
            let mut parts = serde_json::from_str::<Value>(json).unwrap_or_default();
            let left_out = ["version", "truncation", "padding", "decoder"];
            if let Some(object) = parts.as_object_mut() {
                left_out.iter().for_each(|key| drop(object.remove(*key)));
            }
            parts
        };
        let (ours, theirs) = (parts(&self.json), parts(other));
        if ours == theirs {
            return None;
        }
        let Ok(other) = Self::parse("tokenizer.json", other) else { return Some("it can't be read".into()) };
        if other.vocabulary != self.vocabulary {
            return Some(format!("it has {} tokens, and this one {}", other.vocabulary, self.vocabulary));
        }
        let numbers = 0..u32::try_from(self.vocabulary).unwrap_or(u32::MAX);
        let mut both = numbers.map(|number| (number, other.token(number), self.token(number)));
        if let Some((number, theirs, ours)) = both.find(|(_, theirs, ours)| theirs != ours) {
            let [theirs, ours] =
                [theirs, ours].map(|token| token.unwrap_or_default().escape_debug().to_string());
            return Some(format!("token {number} is \"{theirs}\" in it, and \"{ours}\" in this one"));
        }
        let keys = ["normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens"];
        let key = keys.iter().find(|key| ours.get(**key) != theirs.get(**key));
        Some(format!("both have the same tokens, and another {}", key.unwrap_or(&"description")))
    }

    /// The tokens of a text without those that stand around it.
    ///
    /// # Errors
    /// [`Error::Config`] where the tokenizer fails.
    pub fn bare(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoding(text, false)?.get_ids().to_vec())
    }

    /// The tokens of a text, or of two that belong together, with those that stand around them, such as `[CLS]` and `[SEP]`, at
    /// most `longest`: where there are more, the last ones of the text are left out, of two those of the longer one first.
    ///
    /// # Errors
    /// [`Error::Config`] where the tokenizer fails, and where those around take more places than `longest`.
    pub fn encode(&self, text: &str, second: Option<&str>, longest: usize) -> Result<Encoded> {
        let encoding = match second {
            None => self.encoding(text, true)?,
            Some(second) => self.encoding((text, second), true)?,
        };
        let tokens = encoding.get_ids();
        if tokens.len() <= longest {
            return Ok(Encoded { tokens: tokens.to_vec(), cut: false });
        }
        let sides = encoding.get_sequence_ids();
        let count = |side: usize| sides.iter().filter(|&&of| of == Some(side)).count();
        let texts = [count(0), count(1)];
        let around = tokens.len() - texts.iter().sum::<usize>();
        let Some(room) = longest.checked_sub(around) else {
            let message = format!("{longest} tokens a text leave no place for {around} that stand around it");
            return Err(Error::config("longest", message));
        };
        let mut left = shares(texts, room);
        let keep = |(side, &token): (&Option<usize>, &u32)| {
            let of_text = side.and_then(|side| left.get_mut(side));
            of_text.is_none_or(|left| left.checked_sub(1).map(|rest| *left = rest).is_some()).then_some(token)
        };
        Ok(Encoded { tokens: sides.iter().zip(tokens).filter_map(keep).collect(), cut: true })
    }

    fn encoding<'t>(&self, text: impl Into<EncodeInput<'t>>, around: bool) -> Result<Encoding> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::config(
                "tokenizer",
                format!("it can't make tokens of a text: {e}; save the model's tokenizer again"),
            )
        };
        guarded(|| self.inner.encode_fast(text, around)).map_err(|e| failed(&e))?.map_err(|e| failed(&e))
    }

    /// The tokens of each text, made on all cores.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn encode_all(&self, texts: &Texts, longest: usize) -> Result<Vec<Encoded>> {
        let second = |at: usize| texts.seconds().and_then(|seconds| seconds.get(at)).map(String::as_str);
        let all: Vec<(&str, Option<&str>)> =
            texts.firsts().iter().enumerate().map(|(at, text)| (text.as_str(), second(at))).collect();
        in_parallel(Cost::Small, &all, |(text, second)| self.encode(text, *second, longest))
            .into_iter()
            .collect()
    }
}

impl TextSet {
    /// Texts by their tokens, at most `longest` each, with their labels and scores; pairs are two texts with a separator between
    /// them, as [`Tokenizer::encode`] makes them.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn tokenized(texts: &Texts, split: Split, tokenizer: &Tokenizer, longest: usize) -> Result<Self> {
        let all = tokenizer.encode_all(texts, longest)?;
        let cut = all.iter().map(|encoded| encoded.cut).collect();
        let tokens = all.into_iter().map(|encoded| encoded.tokens);
        let mut set =
            Self::new(texts.name(), split, [tokenizer.vocabulary(), longest], tokens)?.with_cut(cut);
        if let Some(labels) = texts.labels() {
            set = set.with_labels(labels.to_vec(), texts.class_names().to_vec())?;
        }
        if let Some(scores) = texts.scores() {
            set = set.with_scores(scores.to_vec())?;
        }
        Ok(set)
    }
}

/// How many tokens of two texts stay where there is room for so many: of the shorter one up to a half, of the longer one the rest.
fn shares(texts: [usize; 2], room: usize) -> [usize; 2] {
    let [shorter, longer] = if texts[0] > texts[1] { [1, 0] } else { [0, 1] };
    let mut kept = [0; 2];
    kept[shorter] = texts[shorter].min(room / 2);
    kept[longer] = texts[longer].min(room - kept[shorter]);
    kept
}

/// What `work` gives; the crate panics on some files that are damaged.
fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it is damaged");
        text.lines().next().unwrap_or_default().chars().take(300).collect()
    })
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
