//! Folders: what is written comes back, and what is wrong with one is said.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::files::scratch::Scratch;
use crate::files::{Metadata, StoredTensor};
use crate::models::build;
use crate::models::saved::{self, ModelMetadata, Overrides};

const TOKENIZER: &str = r#"{"added_tokens": [{"id": 3, "content": "[PAD]"}, {"id": 5, "content": "[CLS]"}]}"#;

fn built(name: &str, head: Head) -> Network {
    let input = InputSpec::Tokens { vocabulary: 30, longest: 8 };
    let mut network = build(name, &ModelConfig { input, head }).unwrap();
    network.params.initialise(3);
    network
}

fn names(count: usize) -> ModelMetadata {
    let classes = (0..count).map(|n| format!("class \"{n}\"")).collect();
    ModelMetadata { classes, ..ModelMetadata::default() }
}

/// With a tokenizer.
fn with(tokenizer: &str, metadata: ModelMetadata) -> ModelMetadata {
    ModelMetadata { tokenizer: Some(tokenizer.into()), ..metadata }
}

fn same(a: &Network, b: &Network) {
    assert_eq!((a.name.as_str(), a.config()), (b.name.as_str(), b.config()));
    assert_eq!(a.params.named(), b.params.named());
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

fn value(path: PathBuf) -> Value {
    serde_json::from_str(&text(path)).unwrap()
}

#[test]
fn folders_come_back() {
    for (name, head) in [
        ("bert:2,8,2,16,normalize=yes", Head::Numbers(8)),
        (
            "bert:1,8,2,16,positions=12,types=1,pooling=cls,activation=relu,eps=1e-3,dropout=0.5",
            Head::Numbers(8),
        ),
        ("bert:1,8,2,16,normalize=yes", Head::Numbers(5)),
        ("bert:1,8,2,16", Head::Classes(3)),
        ("bert:1,8,2,16,pooling=cls", Head::Classes(8)),
        ("bert:1,8,2,16,head=pooler,activation=gelu_tanh", Head::Classes(3)),
        ("bert:1,8,2,16,head=pooler", Head::Numbers(1)),
        ("bert:2,8,4,16,head=relu", Head::Classes(2)),
        ("bert:2,8,4,16,head=relu", Head::Numbers(2)),
    ] {
        let dir = Scratch::new();
        let path = dir.file("folder");
        let (mut network, metadata) = (built(name, head), with(TOKENIZER, names(head.width())));
        if name.ends_with("head=relu") {
            // DistilBERT has no types: they come back within the positions.
            network.params.find_mut(TYPES).unwrap().values.fill(0.0);
        }
        saved::save_folder(&path, &network, &metadata).unwrap();
        let again = saved::open(&path, &Overrides::default()).unwrap();
        let name = network.name.replace(",dropout=0.5", "");
        network.name = name;
        same(&again.network, &network);
        if matches!(head, Head::Classes(_)) {
            assert_eq!(again.metadata, metadata);
        }
        assert_eq!(text(path.join("tokenizer.json")), TOKENIZER);
        assert_eq!(value(path.join("config.json"))["pad_token_id"], json!(3));
        assert_eq!(value(path.join("tokenizer_config.json"))["cls_token"], json!("[CLS]"));
        assert!(saved::files_of(&path).unwrap().iter().all(|file| file.is_file()));
        // Limbeck's own files rebuild it by its name.
        let file = dir.file("model.safetensors");
        saved::save(&file, &network, &metadata).unwrap();
        same(&saved::open(&file, &Overrides::default()).unwrap().network, &network);
    }
}

#[test]
fn types_are_added_to_distilberts_positions() {
    let dir = Scratch::new();
    let path = dir.file("folder");
    let mut network = built("bert:1,8,2,16,head=relu", Head::Classes(2));
    network.params.find_mut(TYPES).unwrap().values = (0..16).map(|n| n as f32).collect();
    saved::save_folder(&path, &network, &names(2)).unwrap();
    let again = saved::open(&path, &Overrides::default()).unwrap().network;
    let row = |network: &Network| network.params.find(POSITIONS).unwrap().values[8..16].to_vec();
    let sums: Vec<f32> = row(&network).iter().enumerate().map(|(n, value)| value + n as f32).collect();
    assert_eq!(row(&again), sums);
    assert!(again.params.find(TYPES).unwrap().values.iter().all(|value| *value == 0.0));
    assert!(!path.join("tokenizer.json").exists() && !path.join("modules.json").exists());
}

/// Tensors under other names, in a folder with this config.
fn write(dir: &Path, tensors: Vec<(String, NamedTensor)>, config: &Value) {
    let stored: Vec<StoredTensor<'_>> = tensors
        .iter()
        .map(|(name, tensor)| StoredTensor { name: name.as_str().into(), ..StoredTensor::from(tensor) })
        .collect();
    files::write_safetensors(dir.join("model.safetensors"), &stored, &Metadata::new()).unwrap();
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn old_names_and_what_belongs_to_other_tasks_are_understood() {
    let dir = Scratch::new();
    let path = dir.file("folder");
    let network = built("bert:1,8,2,16", Head::Numbers(8));
    saved::save_folder(&path, &network, &names(8)).unwrap();
    let config = value(path.join("config.json"));
    fs::remove_file(path.join("modules.json")).unwrap();
    let mut old: Vec<(String, NamedTensor)> = network
        .params
        .named()
        .into_iter()
        .map(|tensor| {
            let name = tensor.name.replace("LayerNorm.weight", "LayerNorm.gamma");
            (format!("bert.{}", name.replace("LayerNorm.bias", "LayerNorm.beta")), tensor)
        })
        .collect();
    let more = NamedTensor { name: String::new(), shape: vec![2], data: vec![1.0, 2.0] };
    for other in
        ["bert.embeddings.position_ids", "bert.pooler.dense.bias", "cls.predictions.bias", "fit_dense.bias"]
    {
        old.push((other.into(), more.clone()));
    }
    write(&path, old, &config);
    let again = saved::open(&path, &Overrides::default()).unwrap().network;
    assert_eq!(again.params.named(), network.params.named());
    // Names of the user's, as many as there are.
    let given = |count: usize| Overrides { classes: Some(names(count).classes), ..Overrides::default() };
    assert_eq!(saved::open(&path, &given(8)).unwrap().metadata, names(8));
    let message = saved::open(&path, &given(3)).err().unwrap().to_string();
    assert!(message.contains("it gives 8 numbers, not 3"), "{message}");
    let other = Overrides { model: Some("bert:1".into()), ..Overrides::default() };
    assert!(saved::open(&path, &other).err().unwrap().to_string().contains("leave out `model`"));
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let dir = Scratch::new();
    let path = dir.file("folder");
    let network = built("bert:1,8,2,16,head=pooler", Head::Classes(3));
    saved::save_folder(&path, &network, &names(3)).unwrap();
    let config = value(path.join("config.json"));
    let refused = || saved::open(&path, &Overrides::default()).err().expect("an error").to_string();
    for (key, wrong, expected) in [
        ("model_type", json!("mpnet"), "model_type \"mpnet\": limbeck reads bert"),
        ("model_type", Value::Null, "model_type is not said"),
        ("hidden_size", Value::Null, "hidden_size: expected a number from 1 to 65536, got nothing"),
        ("hidden_size", json!(-3), "got -3"),
        ("hidden_size", json!(1e30), "hidden_size"),
        ("vocab_size", json!(31), "embeddings.word_embeddings.weight (expected [31, 8], found [30, 8])"),
        ("vocab_size", json!(1u64 << 60), "vocab_size"),
        ("num_hidden_layers", json!(2), "missing: encoder.layer.1.attention.self.query.weight"),
        ("num_attention_heads", json!(3), "3 heads do not divide a width of 8"),
        ("intermediate_size", json!(17), "encoder.layer.0.intermediate.dense.weight"),
        ("hidden_act", json!("silu"), "hidden_act \"silu\""),
        ("layer_norm_eps", json!("x"), "layer_norm_eps"),
        ("is_decoder", json!(true), "is_decoder is on"),
        ("position_embedding_type", json!("relative_key"), "position_embedding_type \"relative_key\""),
        ("architectures", json!(["BertForTokenClassification"]), "it is a BertForTokenClassification"),
        ("problem_type", json!("multi_label_classification"), "problem_type multi_label_classification"),
    ] {
        let mut broken = config.clone();
        broken[key] = wrong;
        fs::write(path.join("config.json"), broken.to_string()).unwrap();
        let message = refused();
        assert!(message.contains(expected), "{key}: {message}");
    }
    fs::write(path.join("config.json"), "{").unwrap();
    assert!(refused().contains("config.json") && refused().contains("expected JSON"));
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    fs::remove_file(path.join("model.safetensors")).unwrap();
    assert!(refused().contains("expected model.safetensors or pytorch_model.bin"));
    fs::write(path.join("model.safetensors.index.json"), "{}").unwrap();
    assert!(refused().contains("its weights are in several files"));
    fs::remove_file(path.join("config.json")).unwrap();
    assert!(refused().contains("config.json"));
}

#[test]
fn what_is_wrong_with_modules_is_said() {
    let dir = Scratch::new();
    let path = dir.file("folder");
    let network = built("bert:1,8,2,16,normalize=yes", Head::Numbers(5));
    saved::save_folder(&path, &network, &names(5)).unwrap();
    let modules = value(path.join("modules.json"));
    let refused = || saved::open(&path, &Overrides::default()).err().expect("an error").to_string();
    let types: Vec<&str> = modules.as_array().unwrap().iter().map(|m| m["type"].as_str().unwrap()).collect();
    assert_eq!(types.last(), Some(&"sentence_transformers.models.Normalize"));
    for (place, key, wrong, expected) in [
        (1, "type", "x.WordWeights", "its modules are Transformer, WordWeights, Dense, Normalize"),
        (0, "path", "../..", "expected a folder inside this one"),
        (0, "path", "nowhere", "nowhere/config.json"),
    ] {
        let mut broken = modules.clone();
        broken[place][key] = json!(wrong);
        fs::write(path.join("modules.json"), broken.to_string()).unwrap();
        let message = refused();
        assert!(message.contains(expected), "{wrong}: {message}");
    }
    fs::write(path.join("modules.json"), "{}").unwrap();
    assert!(refused().contains("expected a JSON list"));
    fs::write(path.join("modules.json"), modules.to_string()).unwrap();
    let dense = path.join("2_Dense/config.json");
    for (wrong, expected) in [
        (json!({"activation_function": "torch.nn.modules.activation.Tanh"}), "activation.Tanh"),
        (json!({"activation_function": "Identity", "use_residual": true}), "use_residual is on"),
    ] {
        fs::write(&dense, wrong.to_string()).unwrap();
        assert!(refused().contains(expected), "{}", refused());
    }
    let pooling = path.join("1_Pooling/config.json");
    for (wrong, expected) in [
        (json!({"pooling_mode": "max"}), "it pools by max"),
        (json!({"pooling_mode": ["mean", "cls"]}), "it pools by mean and cls"),
        (json!({"pooling_mode_mean_sqrt_len_tokens": true}), "it pools by pooling_mode_mean_sqrt_len_tokens"),
        (json!({}), "it pools by nothing"),
    ] {
        fs::write(&pooling, wrong.to_string()).unwrap();
        assert!(refused().contains(expected), "{}", refused());
    }
}

#[test]
fn what_can_t_be_a_folder_is_said() {
    let dir = Scratch::new();
    let path = dir.file("folder");
    let cnn = build("cnn:2", &ModelConfig::classifier([3, 8, 8], 2)).unwrap();
    let message = saved::save_folder(&path, &cnn, &names(2)).unwrap_err().to_string();
    assert!(message.contains("\"cnn:2\" is no encoder of texts"), "{message}");
    let vectors = built("bert:1,8,2,16", Head::Numbers(8));
    let message = saved::save_folder(&path, &vectors, &with("{", names(8))).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && !path.exists(), "{message}");
    saved::save_folder(&path, &vectors, &names(8)).unwrap();
    let classes = built("bert:1,8,2,16,head=pooler", Head::Classes(2));
    let message = saved::save_folder(&path, &classes, &names(2)).unwrap_err().to_string();
    assert!(message.contains("modules.json") && message.contains("another folder"), "{message}");
    let mut mlp = build("mlp:4", &ModelConfig::classifier([1, 4, 4], 2)).unwrap();
    assert!(saved::start_from(&mut mlp, &path).unwrap_err().to_string().contains("does not fit"));
}
