//! The forward pass of an encoder.

use super::shape::{Pooling, Shape, TextHead};
use super::words::WordHead;
use super::{has_classifier, start};
use crate::Result;
use crate::files::NamedTensor;
use crate::models::{CHOSEN, Head, Module, Outputs, SPANS, TOKENS, Values};
use crate::nn::{Embedding, Forward, Init, LayerNorm, Linear, ParamBuilder, ParamId, Params};
use crate::ops::unary::Function;
use crate::tape::Tensor;

/// How weights and tables start: normal with this standard deviation, biases at 0.
const START: Init = Init::Normal(0.02);

/// The tap of texts' vectors.
pub(super) const POOLED: &str = "pooled";

/// The tap of what positions and types give.
const PLACES: &str = "embeddings.position_embeddings";
const TYPES: &str = "embeddings.token_type_embeddings.weight";

/// The tap of a layer.
pub(super) fn layer_name(layer: usize) -> String {
    format!("encoder.layer.{layer}")
}

pub(super) fn linear(at: ParamBuilder<'_>, c_in: usize, c_out: usize) -> Linear {
    Linear::with_init(at, c_in, c_out, START, Some(Init::Constant(0.0)))
}

/// An encoder with its head.
pub(super) struct Bert {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    pooling: Pooling,
    /// What is between a text's vector and the classifier.
    between: Option<(Linear, TextHead)>,
    classifier: Option<Linear>,
    /// What tells the tokens that are asked for, in place of all this.
    words: Option<WordHead>,
    normalize: bool,
    dropout: f32,
    output: &'static str,
}

impl Bert {
    /// With parameters below `root`.
    pub fn new(mut root: ParamBuilder<'_>, shape: &Shape, vocabulary: usize, head: Head) -> Self {
        let width = shape.width;
        let embeddings = Embeddings::new(root.sub("embeddings"), shape, vocabulary);
        let layers = (0..shape.layers).map(|i| Layer::new(root.sub(layer_name(i)), shape)).collect();
        let words = matches!(head, Head::Tokens(_)).then(|| WordHead::new(&mut root, shape, vocabulary));
        let between = match shape.head {
            TextHead::Pooler if words.is_none() => Some("pooler.dense"),
            TextHead::Relu if words.is_none() => Some("pre_classifier"),
            _ => None,
        };
        let between = between.map(|name| (linear(root.sub(name), width, width), shape.head));
        let classifier =
            has_classifier(head, shape).then(|| linear(root.sub("classifier"), width, head.width()));
        let Shape { pooling, normalize, dropout, .. } = *shape;
        let output = head.output();
        Self { embeddings, layers, pooling, between, classifier, words, normalize, dropout, output }
    }

    /// What the network makes of texts' vectors (N, D).
    fn head(&self, fx: &Forward<'_>, pooled: Tensor) -> Result<Tensor> {
        let x = match &self.between {
            None => pooled,
            Some((dense, head)) => {
                let y = dense.forward(fx, &pooled)?;
                let tap = head.tap().unwrap_or(POOLED);
                fx.layer(tap, || if *head == TextHead::Relu { y.relu() } else { y.tanh() })?
            }
        };
        let y = match &self.classifier {
            None => x,
            Some(classifier) => classifier.forward(fx, &dropped(fx, "dropout", x, self.dropout)?)?,
        };
        if self.normalize { fx.layer("normalize", || y.normalize()) } else { Ok(y) }
    }
}

/// Layers one behind the other: x (T, D), same shape out.
pub(super) fn through(layers: &[Layer], fx: &Forward<'_>, x: Tensor, ranges: &Tensor) -> Result<Tensor> {
    layers.iter().try_fold(x, |x, layer| fx.block(|| layer.forward(fx, &x, ranges)))
}

impl Bert {
    /// Its layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The pass in which `layers` makes of what the first layer reads, (T, D), what the head does; it is given the tokens' ranges, too.
    pub fn pass(
        &self,
        fx: &Forward<'_>,
        x: &Values,
        layers: impl FnOnce(Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Outputs> {
        let (tokens, spans) = (x.get(TOKENS)?, x.get(SPANS)?);
        let [ranges, positions] = spans.token_places(tokens.shape().len(), false)?;
        let hidden = layers(self.embeddings.forward(fx, tokens, &positions)?, &ranges)?;
        let pooled = fx.layer(POOLED, || match self.pooling {
            Pooling::Mean => hidden.segment_mean(spans),
            Pooling::Cls => hidden.segment_first(spans),
        })?;
        let Some(words) = &self.words else { return Ok(Outputs::one(self.output, self.head(fx, pooled)?)) };
        let chosen = hidden.embedding(x.get(CHOSEN)?)?;
        Ok(Outputs::one(self.output, words.forward(fx, &chosen, self.embeddings.words.weight())?))
    }
}

impl Module for Bert {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        self.pass(fx, x, |x, ranges| through(&self.layers, fx, x, ranges))
    }

    fn layer_of(&self, param: &str) -> Option<&str> {
        // Types are added to positions before these are looked up.
        (param == TYPES).then_some(PLACES)
    }

    fn fitted(
        &self,
        params: &Params,
        tensors: Vec<NamedTensor>,
        layers: Option<&[usize]>,
    ) -> Result<Vec<NamedTensor>> {
        start::fitted(params, tensors, layers)
    }

    fn tables(&self) -> Vec<(ParamId, &'static str)> {
        // A head that gives words reads the whole table.
        let table = (self.embeddings.words.weight(), TOKENS);
        if self.words.is_none() { vec![table] } else { Vec::new() }
    }
}

/// Dropout, where there is any.
fn dropped(fx: &Forward<'_>, name: &str, x: Tensor, p: f32) -> Result<Tensor> {
    if p > 0.0 { fx.dropout(name, &x, p) } else { Ok(x) }
}

/// Words, positions and the type of all tokens, summed and normalised.
struct Embeddings {
    path: String,
    words: Embedding,
    positions: ParamId,
    types: ParamId,
    norm: LayerNorm,
    dropout: f32,
}

impl Embeddings {
    fn new(mut at: ParamBuilder<'_>, shape: &Shape, vocabulary: usize) -> Self {
        let width = shape.width;
        let words = Embedding::with_init(at.sub("word_embeddings"), vocabulary, width, START);
        let positions =
            at.sub("position_embeddings").weight("weight", [shape.positions, width], START, false);
        let types = at.sub("token_type_embeddings").weight("weight", [shape.types, width], START, false);
        let norm = LayerNorm::new(at.sub("LayerNorm"), [width], shape.eps);
        Self { path: at.path().to_string(), words, positions, types, norm, dropout: shape.dropout }
    }

    fn forward(&self, fx: &Forward<'_>, tokens: &Tensor, positions: &Tensor) -> Result<Tensor> {
        let path = &self.path;
        let words = self.words.forward(fx, tokens)?;
        let places = fx.layer(PLACES, || {
            // The type is the same everywhere: it is added to the table, which is smaller than the tokens.
            let row = fx.param(self.types)?.slice(0, 0, 1)?;
            fx.param(self.positions)?.add(&row)?.embedding(positions)
        })?;
        let normed = self.norm.forward_sum(fx, &words, &places)?;
        fx.layer(path, || dropped(fx, &format!("{path}.dropout"), normed, self.dropout))
    }
}

/// Attention and two linear layers, each added to what it reads and normalised.
pub(super) struct Layer {
    path: String,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
    scale: f32,
    activation: Function,
    dropout: f32,
}

impl Layer {
    /// With parameters below `at`.
    pub fn new(mut at: ParamBuilder<'_>, shape: &Shape) -> Self {
        let Shape { width, inner, heads, eps, .. } = *shape;
        let mut own = |name: &str| linear(at.sub(format!("attention.self.{name}")), width, width);
        let (query, key, value) = (own("query"), own("key"), own("value"));
        Self {
            query,
            key,
            value,
            attended: linear(at.sub("attention.output.dense"), width, width),
            attended_norm: LayerNorm::new(at.sub("attention.output.LayerNorm"), [width], eps),
            intermediate: linear(at.sub("intermediate.dense"), width, inner),
            output: linear(at.sub("output.dense"), inner, width),
            output_norm: LayerNorm::new(at.sub("output.LayerNorm"), [width], eps),
            path: at.path().to_string(),
            heads,
            scale: 1.0 / ((width / heads.max(1)) as f32).sqrt(),
            activation: shape.activation,
            dropout: shape.dropout,
        }
    }

    /// x (T, D), same shape out; a token sees those in its range.
    fn forward(&self, fx: &Forward<'_>, x: &Tensor, ranges: &Tensor) -> Result<Tensor> {
        let path = &self.path;
        let (q, k, v) = (self.query.forward(fx, x)?, self.key.forward(fx, x)?, self.value.forward(fx, x)?);
        let seen = fx.layer(&format!("{path}.attention.self"), || {
            q.attention(&k, &v, ranges, self.heads, self.scale)
        })?;
        let seen = self.attended.forward(fx, &seen)?;
        let seen = dropped(fx, &format!("{path}.attention.output.dropout"), seen, self.dropout)?;
        let a = self.attended_norm.forward_sum(fx, &seen, x)?;
        let inner = self.intermediate.forward(fx, &a)?;
        let inner = fx.layer(&format!("{path}.intermediate"), || inner.unary(self.activation))?;
        let y = self.output.forward(fx, &inner)?;
        let y = dropped(fx, &format!("{path}.output.dropout"), y, self.dropout)?;
        let y = self.output_norm.forward_sum(fx, &y, &a)?;
        fx.layer(path, || Ok(y))
    }
}
