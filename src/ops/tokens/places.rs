//! What each token of a packed batch may see, from where its texts lie.
//!
//! T tokens hold N texts, one behind the other: `spans` i32 (N, 2) are [first, end) of each, and first = end where there is
//! no text. Spans do not overlap, and ascend but for empty ones.

use crate::gpu::Kernel;
use crate::ops::common::{expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/tokens/places.wgsl");

/// Ranges (T, 2) and positions (T), from spans (N, 2).
#[derive(Debug, Clone, Copy)]
struct TokenPlaces {
    tokens: usize,
    causal: bool,
}

/// Fails where these are no spans (N, 2), or no ranges (T, 2), of i32. `what` says which.
pub(super) fn expect_spans(op: &str, what: &str, spans: &Meta) -> Result<usize> {
    match (spans.dtype, spans.shape.dims()) {
        (DType::I32, &[rows, 2]) => Ok(rows),
        _ => Err(Error::shape(op, format!("{what} of i32"), spans.to_string())),
    }
}

/// Row n of spans or ranges: [first, end), within `tokens`.
pub(super) fn span(spans: &Array, n: usize, tokens: usize) -> std::ops::Range<usize> {
    let at = |i: usize| (spans.data[2 * n + i].max(0.0) as usize).min(tokens);
    at(0)..at(1).max(at(0))
}

impl Op for TokenPlaces {
    fn name(&self) -> &'static str {
        "token_places"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_spans(self.name(), "spans (N, 2)", &inputs[0])?;
        if self.tokens == 0 || i32::try_from(self.tokens).is_err() {
            let expected = "from 1 to 2^31 - 1 tokens";
            return Err(Error::shape(self.name(), expected, self.tokens.to_string()));
        }
        Ok(vec![Meta::i32([self.tokens, 2]), Meta::i32([self.tokens])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("TEXTS", to.input(0)[0])
            .define("CAUSAL", self.causal.into());
        per_element(to, kernel, &[Slot::Input(0), Slot::Output(0), Slot::Output(1)], self.tokens);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let mut ranges = Array::zeros([self.tokens, 2]);
        let mut positions = vec![-1.0; self.tokens];
        for text in 0..inputs[0].dims()[0] {
            let span = span(&inputs[0], text, self.tokens);
            for n in span.clone() {
                let end = if self.causal { n + 1 } else { span.end };
                ranges.data[2 * n..][..2].copy_from_slice(&[span.start as f64, end as f64]);
                positions[n] = (n - span.start) as f64;
            }
        }
        vec![ranges, Array::new([self.tokens], positions)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        (inputs[0].len() as u64).saturating_mul(self.tokens as u64)
    }
}

impl Tensor {
    /// Of these spans, i32 (N, 2), in `tokens` = T tokens: `ranges`, i32 (T, 2), the [first, end) of the tokens that each token
    /// may see (those of its text; where `causal` up to itself), (0, 0) for one of no text; and `positions`, i32 (T), its place
    /// in its text from 0, -1 for one of no text.
    ///
    /// # Errors
    /// [`Error::Shape`] for spans of another shape or type, and for no tokens.
    pub fn token_places(&self, tokens: usize, causal: bool) -> Result<[Tensor; 2]> {
        let made = self.tape().record(TokenPlaces { tokens, causal }, &[self])?;
        <[Tensor; 2]>::try_from(made)
            .map_err(|made| Error::misuse("token_places", "two outputs", made.len().to_string()))
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "token_places", cases };

/// Spans of texts of these lengths, one behind the other; an empty text is (0, 0).
pub(super) fn packed(lengths: &[usize]) -> Input {
    let mut end = 0;
    let span = |&length: &usize| {
        end += length;
        if length == 0 { [0.0, 0.0] } else { [(end - length) as f64, end as f64] }
    };
    let spans = lengths.iter().flat_map(span).collect();
    Input { fill: Fill::Values(spans), ..Input::below([lengths.len(), 2], 1) }
}

/// What the tokens of such texts may see, as an input.
pub(super) fn seen(lengths: &[usize], tokens: usize, causal: bool) -> Input {
    let spans = packed(lengths);
    let Fill::Values(values) = &spans.fill else { return spans };
    let spans = Array::new([lengths.len(), 2], values.clone());
    let ranges = TokenPlaces { tokens, causal }.reference(&Step::new(0, 0), &[spans]).swap_remove(0);
    Input { fill: Fill::Values(ranges.data), ..Input::below([tokens, 2], 1) }
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let batches: [(&[usize], usize); 7] = [
        (&[1], 1),
        (&[5], 7),
        (&[3, 1, 4], 8),
        // Slots without a text, between others and at the end.
        (&[2, 0, 5, 0, 0], 9),
        (&[0, 0], 3),
        (&[41, 47, 1, 55, 113], 257),
        (&[700, 324], 1024),
    ];
    for causal in [false, true] {
        for (lengths, tokens) in batches {
            all.push(Case::new(TokenPlaces { tokens, causal }, vec![packed(lengths)]));
        }
        // A gap, an empty span in the middle of another text, and a text that goes on behind the last token.
        let spans = vec![1.0, 3.0, 5.0, 9.0, 6.0, 6.0, 9.0, 20.0];
        let spans = Input { fill: Fill::Values(spans), ..Input::below([4, 2], 1) };
        all.push(Case::new(TokenPlaces { tokens: 12, causal }, vec![spans]));
    }
    all
}
