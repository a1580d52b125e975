//! One row for each text of a packed batch: the mean of its tokens' rows, or the row of its first token.
//!
//! x is (T, D), `spans` i32 (N, 2) are [first, end) of each text, y (N, D). A text without tokens has 0, and tokens of no
//! text have no gradient. Spans do not overlap.

use super::places::{expect_spans, packed, span};
use crate::gpu::Kernel;
use crate::ops::common::{expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, DType, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/tokens/segment.wgsl");

/// Which row stands for a text.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Segment {
    Mean,
    First,
}

/// dx, from dy and spans.
#[derive(Debug, Clone)]
struct SegmentBackward {
    segment: Segment,
    x: Shape,
}

impl Segment {
    fn label(self) -> &'static str {
        match self {
            Segment::Mean => "segment_mean",
            Segment::First => "segment_first",
        }
    }

    /// The kernel for x of this shape, and how many items a row has: single numbers, or vectors of four.
    fn kernel(self, entry: &'static str, x: &[usize], texts: usize) -> (Kernel, usize) {
        let four = x[1].is_multiple_of(4);
        let width = if four { x[1] / 4 } else { x[1] };
        let kernel = Kernel::new(self.label(), entry, SHADER)
            .define("FOUR", four.into())
            .define("FIRST", (self == Segment::First).into())
            .define("TOKENS", x[0])
            .define("TEXTS", texts)
            .define("WIDTH", width.max(1));
        (kernel, width)
    }

    /// The tokens of text n that y is made of.
    fn tokens(self, spans: &Array, n: usize, tokens: usize) -> std::ops::Range<usize> {
        let span = span(spans, n, tokens);
        match self {
            Segment::Mean => span,
            Segment::First => span.start..span.end.min(span.start + 1),
        }
    }
}

impl Op for Segment {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let name = self.label();
        expect_inputs(name, inputs, 2)?;
        let texts = expect_spans(name, "spans (N, 2)", &inputs[1])?;
        match (inputs[0].dtype, inputs[0].shape.dims()) {
            (DType::F32, &[_, width]) => Ok(vec![Meta::f32([texts, width])]),
            _ => Err(Error::shape(name, "rows of tokens (T, D) of f32", inputs[0].to_string())),
        }
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, spans) = (&at.inputs[0], &at.inputs[1]);
        let op = SegmentBackward { segment: *self, x: x.shape().clone() };
        Ok(vec![Some(x.tape().record1(op, &[at.dy()?, spans])?), None])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let texts = to.input(1)[0];
        let (kernel, width) = self.kernel("forward", to.input(0), texts);
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], texts * width);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, spans) = (&inputs[0], &inputs[1]);
        let &[tokens, width] = x.dims() else { return Vec::new() };
        let mut y = Array::zeros([spans.dims()[0], width]);
        for text in 0..spans.dims()[0] {
            let rows = self.tokens(spans, text, tokens);
            for at in rows.clone().flat_map(|n| n * width..(n + 1) * width) {
                y.data[text * width + at % width] += x.data[at] / rows.len() as f64;
            }
        }
        vec![y]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        if *self == Segment::Mean { inputs[0].len() as u64 } else { 0 }
    }
}

impl Op for SegmentBackward {
    fn name(&self) -> &'static str {
        self.segment.label()
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.x.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, texts) = (self.x.dims(), to.input(1)[0]);
        let owners = to.scratch(x[0]);
        per_element(to, self.segment.kernel("own", x, texts).0, &[Slot::Input(1), owners], x[0]);
        let (kernel, width) = self.segment.kernel("backward", x, texts);
        let bindings = match self.segment {
            Segment::Mean => vec![Slot::Input(0), Slot::Input(1), owners, Slot::Output(0)],
            Segment::First => vec![Slot::Input(0), owners, Slot::Output(0)],
        };
        per_element(to, kernel, &bindings, x[0] * width);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (dy, spans) = (&inputs[0], &inputs[1]);
        let &[tokens, width] = self.x.dims() else { return Vec::new() };
        let mut dx = Array::zeros(self.x.clone());
        for text in 0..spans.dims()[0] {
            let rows = self.segment.tokens(spans, text, tokens);
            for at in rows.clone().flat_map(|n| n * width..(n + 1) * width) {
                dx.data[at] += dy.data[text * width + at % width] / rows.len() as f64;
            }
        }
        vec![dx]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Tensor {
    /// The mean of the rows (T, D) of each span, i32 (N, 2) of [first, end): (N, D); 0 for an empty one. Spans do not overlap.
    ///
    /// # Errors
    /// [`Error::Shape`] for operands of other shapes or types.
    pub fn segment_mean(&self, spans: &Tensor) -> Result<Tensor> {
        self.tape().record1(Segment::Mean, &[self, spans])
    }

    /// The row of each span's first token, of rows (T, D) and spans as [`Tensor::segment_mean`]: (N, D); 0 for an empty one.
    ///
    /// # Errors
    /// [`Error::Shape`] for operands of other shapes or types.
    pub fn segment_first(&self, spans: &Tensor) -> Result<Tensor> {
        self.tape().record1(Segment::First, &[self, spans])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "segment", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let batches: [(&[usize], usize, usize); 8] = [
        (&[1], 1, 1),
        (&[5], 7, 3),
        (&[3, 1, 4], 8, 4),
        // Slots without a text, between others and at the end.
        (&[2, 0, 5, 0, 0], 9, 41),
        (&[0, 0], 3, 8),
        (&[41, 47, 1, 55, 113], 257, 12),
        (&[1, 30, 2, 31], 64, 384),
        (&[700, 324], 1027, 5),
    ];
    for segment in [Segment::Mean, Segment::First] {
        for (lengths, tokens, width) in batches {
            all.push(Case::new(segment, vec![Input::normal([tokens, width]), packed(lengths)]));
        }
        // A gap, an empty span in the middle of another text, and a text that goes on behind the last token.
        let spans = vec![1.0, 3.0, 5.0, 9.0, 6.0, 6.0, 9.0, 20.0];
        let spans = Input { fill: Fill::Values(spans), ..Input::below([4, 2], 1) };
        all.push(Case::new(segment, vec![Input::normal([12, 4]), spans]));
    }
    all
}
