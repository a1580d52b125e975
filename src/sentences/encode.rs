//! Vectors of texts by an encoder, on the device: many texts a batch, one behind the other.

use std::sync::Arc;

use super::Rows;
use crate::data::text::TextSet;
use crate::data::{Loader, LoaderConfig, Source};
use crate::gpu::Gpu;
use crate::models::{Head, InputSpec, Network, build, encoder};
use crate::nn::DeviceParams;
use crate::tasks::{Classify, ClassifyConfig, Embed, Task};
use crate::train::Evaluator;
use crate::{Error, Result};

/// Tokens of a batch that are worth a pass: activations of a width of 384 are some MiB then.
const TOKENS: usize = 1024;

/// The network's vector (N, D) of each text, in order.
///
/// # Errors
/// [`Error::Config`] for a network that gives no vectors of texts, or for shorter texts or fewer tokens, and those of the device.
pub async fn encode_async(gpu: &Gpu, network: &Network, texts: &Arc<TextSet>) -> Result<Rows> {
    let InputSpec::Tokens { .. } = network.input() else {
        let message = format!("{} takes {}, not texts", network.name, network.input());
        return Err(Error::config("model", message));
    };
    let width = network.head().width();
    let task = Embed::new(texts.as_ref(), [texts.vocabulary(), texts.longest()], width)?;
    Rows::new(width, outputs(gpu, network, &task, texts).await?)
}

/// What the network says of each text, in order: logits (N, C) of a classifier, which may be NaN, or numbers (N, K).
///
/// # Errors
/// As [`encode_async`].
pub async fn answers_async(gpu: &Gpu, network: &Network, texts: &Arc<TextSet>) -> Result<Vec<f32>> {
    let Head::Classes(classes) = network.head() else {
        return Ok(encode_async(gpu, network, texts).await?.values().to_vec());
    };
    let sizes = [texts.vocabulary(), texts.longest()];
    // The task counts what is right; here nobody knows.
    let names = (0..classes).map(|class| class.to_string()).collect();
    let labelled = Arc::new(TextSet::clone(texts).with_labels(vec![0; texts.len()], names)?);
    let task = Classify::of_texts(labelled.as_ref(), classes, sizes, ClassifyConfig::default())?;
    outputs(gpu, network, &task, &labelled).await
}

/// The network's output for each text, in order.
async fn outputs(gpu: &Gpu, network: &Network, task: &dyn Task, texts: &Arc<TextSet>) -> Result<Vec<f32>> {
    let width = network.head().width();
    let mean = texts.all_tokens().len() / texts.len().max(1);
    let batch = (TOKENS / mean.max(1)).clamp(1, texts.len().max(1));
    let params = DeviceParams::frozen(gpu, "network", &network.params)?;
    let evaluator = Evaluator::new_async(gpu, task, network, &params, batch, texts.as_ref()).await?;
    let loader = Loader::new(texts.clone(), LoaderConfig::in_order(batch))?;
    let mut all = Vec::with_capacity(texts.len() * width);
    for batch in loader.epoch(0) {
        let batch = batch?;
        let rows = evaluator.outputs_async(&batch).await?;
        all.extend(rows.into_iter().take(batch.len * width));
    }
    Ok(all)
}

/// [`answers_async`]. Blocks.
///
/// # Errors
/// As [`answers_async`].
#[cfg(not(target_arch = "wasm32"))]
pub fn answers(gpu: &Gpu, network: &Network, texts: &Arc<TextSet>) -> Result<Vec<f32>> {
    gpu.block_on(answers_async(gpu, network, texts))
}

/// [`encode_async`]. Blocks.
///
/// # Errors
/// As [`encode_async`].
#[cfg(not(target_arch = "wasm32"))]
pub fn encode(gpu: &Gpu, network: &Network, texts: &Arc<TextSet>) -> Result<Rows> {
    gpu.block_on(encode_async(gpu, network, texts))
}

/// The same encoder with vectors that are the plain means of all tokens: what static models are made of.
///
/// # Errors
/// [`Error::Config`] for a network that is no encoder of texts, or has another layer behind the mean.
pub fn plain_means(network: &Network) -> Result<Network> {
    let (config, mut shape) = (*network.config(), encoder::shape_of(network)?);
    let InputSpec::Tokens { longest, .. } = config.input else {
        return Err(Error::config("model", "expected an encoder of texts"));
    };
    if config.head.width() != shape.width {
        let message = format!(
            "{} gives vectors of {} numbers, and its tokens have {}; a static model is made of the tokens' own",
            network.name,
            config.head.width(),
            shape.width
        );
        return Err(Error::config("model", message));
    }
    (shape.normalize, shape.pooling) = (false, encoder::Pooling::Mean);
    let mut plain = build(&shape.name(longest), &config)?;
    plain.params.load(&network.params.named())?.strict(&network.name)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;
    use crate::gpu::{AdapterRequest, GpuOptions};
    use crate::models::ModelConfig;

    /// Of one token each, a vector of length 1 is the plain mean divided by its length; texts of several lengths come in order.
    #[test]
    fn plain_means_are_what_unit_vectors_are_made_of() {
        let gpu = Gpu::open_blocking(&AdapterRequest::from_env().unwrap(), GpuOptions::default()).unwrap();
        let config =
            ModelConfig { input: InputSpec::Tokens { vocabulary: 20, longest: 6 }, head: Head::Numbers(8) };
        let mut network = build("bert:1,8,2,16,normalize=yes", &config).unwrap();
        network.params.initialise(5);
        let texts = [vec![3], vec![4, 5, 6, 7], vec![8, 9], vec![3]];
        let set = Arc::new(TextSet::new("texts", Split::Test, [20, 6], texts).unwrap());
        let unit = encode(&gpu, &network, &set).unwrap();
        let plain = encode(&gpu, &plain_means(&network).unwrap(), &set).unwrap();
        assert_eq!((unit.len(), plain.width()), (4, 8));
        for (unit, plain) in unit.iter().zip(plain.iter()) {
            let length = plain.iter().map(|v| v * v).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() > 1e-3, "{length}");
            assert!(unit.iter().zip(plain).all(|(u, p)| (u - p / length).abs() < 1e-5));
        }
        assert_eq!(unit.row(0), unit.row(3));
        assert_ne!(unit.row(0), unit.row(1));
    }

    #[test]
    fn networks_without_plain_means_are_refused() {
        let config = |head| ModelConfig { input: InputSpec::Tokens { vocabulary: 20, longest: 6 }, head };
        let other = build("bert:1,8,2,16", &config(Head::Numbers(5))).unwrap();
        let message = plain_means(&other).err().unwrap().to_string();
        assert!(message.contains("5 numbers") && message.contains("its tokens have 8"), "{message}");
        let cnn = build("cnn:2", &ModelConfig::classifier([1, 8, 8], 2)).unwrap();
        assert!(plain_means(&cnn).err().unwrap().to_string().contains("no encoder of texts"));
    }
}
