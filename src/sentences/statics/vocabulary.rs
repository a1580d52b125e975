//! The tokenizer of a static model: a `tokenizer.json` with the tokens that no sentence has left out.
//!
//! The file is edited as JSON, so that every model of tokens (WordPiece, WordLevel, BPE, Unigram) stays what it is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::sentences::Sentences;
use crate::{Error, Result};

/// Tokens of a sentence that are read, the rest of it is not.
pub(super) const LONGEST: usize = 512;

/// What a static model has to know of its tokenizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    json: Vec<u8>,
    tokens: usize,
    unknown: Option<u32>,
    median: usize,
}

/// A teacher's tokenizer without the tokens that a static model has no use for.
#[derive(Debug, Clone, PartialEq)]
pub struct Trimmed {
    /// The tokenizer that is left. Its numbers are 0, 1, 2 .. in the order of the teacher's.
    pub vocabulary: Vocabulary,
    /// The teacher's number of each token that is left: what the teacher is asked about.
    pub kept: Vec<u32>,
    /// The teacher's numbers that it has before a sentence, such as `[CLS]`.
    pub before: Vec<u32>,
    /// The same behind a sentence, such as `[SEP]`.
    pub after: Vec<u32>,
    /// The number of each of the teacher's tokens now.
    now: HashMap<u32, u32>,
}

impl Vocabulary {
    /// Reads a `tokenizer.json`; `origin` is what messages name.
    ///
    /// # Errors
    /// [`Error::File`] for what is no such file.
    pub fn read(origin: impl AsRef<Path>, json: &[u8]) -> Result<Self> {
        let path = origin.as_ref();
        let value = parse(path, json)?;
        let tokens = tokens(path, &value)?;
        Self::of(json.to_vec(), &value, &tokens)
    }

    /// Leaves out `[unused..]` tokens, added tokens that are neither unknown nor padding, what is put around a sentence, and
    /// padding, as model2vec 0.10 does; truncates at 512 tokens. Where tokens are of bytes, a space is put before a text, so that its
    /// first word is the token that it is elsewhere. `origin` is what messages name.
    ///
    /// # Errors
    /// [`Error::File`] for what is no `tokenizer.json`, and where no token is left.
    pub fn trim(origin: impl AsRef<Path>, json: &[u8]) -> Result<Trimmed> {
        let path = origin.as_ref();
        let mut value = parse(path, json)?;
        let all = tokens(path, &value)?;
        let gone = gone(&value, &all);
        let left = || all.iter().filter(|(_, token)| !gone.contains(*token));
        let kept: Vec<u32> = left().map(|(id, _)| *id).collect();
        if kept.is_empty() {
            return Err(Error::file(
                path,
                "has no tokens but special ones; expected the tokenizer of an encoder",
            ));
        }
        let now: HashMap<u32, u32> = kept.iter().copied().zip(0..).collect();
        let names: HashMap<String, u32> = left().map(|(id, token)| (token.clone(), now[id])).collect();
        let (before, after) = around(&value, &all);
        edit(&mut value, &names, &now);
        let left: BTreeMap<u32, String> = left().map(|(id, token)| (now[id], token.clone())).collect();
        let json =
            serde_json::to_vec(&value).map_err(|e| Error::file(path, format!("can't be written: {e}")))?;
        let vocabulary = Self::of(json, &value, &left)?;
        Ok(Trimmed { vocabulary, kept, before, after, now })
    }

    fn of(json: Vec<u8>, value: &Value, tokens: &BTreeMap<u32, String>) -> Result<Self> {
        let model = &value["model"];
        let by_number = model["unk_id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let name = model["unk_token"].as_str();
        let by_name =
            name.and_then(|name| tokens.iter().find(|(_, token)| *token == name).map(|(id, _)| *id));
        let mut lengths: Vec<usize> = tokens.values().map(|token| token.chars().count()).collect();
        lengths.sort_unstable();
        let middle = |at: usize| lengths.get(at).copied().unwrap_or(0);
        let median = (middle((lengths.len().max(1) - 1) / 2) + middle(lengths.len() / 2)) / 2;
        let count = tokens.last_key_value().map_or(0, |(last, _)| *last as usize + 1);
        Ok(Self { json, tokens: count, unknown: by_number.or(by_name), median })
    }

    /// The bytes of the `tokenizer.json`.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Tokens, from 0 to the highest number.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // There is a token at least.
    pub fn len(&self) -> usize {
        self.tokens
    }

    /// The number of the unknown token, which is left out of means.
    #[must_use]
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// As much of a text as is tokenised: 512 tokens of median length. What comes later is not read.
    #[must_use]
    pub fn start<'a>(&self, text: &'a str) -> &'a str {
        let most = LONGEST * self.median;
        // A character has a byte at least.
        if text.len() <= most {
            return text;
        }
        text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
    }

    /// The first 512 of a sentence's tokens, without the unknown ones: what counts.
    pub(super) fn counted<'a>(&self, ids: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        let unknown = self.unknown;
        ids.iter().copied().take(LONGEST).filter(move |id| Some(*id) != unknown)
    }
}

impl Trimmed {
    /// Numbers of this vocabulary for the teacher's, of either type: of each sentence what counts, without what is put around it and
    /// without unknown tokens. A tokenizer on bytes may number the first word of a text differently, see [`Vocabulary::trim`].
    #[must_use]
    pub fn renumber<'a, T: Copy + TryInto<u32> + 'a>(
        &self,
        teachers: impl IntoIterator<Item = &'a [T]>,
    ) -> Sentences {
        let mut sentences = Sentences::default();
        for ids in teachers {
            let known = ids.iter().filter_map(|id| (*id).try_into().ok());
            let now = known.filter_map(|id: u32| self.now.get(&id).copied());
            sentences.push(now.take(LONGEST).filter(|id| Some(*id) != self.vocabulary.unknown));
        }
        sentences
    }
}

fn parse(path: &Path, json: &[u8]) -> Result<Value> {
    serde_json::from_slice(json).map_err(|e| {
        Error::file(path, format!("expected a tokenizer.json, found no JSON: {e}; get or write it again"))
            .because(e)
    })
}

/// All tokens by number: those of the model, and added ones.
fn tokens(path: &Path, value: &Value) -> Result<BTreeMap<u32, String>> {
    let refuse = |what: String| {
        Error::file(path, format!("{what}; expected a tokenizer.json of Hugging Face's tokenizers"))
    };
    let number = |token: &str, id: &Value| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|id| *id < u32::MAX);
        id.ok_or_else(|| refuse(format!("token {token:?} has no number")))
    };
    let mut pairs: Vec<(u32, String)> = Vec::new();
    match &value["model"]["vocab"] {
        Value::Object(vocab) => {
            for (token, id) in vocab {
                pairs.push((number(token, id)?, token.clone()));
            }
        }
        Value::Array(vocab) => {
            for (id, entry) in (0..).zip(vocab) {
                let token = entry[0]
                    .as_str()
                    .ok_or_else(|| refuse(format!("entry {id} of model.vocab is no token")))?;
                pairs.push((id, token.to_string()));
            }
        }
        _ => return Err(refuse("has no model.vocab".into())),
    }
    for added in value["added_tokens"].as_array().into_iter().flatten() {
        let token =
            added["content"].as_str().ok_or_else(|| refuse("an added token has no content".into()))?;
        pairs.push((number(token, &added["id"])?, token.to_string()));
    }
    let mut tokens = BTreeMap::new();
    for (id, token) in pairs {
        match tokens.get(&id) {
            Some(other) if *other != token => {
                return Err(refuse(format!("tokens {other:?} and {token:?} have the same number {id}")));
            }
            _ => drop(tokens.insert(id, token)),
        }
    }
    if tokens.is_empty() {
        return Err(refuse("has no tokens".into()));
    }
    Ok(tokens)
}

/// Tokens that are left out.
fn gone(value: &Value, all: &BTreeMap<u32, String>) -> HashSet<String> {
    let model = &value["model"];
    let unknown = match model["unk_id"].as_u64() {
        Some(id) => u32::try_from(id).ok().and_then(|id| all.get(&id)).map(String::as_str),
        None => model["unk_token"].as_str(),
    };
    let padding = value["padding"]["pad_token"].as_str();
    // A file that does not pad does not say by what others would.
    let pads = |token: &str| padding.map_or(["[PAD]", "<pad>"].contains(&token), |padding| token == padding);
    let stays = |token: &str| Some(token) == unknown || pads(token);
    let added =
        value["added_tokens"].as_array().into_iter().flatten().filter_map(|added| added["content"].as_str());
    let unused = all.values().map(String::as_str).filter(|token| is_unused(token));
    added.chain(unused).filter(|token| !stays(token)).map(str::to_string).collect()
}

/// `[unused0]` and the like.
fn is_unused(token: &str) -> bool {
    let rest = token.strip_prefix("[unused").unwrap_or_default();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest.as_bytes().get(digits) == Some(&b']')
}

/// What a post-processor puts before and behind a sentence.
fn around(value: &Value, all: &BTreeMap<u32, String>) -> (Vec<u32>, Vec<u32>) {
    let processor = &value["post_processor"];
    let each = match processor["processors"].as_array() {
        Some(several) => several.iter().collect(),
        None => vec![processor],
    };
    let number =
        |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|id| all.contains_key(id));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for processor in each {
        // BertProcessing, RobertaProcessing.
        before.extend(number(&processor["cls"][1]));
        after.extend(number(&processor["sep"][1]));
        let mut behind = false;
        for part in processor["single"].as_array().into_iter().flatten() {
            behind |= part.get("Sequence").is_some();
            let Some(name) = part["SpecialToken"]["id"].as_str() else { continue };
            let ids =
                processor["special_tokens"][name]["ids"].as_array().into_iter().flatten().filter_map(number);
            if behind { after.extend(ids) } else { before.extend(ids) }
        }
    }
    (before, after)
}

/// Leaves out of a tokenizer what `names` does not have, and numbers the rest anew.
fn edit(value: &mut Value, names: &HashMap<String, u32>, now: &HashMap<u32, u32>) {
    value["post_processor"] = Value::Null;
    value["padding"] = Value::Null;
    value["truncation"] =
        json!({"direction": "Right", "max_length": LONGEST, "strategy": "LongestFirst", "stride": 0});
    // A word at the start is the same token as elsewhere.
    if let Some(pre_tokenizer) = value.get_mut("pre_tokenizer") {
        bytes_begin_with_a_space(pre_tokenizer);
    }
    if let Some(added) = value.get_mut("added_tokens").and_then(Value::as_array_mut) {
        added.retain(|token| token["content"].as_str().is_some_and(|token| names.contains_key(token)));
        for token in added {
            if let Some(id) = token["content"].as_str().and_then(|token| names.get(token)) {
                token["id"] = json!(id);
            }
        }
    }
    let model = &mut value["model"];
    if let Some(id) = model["unk_id"].as_u64() {
        model["unk_id"] = json!(u32::try_from(id).ok().and_then(|id| now.get(&id)));
    }
    match &mut model["vocab"] {
        Value::Object(vocab) => {
            let left = std::mem::take(vocab).into_iter().filter_map(|(token, _)| {
                let id = json!(names.get(&token)?);
                Some((token, id))
            });
            *vocab = left.collect::<Map<_, _>>();
        }
        Value::Array(vocab) => {
            vocab.retain(|entry| entry[0].as_str().is_some_and(|token| names.contains_key(token)));
        }
        _ => {}
    }
    if let Some(merges) = model.get_mut("merges").and_then(Value::as_array_mut) {
        merges.retain(|merge| {
            let parts = match merge {
                Value::String(both) => both.split_once(' '),
                both => both[0].as_str().zip(both[1].as_str()),
            };
            let known = |token: &str| names.contains_key(token);
            parts.is_none_or(|(a, b)| known(a) && known(b) && known(&format!("{a}{b}")))
        });
    }
}

/// Of a pre-tokenizer on bytes, which may be one of several, the first one puts a space before the text.
fn bytes_begin_with_a_space(pre_tokenizer: &mut Value) -> bool {
    if pre_tokenizer["type"] == "ByteLevel" {
        pre_tokenizer["add_prefix_space"] = Value::Bool(true);
        return true;
    }
    let several = pre_tokenizer.get_mut("pretokenizers").and_then(Value::as_array_mut);
    several.is_some_and(|several| several.iter_mut().any(bytes_begin_with_a_space))
}

#[cfg(test)]
#[path = "vocabulary_tests.rs"]
mod tests;
