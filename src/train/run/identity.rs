//! What makes two runs the same run: a checkpoint is resumed only where all of it is equal.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::data::Source;
use crate::distill::{Term, TermSchedule};
use crate::files::hex;
use crate::models::Network;
use crate::nn::Params;
use crate::optim::EmaConfig;
use crate::tasks::Task;
use crate::train::TrainConfig;
use crate::train::schemes::Scheme;
use crate::train::teacher::TeacherSource;

/// The identity's own version: what a name means, and how its value is written, never changes within one.
pub(super) const VERSION: &str = "1";
/// The name that it has among the others; checkpoints without it are of version 1.
pub(super) const VERSION_NAME: &str = "identity";

/// Name and value of everything that the weights at a given step depend on, initial weights included. The names, and the
/// form of the values, are part of the file format: none follows from the name of a field or a type.
pub(super) fn identity(
    config: &TrainConfig,
    task: &dyn Task,
    network: &Network,
    training: &dyn Source,
    teacher: Option<&TeacherSource<'_>>,
) -> BTreeMap<String, String> {
    // The weight of the task's loss that counts is that of the teacher's objective.
    let config = match teacher {
        Some(teacher) => &config.clone().with_ce(teacher.objective()),
        None => config,
    };
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: String| all.insert(name.to_string(), value);
    put(VERSION_NAME, VERSION.into());
    for (name, value) in settings(config) {
        put(name, value.to_string());
    }
    for (name, value) in task.identity() {
        put(name, value);
    }
    put("model", network.name.clone());
    for (name, value) in network.beside_name() {
        put(name, value);
    }
    put("initial weights", weights_hash(&network.params));
    put("training data", training.fingerprint());
    if let Some(teaching) = teacher {
        match teaching {
            TeacherSource::Live(teacher) => {
                put("teacher", teacher.network.name.clone());
                put("teacher weights", weights_hash(&teacher.network.params));
            }
            TeacherSource::Stored(teacher) => {
                put("teacher outputs", teacher.outputs.hash().to_string());
                if let Some(network) = teacher.network {
                    put("teacher weights", weights_hash(&network.params));
                }
            }
        }
        put("method", teaching.terms().iter().map(term).collect::<Vec<_>>().join(" + "));
        put("taps", format!("{:?}", teaching.taps()));
    }
    all
}

/// A term of the loss: `kd:0.9`, its schedule, and its settings.
fn term(term: &Term) -> String {
    let TermSchedule { from, until, warmup, cosine } = term.schedule;
    let schedule =
        format!("TermSchedule {{ from: {from:?}, until: {until:?}, warmup: {warmup:?}, cosine: {cosine} }}");
    let own = term.own_identity().map_or(String::new(), |own| format!(" {own}"));
    format!("{}:{} {schedule} Values {{ values: [{}] }}{own}", term.name, term.weight, term.values.listed())
}

/// The settings that every task has.
fn settings(config: &TrainConfig) -> Vec<(&'static str, Value)> {
    let ce_schedule = &config.ce_schedule;
    let mut all = vec![
        ("epochs", json!(config.epochs)),
        ("max_steps", json!(config.max_steps)),
        ("batch_size", json!(config.batch_size)),
        ("learning_rate", json!(config.learning_rate)),
        // Schedule, optimizer and average are written as in the settings file, whose names are fixed too.
        ("schedule", json!(config.schedule)),
        ("optimizer", json!(config.optimizer)),
        ("max_grad_norm", json!(config.max_grad_norm)),
        ("ce_weight", json!(config.ce_weight)),
        (
            "ce_schedule",
            json!({
                "from": ce_schedule.from,
                "until": ce_schedule.until,
                "warmup": ce_schedule.warmup,
                "cosine": ce_schedule.cosine,
            }),
        ),
        ("ema", json!(config.ema)),
        ("recompute", json!(config.recompute)),
        ("patience", json!(config.patience)),
        ("seed", json!(config.seed)),
    ];
    if !config.precision.is_f32() {
        all.push(("precision", json!("mixed")));
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
        let EmaConfig { decay, warmup } = average;
        all.insert("teacher average".into(), format!("EmaConfig {{ decay: {decay:?}, warmup: {warmup} }}"));
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
    hex(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::digits;
    use crate::distill::{MethodConfig, parse};
    use crate::tasks::{Classify, ClassifyConfig};

    /// What limbeck 0.1 wrote for these settings, which a checkpoint of its must still be compared with.
    #[test]
    fn names_and_values_are_those_of_limbeck_0_1() {
        let (training, _) = digits::load(0.2, 0).unwrap();
        let task = Classify::new(&training, ClassifyConfig::default()).unwrap();
        let mut network = crate::models::build("mlp:4", &task.model_config()).unwrap();
        network.params.initialise(1);
        let config = TrainConfig { ce_weight: 0.1, ..Default::default() };
        let all = identity(&config, &task, &network, &Arc::new(training), None);
        let text: Vec<String> = all
            .iter()
            .filter(|(name, _)| !["initial weights", "training data"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        assert_eq!(
            text,
            [
                "batch_size = 64",
                r#"ce_schedule = {"cosine":false,"from":0.0,"until":1.0,"warmup":0.0}"#,
                "ce_weight = 0.10000000149011612",
                "crop_padding = 0",
                "ema = null",
                "epochs = 10",
                "flip = false",
                "identity = 1",
                "label_smoothing = 0.0",
                "learning_rate = 0.05",
                "max_grad_norm = null",
                "max_steps = null",
                "model = mlp:4",
                "normalisation = [0.3053] [0.376]",
                r#"optimizer = {"kind":"sgd","momentum":0.9,"nesterov":true,"weight_decay":0.0005}"#,
                "patience = null",
                "recompute = false",
                r#"schedule = {"floor":0.0,"kind":"cosine","total":0,"warmup":{"start":0.0,"steps":0}}"#,
                "seed = 0",
            ]
        );
        let terms = parse("kd:0.5,until=0.5", &MethodConfig::default()).unwrap().terms;
        assert_eq!(
            term(&terms[0]),
            "kd:0.5 TermSchedule { from: 0.0, until: 0.5, warmup: 0.0, cosine: false } Values { values: \
             [(\"temperature\", Number(4.0)), (\"reduction\", Choice(\"batch-mean\")), (\"logits\", \
             Choice(\"plain\"))] }"
        );
    }
}
