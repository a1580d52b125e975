//! What methods on tokens share: which places of a packed batch hold a token, and which layers of two encoders are compared.
//!
//! A pair of taps names two layers. What attention computes in a layer are taps of the layer's name and one of [`QUERY`],
//! [`KEY`] and [`VALUE`], as encoders of [`crate::models`] have them.

use super::{MethodContext, sum_of};
use crate::models::TOKENS;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The tap of what attention gives in a layer, behind the layer's name.
const ATTENTION: &str = ".attention.self";
/// The tap of a layer's queries (T, D), behind the layer's name.
pub(super) const QUERY: &str = ".attention.self.query";
/// That of its keys.
pub(super) const KEY: &str = ".attention.self.key";
/// That of its values.
pub(super) const VALUE: &str = ".attention.self.value";
/// What the first layer reads.
pub(super) const EMBEDDINGS: &str = "embeddings";

/// Keeps a mean over nothing at 0; far too small to change any other.
const LEAST: f32 = 1e-30;

/// The places of a batch of texts.
pub(super) struct Tokens<'a> {
    /// Where each text is, i32 (N, 2).
    pub spans: &'a Tensor,
    /// The keys that a token sees, i32 (T, 2): those of its text.
    pub ranges: Tensor,
    /// f32 (T, 1): 1 for a token, 0 for a place that only fills the batch up.
    mask: Tensor,
}

impl<'a> Tokens<'a> {
    /// Those of the batch.
    ///
    /// # Errors
    /// [`Error::Config`] for a batch of anything but texts.
    pub fn of(method: &str, seen: &MethodContext<'a>) -> Result<Self> {
        let no_texts = || {
            let message = format!("{method} compares tokens, and the data has none: it is for texts");
            Error::config("method", message)
        };
        let places = seen.leaves.get(TOKENS).map_err(|_| no_texts())?.shape().len();
        let spans = seen.leaves.spans().map_err(|_| no_texts())?;
        let [ranges, positions] = spans.token_places(places, false)?;
        // A place without a token has the position -1, which is no row of a table.
        let ones = spans.tape().constant([places, 1], &vec![1.0; places])?;
        Ok(Self { spans, ranges, mask: ones.embedding(&positions)? })
    }

    /// Fails unless `hidden` has a row for each place.
    pub fn expect_rows(&self, method: &str, tap: &str, hidden: &Tensor) -> Result<()> {
        match *hidden.dims() {
            [places, _] if places == self.mask.dims()[0] => Ok(()),
            _ => {
                let expected = format!("a tap of tokens ({}, D)", self.mask.dims()[0]);
                Err(Error::shape(method, expected, format!("{tap} {}", hidden.shape())))
            }
        }
    }

    /// The mean (1) over tokens of a number a token (T, 1).
    pub fn mean(&self, each: &Tensor) -> Result<Tensor> {
        let tokens = self.mask.sum(&[0, 1], false)?.reshape([1])?.add_scalar(LEAST)?;
        each.mul(&self.mask)?.sum(&[0, 1], false)?.reshape([1])?.div(&tokens)
    }
}

/// The pair of taps of a layer and of one of what its attention computes, (teacher's, student's).
pub(super) fn within(
    seen: &MethodContext<'_>,
    (hint, guided): &(String, String),
    name: &str,
) -> Result<(Tensor, Tensor)> {
    let of = |layer: &str| format!("{layer}{name}");
    Ok((seen.teacher.tap(&of(hint))?, seen.student.tap(&of(guided))?))
}

/// Sum of `term(pair)` over the pairs of layers, (teacher's, student's).
pub(super) fn sum_over_layers(
    seen: &MethodContext<'_>,
    term: impl Fn(&(String, String)) -> Result<Tensor>,
) -> Result<Tensor> {
    // That there are some, with the error for where there are none.
    seen.tapped()?;
    sum_of(seen.taps.iter().map(term))
}

/// Heads into which attention is grouped where it is compared: `given`, or, for 0, those that both networks have.
///
/// # Errors
/// [`Error::Config`] where the networks have other numbers of heads, or it can't be seen how many, or the widths are no
/// multiples of what is given.
pub(super) fn heads(method: &str, given: usize, seen: &MethodContext<'_>) -> Result<usize> {
    let refuse = |message: String| Err(Error::config("heads", message));
    for pair in seen.taps {
        let (teacher, student) = within(seen, pair, QUERY)?;
        let [t, s] = [&teacher, &student].map(|q| q.dims().last().copied().unwrap_or_default());
        if given > 0 && !(t.is_multiple_of(given) && s.is_multiple_of(given)) {
            return refuse(format!("expected a number that divides both widths, {t} and {s}, got {given}"));
        }
    }
    if given > 0 {
        return Ok(given);
    }
    let mut found = None;
    for pair in seen.taps {
        let (teacher, student) = within(seen, pair, ATTENTION)?;
        let both = [teacher.attention_heads(), student.attention_heads()];
        let [Some(t), Some(s)] = both else {
            let (hint, guided) = pair;
            return refuse(format!("can't be read off {hint} and {guided}; say how many there are"));
        };
        if t != s || found.is_some_and(|heads| heads != t) {
            return refuse(format!(
                "{method} compares head by head, and the teacher has {t} and the student {s}; give a number that \
                 divides both widths, by which both are grouped anew, or use minilmv2, which does so by itself"
            ));
        }
        found = Some(t);
    }
    found.map_or_else(|| refuse("there is no layer to compare".into()), Ok)
}
