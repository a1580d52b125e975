//! Networks of parts of another one: of some of its layers (DistilBERT, Sanh et al. 1910.01108; sentence-transformers' layer reduction), or
//! without the head of a masked language model.

use super::{Pooling, Shape, TextHead, shape_of};
use crate::models::{Head, InputSpec, ModelConfig, Network, outline};
use crate::{Error, Result};

const LAYERS: &str = "encoder.layer.";

/// The network of the chosen layers of another one, in this order, with its values, embeddings and head. DistilBERT's start is every
/// other layer of twelve: `[0, 2, 4, 7, 9, 11]`.
///
/// # Errors
/// [`Error::Config`] for a network that is no encoder, for no layers, and for one that it does not have.
///
/// ```
/// use limbeck::models::{Head, InputSpec, ModelConfig, build, encoder};
///
/// let input = InputSpec::Tokens { vocabulary: 100, longest: 16 };
/// let teacher = build("bert:6,32,2,64", &ModelConfig { input, head: Head::Numbers(32) })?;
/// let student = encoder::keep_layers(&teacher, &[1, 4])?;
/// assert_eq!(student.name, "bert:2,32,2,64");
/// let values = |network: &limbeck::models::Network, layer: usize| {
///     let name = format!("encoder.layer.{layer}.output.dense.weight");
///     network.params.find(&name).unwrap().values.clone()
/// };
/// assert_eq!(values(&student, 1), values(&teacher, 4));
/// # Ok::<(), limbeck::Error>(())
/// ```
pub fn keep_layers(network: &Network, keep: &[usize]) -> Result<Network> {
    let mut shape = shape_of(network)?;
    if keep.is_empty() || keep.iter().any(|layer| *layer >= shape.layers) {
        let last = shape.layers - 1;
        let message = format!("expected layers from 0 to {last}, which {} has, got {keep:?}", network.name);
        return Err(Error::config("layers", message));
    }
    shape.layers = keep.len();
    let InputSpec::Tokens { longest, .. } = network.input() else {
        return Err(Error::config("model", "expected an encoder of texts"));
    };
    part(network, &shape.name(longest), network.config(), |name| source(name, keep))
}

/// The encoder of a masked language model, which gives texts' vectors; any other encoder as it is.
///
/// # Errors
/// [`Error::Config`] for a network that is no encoder.
pub fn text_vectors(network: Network) -> Result<Network> {
    let (InputSpec::Tokens { longest, .. }, Head::Tokens(_)) = (network.input(), network.head()) else {
        return Ok(network);
    };
    let shape = Shape { head: TextHead::Linear, pooling: Pooling::Mean, ..shape_of(&network)? };
    let config = ModelConfig { head: Head::Numbers(shape.width), ..*network.config() };
    part(&network, &shape.name(longest), &config, str::to_string)
}

/// The network called `name` with values of `network`, in which parameters are called as `source` says.
fn part(
    network: &Network,
    name: &str,
    config: &ModelConfig,
    source: impl Fn(&str) -> String,
) -> Result<Network> {
    let mut made = outline(name, config, None)?;
    for param in made.params.iter_mut() {
        let source = source(&param.name);
        let found = network.params.find(&source);
        let found =
            found.ok_or_else(|| Error::config("layers", format!("{} has no {source}", network.name)))?;
        param.values.clone_from(&found.values);
    }
    Ok(made)
}

/// The name in the whole network of a student's parameter.
pub(super) fn source(name: &str, keep: &[usize]) -> String {
    let of_layer = || Some(format!("{LAYERS}{}.{}", keep.get(layer_of(name)?)?, in_layer(name)?.1));
    of_layer().unwrap_or_else(|| name.to_string())
}

/// The layer that a parameter is of.
pub(super) fn layer_of(name: &str) -> Option<usize> {
    in_layer(name)?.0.parse().ok()
}

/// The number of a parameter's layer, and its name there.
fn in_layer(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(LAYERS)?.split_once('.')
}
