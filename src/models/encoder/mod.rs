//! Encoders of texts as BERT (Devlin et al. 1810.04805): each token sees all others of its text, layer by layer.
//!
//! h = LN(word + position + type). A layer is a = LN(h + O attention(Q h, K h, V h)) and then LN(a + W_2 gelu(W_1 a)). Attention is
//! softmax(q k^T / sqrt(d)) v in each head of d = width / heads numbers, among the tokens of one text. Sentences are single, so that the
//! type is row 0 of its table for every token. Parameters have the names of Hugging Face's `BertModel`.
//!
//! A model reads [`TOKENS`] (T) and [`SPANS`] (N, 2): the texts of a batch lie one behind the other, and nothing is computed for padding
//! but the places behind the last text. What taps hold in those means nothing.
//!
//! | tap | holds |
//! |---|---|
//! | `embeddings` | (T, D): what the first layer reads |
//! | `encoder.layer.{i}` | (T, D): a layer's output, `i` from 0. These are the stages |
//! | `encoder.layer.{i}.attention.self.query`, `.key`, `.value` | (T, D): the heads one behind the other |
//! | `encoder.layer.{i}.attention.self` | (T, D): what attention gives, before its linear layer |
//! | `pooled` | (N, D): a text's vector, the mean of its tokens or its first token |
//! | `pooler` or `pre_classifier.relu` | (N, D): what these heads make of it |
//!
//! `bert:2,128,2,512` is of 2 layers, 128 wide, with 2 heads, and 512 numbers between a layer's two linear ones; `bert:layers=2,width=128`
//! is the same, as a head has 64 numbers and the inside is four times as wide where nobody says otherwise. Further settings:
//!
//! | setting | means |
//! |---|---|
//! | `pooling=mean` or `cls` | a text's vector is the mean of its tokens (the default), or its first token |
//! | `head=linear`, `pooler` or `relu` | classes are read off this vector by one linear layer (the default); behind a linear layer and tanh, as in `BertForSequenceClassification`; or behind one and relu, as in `DistilBertForSequenceClassification`. The last two pool the first token |
//! | `normalize=yes` | sentence vectors are of length 1 |
//! | `positions=512` | places that the table of positions has [as many as the longest text has tokens] |
//! | `types=2` | rows of the table of types, of which only the first is read |
//! | `activation=gelu`, `gelu_tanh` or `relu` | between a layer's two linear ones |
//! | `eps=1e-12` | added to variances |
//! | `dropout=0.1` | in training: of the embeddings, of what each layer adds, and of what the last linear layer reads; not within attention (0) |
//!
//! A network for tokens is a masked language model: it reads [`CHOSEN`] (R) as well, places among the tokens, and gives `logits` (R, V) of
//! what stands there. `head=relu` says then that it is written as a DistilBERT.
//!
//! A network for `numbers` as many as it is wide gives a text's vector itself; for fewer or more it has the linear layer `classifier`.
//!
//! [`CHOSEN`]: super::CHOSEN
//! [`TOKENS`]: super::TOKENS
//! [`SPANS`]: super::SPANS

pub(super) mod folder;
mod keep;
mod module;
mod shape;
mod start;
pub mod theseus;
mod words;

pub use keep::{keep_layers, text_vectors};
pub use shape::{Pooling, Shape, TextHead};

use super::{Arguments, Built, Head, InputSpec, ModelConfig, ModelSpec, Network, find, outline};
use crate::nn::{ParamBuilder, Params};
use crate::{Error, Result};

/// What families are called by which its members are known.
pub(super) const FAMILY: &str = "bert";

/// The list entry.
pub(super) const SPEC: ModelSpec = ModelSpec {
    settings: shape::SETTINGS,
    ..ModelSpec::new(
        FAMILY,
        "bert:2,128,2,512 layers, width, heads, inner width; pooling=, head=, normalize=yes",
        build,
    )
};

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let InputSpec::Tokens { vocabulary, .. } = config.input else {
        let message = format!("it takes texts, not {} of {}", config.input.name(), config.input);
        return Err(Error::config("model", message));
    };
    let shape = Shape::of(config, arguments)?;
    let mut params = Params::outline();
    let module = module::Bert::new(ParamBuilder::new(&mut params), &shape, vocabulary, config.head);
    let stages = (0..shape.layers).map(module::layer_name).collect();
    let own = shape.head.tap().filter(|_| !matches!(config.head, Head::Tokens(_)));
    let embedding = own.unwrap_or(module::POOLED).to_string();
    Ok(Built { params, module: Box::new(module), stages, preactivations: Vec::new(), embedding })
}

/// The sizes and settings of a network of this family.
///
/// # Errors
/// [`Error::Config`] for a network of another one.
pub fn shape_of(network: &Network) -> Result<Shape> {
    let found = find(&network.name).ok().filter(|member| member.spec.name == FAMILY);
    let member = found.ok_or_else(|| {
        let message =
            format!("\"{}\" is no encoder of texts; expected a network as {}", network.name, SPEC.about);
        Error::config("model", message)
    })?;
    Shape::of(&network.config, &member.arguments)
}

/// Numbers of a text's vector in the encoder called `name`: as many as it is wide.
///
/// # Errors
/// [`Error::Config`] for a name of another family, and an input that it can't have.
pub fn width_of(name: &str, input: InputSpec) -> Result<usize> {
    let network = outline(name, &ModelConfig { input, head: Head::Numbers(1) }, None)?;
    Ok(shape_of(&network)?.width)
}

/// Whether a network gives texts' vectors themselves, and not what a linear layer reads off them.
///
/// # Errors
/// As [`shape_of`].
pub fn gives_vectors(network: &Network) -> Result<bool> {
    Ok(!has_classifier(network.head(), &shape_of(network)?))
}

/// Whether a text's vector goes through a linear layer on its way out.
fn has_classifier(head: Head, shape: &Shape) -> bool {
    let words = matches!(head, Head::Tokens(_));
    !words && (head != Head::Numbers(shape.width) || shape.head != TextHead::Linear)
}
