//! Parameter counts and names of the architectures, against what their authors publish. Needs no GPU.

mod common;

use common::fixture;
use limbeck::models::{MODELS, ModelConfig, Network, build};
use sha2::{Digest, Sha256};

const CIFAR10: ModelConfig = ModelConfig::classifier([3, 32, 32], 10);
const CIFAR100: ModelConfig = ModelConfig::classifier([3, 32, 32], 100);

fn names(network: &Network) -> Vec<&str> {
    network.params.iter().map(|p| p.name.as_str()).collect()
}

#[test]
fn parameter_counts_are_the_published_ones() {
    let published = [
        ("resnet20", CIFAR10, 269_722),
        ("resnet32", CIFAR10, 464_154),
        ("resnet44", CIFAR10, 658_586),
        ("resnet56", CIFAR10, 853_018),
        ("resnet110", CIFAR10, 1_727_962),
        // With projections the same depths have 2752 more.
        ("resnet_b:20", CIFAR10, 272_474),
        ("resnet_b:32", CIFAR10, 466_906),
        ("resnet_b:56", CIFAR10, 855_770),
        ("resnet_b:110", CIFAR10, 1_730_714),
        ("resnet8x4", CIFAR100, 1_233_540),
        ("resnet32x4", CIFAR100, 7_433_860),
        ("wrn_40_2", CIFAR100, 2_255_156),
        ("wrn_16_2", CIFAR100, 703_284),
        ("mobilenetv2", CIFAR100, 812_836),
    ];
    for (name, config, count) in published {
        assert_eq!(build(name, &config).unwrap().params.trainable_elements(), count, "{name}");
    }
}

/// Names, shapes and order of everything in every named architecture, as hashed by tests/fixtures/models.py.
#[test]
fn presets_hold_what_pytorchs_hold() {
    let text = std::fs::read_to_string(fixture::path("models.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let known = json["presets"].as_object().unwrap();
    let presets = MODELS.iter().flat_map(|spec| spec.presets).map(|(name, _)| *name);
    for name in presets.chain(["mobilenetv2"]) {
        let want = known.get(name).unwrap_or_else(|| panic!("models.json has no {name}"));
        let classes = want["classes"].as_u64().unwrap() as usize;
        let network = build(name, &ModelConfig::classifier([3, 32, 32], classes)).unwrap();
        assert_eq!(want["parameters"], network.params.trainable_elements(), "{name}");
        let mut hash = Sha256::new();
        for param in network.params.iter() {
            hash.update(format!("{} {}\n", param.name, param.shape));
        }
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(want["sha256"], hash, "{name} has {}", names(&network).join(", "));
    }
}

/// Names as the original's `state_dict` has them, in its order.
#[test]
fn names_are_the_originals() {
    let expect = |model: &str, wanted: &[&str]| {
        let network = build(model, &CIFAR10).unwrap();
        let names = names(&network);
        for wanted in wanted {
            assert!(names.contains(wanted), "{model} has no {wanted}, only {}", names.join(", "));
        }
    };
    let bn = |path: &str| ["weight", "bias", "running_mean", "running_var"].map(|n| format!("{path}.{n}"));
    let block = |path: &str| {
        let mut all = vec![format!("{path}.conv1.weight")];
        all.extend(bn(&format!("{path}.bn1")));
        all.push(format!("{path}.conv2.weight"));
        all.extend(bn(&format!("{path}.bn2")));
        all
    };
    let mut resnet8 = vec!["conv1.weight".to_string()];
    resnet8.extend(bn("bn1"));
    for layer in ["layer1", "layer2", "layer3"] {
        resnet8.extend(block(&format!("{layer}.0")));
    }
    resnet8.extend(["linear.weight", "linear.bias"].map(String::from));
    assert_eq!(names(&build("resnet:8", &CIFAR10).unwrap()), resnet8);

    expect("resnet8x4", &["layer1.0.downsample.0.weight", "layer3.0.downsample.1.running_var", "fc.bias"]);
    expect(
        "wrn_16_2",
        &["block1.layer.0.convShortcut.weight", "block3.layer.1.bn2.bias", "bn1.weight", "fc.bias"],
    );
    expect("vgg13", &["block0.0.bias", "block0.1.running_mean", "block4.4.weight", "classifier.weight"]);
    let blocks = ["conv1.0.weight", "blocks.0.0.conv.0.weight", "blocks.3.3.conv.7.running_var"];
    expect("mobilenetv2", &blocks);
    expect("mobilenetv2", &["conv2.1.bias", "classifier.0.weight"]);
    // Equal widths need no projection.
    assert!(
        !names(&build("resnet8", &CIFAR10).unwrap()).iter().any(|n| n.starts_with("layer1.0.downsample"))
    );
    assert!(
        !names(&build("wrn_16_1", &CIFAR10).unwrap())
            .iter()
            .any(|n| n.starts_with("block1.layer.0.conv") && n.contains("Shortcut"))
    );
}

#[test]
fn mistakes_are_explained() {
    let fail = |name: &str| match build(name, &CIFAR10) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{name} was built"),
    };
    assert!(fail("resnet21").contains("resnet20"));
    assert!(fail("resnet:21").contains("6n + 2"));
    assert!(fail("resnet").contains("resnet:20"));
    assert!(fail("resnet:20,16").contains("resnet:20,16,32,64"));
    assert!(fail("resnet:20,32,16,64").contains("resnet_b"));
    assert!(fail("wrn").contains("wrn:40,2"));
    assert!(fail("wrn:41,2").contains("6n + 4"));
    assert!(fail("vgg:9").contains("vgg:8"));
    assert!(fail("vgg:8,1,2").contains("channels of its blocks"));
    assert!(fail("mobilenetv2:6").contains("mobilenetv2:6,50"));
    assert!(fail("cnn:8,0").contains("cnn:32,64,128"));
    assert!(fail("cnn:99999999999999").contains("cnn:32,64,128"));
    assert!(fail("resnet20:3").contains("no model"));
    let tiny = ModelConfig::classifier([3, 7, 9], 10);
    assert!(build("vgg8", &tiny).err().unwrap().to_string().contains("8x8"));
}

#[test]
fn initial_weights_are_spread_as_the_originals() {
    let tests = [
        // He et al. by inputs.
        ("resnet20", "layer2.0.conv1.weight", 2.0 / (9.0 * 16.0)),
        ("resnet20", "linear.weight", 2.0 / 64.0),
        // By outputs.
        ("resnet8x4", "layer2.0.conv1.weight", 2.0 / (9.0 * 128.0)),
        ("wrn_16_2", "block2.layer.0.convShortcut.weight", 2.0 / 64.0),
        ("vgg8", "block1.0.weight", 2.0 / (9.0 * 128.0)),
        ("vgg8", "classifier.weight", 1e-4),
        ("mobilenetv2", "blocks.5.0.conv.3.weight", 2.0 / (9.0 * 288.0)),
        // PyTorch's default for linear layers: uniform in +-1 / sqrt(fan_in).
        ("wrn_16_2", "fc.weight", 1.0 / (3.0 * 128.0)),
    ];
    for (model, name, want) in tests {
        let mut network = build(model, &CIFAR100).unwrap();
        network.params.initialise(7);
        let values = &network.params.find(name).unwrap().values;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64;
        // The smallest of these tensors has 2592 elements: the spread of its variance is sqrt(2 / 2592), 3 %.
        assert!(
            (variance / want - 1.0).abs() < 0.1,
            "{model} {name}: variance {variance:e}, expected {want:e}"
        );
    }
    for (model, name) in
        [("vgg8", "block0.0.bias"), ("wrn_16_2", "fc.bias"), ("mobilenetv2", "classifier.0.bias")]
    {
        let network = build(model, &CIFAR10).unwrap();
        assert!(network.params.find(name).unwrap().values.iter().all(|&v| v == 0.0), "{model} {name}");
    }
}
