//! What makes two runs the same run: a checkpoint is resumed only where all of it is equal.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::config::TrainConfig;
use crate::data::Dataset;
use crate::models::Network;
use crate::nn::Params;
use crate::train::schemes::Scheme;
use crate::train::teacher::distillation::Teaching;

/// Name and value of everything that the weights at a given step depend on, initial weights included.
pub(super) fn identity(
    config: &TrainConfig,
    network: &Network,
    training: &Dataset,
    teacher: Option<&Teaching<'_>>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(config) {
        all.extend(settings.into_iter().map(|(name, value)| (name, value.to_string())));
    }
    let mut put = |name: &str, value: String| all.insert(name.to_string(), value);
    put("model", network.name.clone());
    put("initial weights", weights_hash(&network.params));
    put("training data", training.fingerprint());
    put("normalisation", format!("{:?} {:?}", training.mean, training.std));
    if let Some(teaching) = teacher {
        match teaching {
            Teaching::Live(teacher) => {
                put("teacher", teacher.network.name.clone());
                put("teacher weights", weights_hash(&teacher.network.params));
            }
            Teaching::Stored(teacher) => {
                put("teacher outputs", teacher.outputs.hash().to_string());
                if let Some(network) = teacher.network {
                    put("teacher weights", weights_hash(&network.params));
                }
            }
        }
        let terms = teaching.terms().iter().map(|term| format!("{term:?}"));
        put("method", terms.collect::<Vec<_>>().join(" + "));
        put("taps", format!("{:?}", teaching.taps()));
    }
    all
}

/// Adds what a scheme and a peer change.
pub(super) fn add_scheme(
    all: &mut BTreeMap<String, String>,
    scheme: &Scheme<'_>,
    peer: Option<(&Network, f32)>,
) {
    let named = |network: &Network, weight: f32| {
        format!("{} {} weight {weight}", network.name, weights_hash(&network.params))
    };
    if !scheme.others.is_empty() {
        all.insert("teacher share".into(), scheme.first_weight.to_string());
    }
    for (index, other) in scheme.others.iter().enumerate() {
        all.insert(format!("teacher {}", index + 2), named(other.network, other.weight));
    }
    if let Some(average) = scheme.average {
        all.insert("teacher average".into(), format!("{average:?}"));
    }
    if let Some((network, weight)) = peer {
        all.insert("peer".into(), named(network, weight));
    }
}

/// The first half of a sha256 over names and values, in hexadecimal: what tells one teacher from another.
pub fn weights_hash(params: &Params) -> String {
    let mut hash = Sha256::new();
    for param in params.iter() {
        hash.update(param.name.as_bytes());
        hash.update(bytemuck::cast_slice::<f32, u8>(&param.values));
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
