//! The head of a masked language model: what stood at a token's place.
//!
//! z = W LN(f(A h + a)) + b, with the table of words W (V, D), which is the one that tokens are read off: its gradient is the sum of both.
//! BERT's `cls.predictions`, DistilBERT's `vocab_transform`, `vocab_layer_norm` and `vocab_projector` and RoBERTa's `lm_head` are this.

use super::module::linear;
use super::shape::Shape;
use crate::Result;
use crate::nn::{Forward, Init, LayerNorm, Linear, ParamBuilder, ParamId};
use crate::ops::unary::Function;
use crate::tape::Tensor;

/// What the names of its parameters begin with.
pub(super) const HEAD: &str = "cls.predictions";

/// The head, without the table of words.
pub(super) struct WordHead {
    dense: Linear,
    norm: LayerNorm,
    bias: ParamId,
    activation: Function,
}

impl WordHead {
    /// With parameters below `root`.
    pub fn new(root: &mut ParamBuilder<'_>, shape: &Shape, vocabulary: usize) -> Self {
        let mut at = root.sub(HEAD);
        let dense = linear(at.sub("transform.dense"), shape.width, shape.width);
        let norm = LayerNorm::new(at.sub("transform.LayerNorm"), [shape.width], shape.eps);
        let bias = at.weight("bias", [vocabulary], Init::Constant(0.0), true);
        Self { dense, norm, bias, activation: shape.activation }
    }

    /// Rows of the last layer (R, D) to logits (R, V), by the table of words.
    pub fn forward(&self, fx: &Forward<'_>, hidden: &Tensor, table: ParamId) -> Result<Tensor> {
        let x = self.dense.forward(fx, hidden)?;
        let x = fx.layer(&format!("{HEAD}.transform"), || x.unary(self.activation))?;
        let x = self.norm.forward(fx, &x)?;
        fx.layer(HEAD, || x.linear(&fx.param(table)?, Some(&fx.param(self.bias)?)))
    }
}
