//! Networks of darknet against OpenCV's importer, and what a written file gives back.

mod common;

use std::path::{Path, PathBuf};

use limbeck::models::darknet::Cfg;
use limbeck::models::saved::{self, Overrides};
use limbeck::models::{Head, ModelConfig, Network, Values, build, native_config, reclassed};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::tape::{Plan, Step, Tape};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/darknet").join(name)
}

/// x[c][y][x] = ((37 c + 17 y + 11 x) mod 256) / 255, as the reference files have it.
fn image([c, h, w]: [usize; 3]) -> Vec<f32> {
    let pixel = |i: usize| (37 * (i / (h * w)) + 17 * (i / w % h) + 11 * (i % w)) % 256;
    (0..c * h * w).map(|i| pixel(i) as f32 / 255.0).collect()
}

/// What each head gives for that image, by its layer.
fn heads(network: &Network, input: [usize; 3]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let (gpu, tape) = (common::gpu(), Tape::new());
    let params = DeviceParams::frozen(&gpu, "network", &network.params).unwrap();
    let [c, h, w] = input;
    let x = tape.input("x", [1, c, h, w]);
    let outputs = network.forward(&Forward::eval(&tape, &params), &Values::images(&x)).unwrap();
    let kept: Vec<_> = outputs.iter().map(|(_, tensor)| tensor).collect();
    let plan = Plan::new(&gpu, &tape, &kept).unwrap();
    plan.write(&x, &image(input)).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    let read = |(name, tensor): (&str, &limbeck::tape::Tensor)| {
        (name.to_string(), tensor.dims().to_vec(), plan.read_f32(tensor).unwrap())
    };
    outputs.iter().map(read).collect()
}

/// What these taps are for that image.
fn tapped(network: &Network, names: &[String], [c, h, w]: [usize; 3]) -> Vec<Vec<f32>> {
    let (gpu, tape) = (common::gpu(), Tape::new());
    let params = DeviceParams::frozen(&gpu, "network", &network.params).unwrap();
    let (x, forward) = (tape.input("x", [1, c, h, w]), Forward::eval(&tape, &params));
    network.forward(&forward, &Values::images(&x)).unwrap();
    let taps: Vec<_> = names.iter().map(|name| forward.tap(name).unwrap()).collect();
    let plan = Plan::new(&gpu, &tape, &taps.iter().collect::<Vec<_>>()).unwrap();
    plan.write(&x, &image([c, h, w])).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    taps.iter().map(|tap| plan.read_f32(tap).unwrap()).collect()
}

/// The largest of differences; NaN is larger than any.
fn worst(differences: impl Iterator<Item = f64>) -> f64 {
    differences.fold(0.0, |worst, apart| if apart.is_nan() { f64::INFINITY } else { worst.max(apart) })
}

/// The two heads of the small network are OpenCV's, layer by layer in these places.
fn are_opencvs(got: Vec<(String, Vec<usize>, Vec<f32>)>) {
    let wanted: Value = serde_json::from_slice(&std::fs::read(fixture("small.json")).unwrap()).unwrap();
    assert_eq!(got.len(), 2);
    for ((name, shape, values), layer) in got.into_iter().zip(["layer13", "layer18"]) {
        let wanted = &wanted["heads"][layer];
        assert_eq!(serde_json::json!(shape), wanted["shape"], "{name}");
        let wanted: Vec<f64> = serde_json::from_value(wanted["values"].clone()).unwrap();
        let apart = values.iter().zip(&wanted).map(|(got, wanted)| (f64::from(*got) - wanted).abs());
        let apart = worst(apart);
        assert!(apart < 1e-4, "{name}: {apart} apart");
    }
}

#[test]
fn the_small_network_computes_what_opencv_does() {
    let cfg = Cfg::open(fixture("small.cfg"), None).unwrap();
    let mut network = cfg.network().unwrap();
    let bytes = std::fs::read(fixture("small.weights")).unwrap();
    let loaded = cfg.load_weights("small.weights", &bytes, &mut network).unwrap();
    assert_eq!((loaded.convolutions, loaded.header.seen), (7, 12_800));
    let got = heads(&network, cfg.input());
    assert_eq!(got[1].0, "layer18");
    are_opencvs(got);
    // All but the count of images, which a network does not keep.
    assert!(cfg.weights(&network).unwrap()[20..] == bytes[20..]);
}

/// As tests/fixtures/darknetnets.py has it: looks random, and is told by the place in the file.
fn uniform(place: u32) -> f64 {
    let mut x = place;
    x ^= x >> 16;
    x = x.wrapping_mul(0x85EB_CA6B);
    x ^= x >> 13;
    x = x.wrapping_mul(0xC2B2_AE35);
    x ^= x >> 16;
    f64::from(x) / 2f64.powi(32)
}

/// The bytes of a file with weights by that formula, in darknet's order.
fn formula(network: &Network) -> Vec<u8> {
    let mut bytes = [0i32, 2, 5, 0, 0].map(i32::to_le_bytes).concat();
    let mut place = 0;
    let mut fill = |offset: f64, spread: f64, count: usize| {
        for _ in 0..count {
            bytes.extend(((offset + spread * uniform(place)) as f32).to_le_bytes());
            place += 1;
        }
    };
    for layer in 0..400 {
        let Some(weight) = network.params.find(&format!("layer{layer}.conv.weight")) else { continue };
        let out = weight.shape.dims()[0];
        let fan_in = weight.shape.len() / out;
        fill(-0.2, 0.4, out);
        if network.params.find(&format!("layer{layer}.bn.weight")).is_some() {
            for (offset, spread) in [(0.8, 0.4), (-0.2, 0.4), (0.5, 1.0)] {
                fill(offset, spread, out);
            }
        }
        let spread = (15.0 / fan_in as f64).sqrt();
        fill(-spread / 2.0, spread, out * fan_in);
    }
    bytes
}

/// Every network by name, narrowed: OpenCV was given a `.cfg` of the same bytes as limbeck writes.
#[test]
fn networks_by_name_compute_what_opencv_does() {
    let wanted: Value = serde_json::from_slice(&std::fs::read(fixture("nets.json")).unwrap()).unwrap();
    let (every, cases) = (wanted["every"].as_u64().unwrap() as usize, wanted["cases"].as_array().unwrap());
    assert_eq!(cases.len(), 7);
    for case in cases {
        let (name, width, side) = (case["name"].as_str().unwrap(), &case["width"], &case["side"]);
        let name = format!("{name}:width={width},classes=3,size={side}");
        let network = build(&name, &native_config(&name).unwrap().unwrap()).unwrap();
        let cfg = Cfg::of(&network).unwrap();
        let hash: String = Sha256::digest(cfg.text()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(case["sha256"], hash, "{name}: {}", cfg.text());
        // OpenCV adds 1e-6 to variances.
        let cfg = cfg.with_epsilon(1e-6).unwrap();
        let mut network = cfg.network().unwrap();
        let bytes = formula(&network);
        cfg.load_weights("nets.weights", &bytes, &mut network).unwrap();
        assert!(cfg.weights(&network).unwrap() == bytes);
        let got = heads(&network, cfg.input());
        assert_eq!(got.len(), case["heads"].as_object().unwrap().len(), "{name}");
        for (layer, shape, values) in got {
            let wanted = &case["heads"][&layer];
            assert_eq!(serde_json::json!(shape), wanted["shape"], "{name} {layer}");
            let kept: Vec<f64> = serde_json::from_value(wanted["values"].clone()).unwrap();
            let got: Vec<f64> = values.iter().step_by(every).map(|value| f64::from(*value)).collect();
            assert_eq!(got.len(), kept.len());
            let apart = worst(got.iter().zip(&kept).map(|(got, kept)| (got - kept).abs()));
            let bound = 1e-4 * wanted["largest"].as_f64().unwrap().max(1.0);
            assert!(apart < bound, "{name} {layer}: {apart} apart");
        }
    }
}

/// Features are what each head's last convolution reads, pre-activations what the activation before it reads.
#[test]
fn features_are_taken_before_the_last_convolutions() {
    for (name, layers) in
        [("yolov4-tiny", &[28, 35][..]), ("yolov4", &[137, 148, 159]), ("yolov4-tiny-3l", &[28, 35, 42])]
    {
        let name = format!("{name}:width=0.125,classes=3,size=64");
        let network = build(&name, &native_config(&name).unwrap().unwrap()).unwrap();
        let named = |end: &str| layers.iter().map(|layer| format!("layer{layer}{end}")).collect::<Vec<_>>();
        assert_eq!((&network.stages, &network.preactivations), (&named(""), &named(".bn")), "{name}");
    }
    let (cfg, bytes) =
        (Cfg::open(fixture("small.cfg"), None).unwrap(), std::fs::read(fixture("small.weights")).unwrap());
    let mut network = cfg.network().unwrap();
    cfg.load_weights("small.weights", &bytes, &mut network).unwrap();
    // The second head reads two layers one behind the other.
    assert_eq!(network.stages, ["layer11", "layer16"]);
    assert_eq!(network.preactivations, ["layer11.bn", "layer16"]);
    let [stages, before] =
        [&network.stages, &network.preactivations].map(|n| tapped(&network, n, cfg.input()));
    assert!(before[0].iter().any(|x| *x < 0.0));
    assert_eq!(before[0].iter().map(|x| x.max(0.0)).collect::<Vec<_>>(), stages[0]);
    // A graph of it has them at the same places.
    let model = Overrides { model: Some(fixture("small.cfg").display().to_string()), ..Default::default() };
    let graph = saved::open(fixture("small.onnx"), &model).unwrap().network;
    for (ours, theirs) in [(&graph.stages, &stages), (&graph.preactivations, &before)] {
        let ours = tapped(&graph, ours, cfg.input());
        assert_eq!(ours.len(), 2);
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours.len(), theirs.len());
            let apart = worst(ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())));
            assert!(apart < 1e-4, "{apart} apart");
        }
    }
}

/// Wanted classes are the channels of those names, and nothing else changes.
#[test]
fn a_detector_of_other_classes_gives_their_maps() {
    let cfg = Cfg::open(fixture("small.cfg"), None).unwrap();
    let whole = || {
        let mut network = cfg.network().unwrap();
        let bytes = std::fs::read(fixture("small.weights")).unwrap();
        cfg.load_weights("small.weights", &bytes, &mut network).unwrap();
        network
    };
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let chosen = reclassed(whole(), &names(&["a", "b", "c"]), &names(&["c", "a"])).unwrap();
    assert_eq!(chosen.head(), Head::Boxes(2));
    let (whole, chosen) = (heads(&whole(), cfg.input()), heads(&chosen, cfg.input()));
    assert_eq!(chosen.len(), 2);
    for ((name, shape, values), (other, whole_shape, from)) in chosen.iter().zip(&whole) {
        let places = shape[2] * shape[3];
        assert_eq!((name, shape[1], whole_shape[1]), (other, 14, 16));
        for (channel, map) in values.chunks(places).enumerate() {
            let (anchor, value) = (channel / 7, channel % 7);
            let channel = 8 * anchor + [0, 1, 2, 3, 4, 7, 5][value];
            assert_eq!(map, &from[channel * places..][..places], "{name} {channel}");
        }
    }
}

/// A classifier's logits likewise.
#[test]
fn a_classifier_of_other_classes_gives_their_logits() {
    let config = ModelConfig::classifier([3, 64, 48], 4);
    let network = || build("cnn:4", &config).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let chosen = reclassed(network(), &names(&["a", "b", "c", "d"]), &names(&["D", "b", "c"])).unwrap();
    let (whole, chosen) = (heads(&network(), [3, 64, 48]), heads(&chosen, [3, 64, 48]));
    let logits = &whole[0].2;
    assert_eq!(chosen[0].2, [logits[3], logits[1], logits[2]]);
}

/// The same network as a graph, whose heads the .cfg says.
#[test]
fn a_graph_is_a_detector_by_its_cfg() {
    let model = |model: &Path| Overrides { model: Some(model.display().to_string()), ..Default::default() };
    let opened = saved::open(fixture("small.onnx"), &model(&fixture("small.cfg"))).unwrap();
    let names = ["0", "1", "2"].map(String::from);
    assert_eq!((opened.network.head(), &opened.metadata.classes[..]), (Head::Boxes(3), &names[..]));
    assert_eq!((&opened.metadata.mean, &opened.metadata.std), (&vec![0.0; 3], &vec![1.0; 3]));
    let got = heads(&opened.network, [3, 64, 48]);
    assert_eq!([&*got[0].0, &*got[1].0], ["coarse.conv", "fine"]);
    are_opencvs(got);
    // Of other classes no output has the heads' shapes.
    let refused =
        |overrides: &Overrides| saved::open(fixture("small.onnx"), overrides).err().unwrap().to_string();
    let four = Overrides {
        classes: Some(["a", "b", "c", "d"].map(String::from).to_vec()),
        ..model(&fixture("small.cfg"))
    };
    let message = refused(&four);
    assert!(
        message.contains("4 classes reads one output [1, 18, 4, 3]") && message.contains("\"fine\""),
        "{message}"
    );
    assert!(refused(&model(Path::new("cnn:8"))).contains("the .cfg or name of a detector"));
}
