//! Detectors as files: safetensors, darknet's `.weights`, and first values from either.

use std::path::PathBuf;

use super::*;
use crate::files::scratch::Scratch;
use crate::models::{build, native_config};

const SMALL: &str = include_str!("../../../tests/fixtures/darknet/small.cfg");

fn built(name: &str) -> Network {
    let mut network = build(name, &native_config(name).unwrap().expect("a detector")).unwrap();
    network.params.initialise(7);
    network
}

fn metadata(classes: &[&str]) -> ModelMetadata {
    let classes = classes.iter().map(|name| name.to_string()).collect();
    ModelMetadata { classes, mean: vec![0.0; 3], std: vec![1.0; 3], ..Default::default() }
}

fn same_weights(a: &Network, b: &Network) -> bool {
    a.params.named() == b.params.named()
}

fn refused(path: &Path, overrides: &Overrides) -> String {
    open(path, overrides).err().expect("an error").to_string()
}

fn model(name: &str) -> Overrides {
    Overrides { model: Some(name.into()), ..Default::default() }
}

/// A small .cfg of a user's own in a folder.
fn own_cfg(dir: &Scratch) -> PathBuf {
    let path = dir.file("own.cfg");
    std::fs::write(&path, SMALL).unwrap();
    path
}

#[test]
fn a_detector_by_name_comes_back() {
    let dir = Scratch::new();
    let path = dir.file("model.safetensors");
    let network = built("yolo-fastest:size=64,width=0.5,classes=3");
    let said = metadata(&["a", "b", "c"]);
    save(&path, &network, &said).unwrap();
    let again = open(&path, &Overrides::default()).unwrap();
    assert_eq!((again.network.name.as_str(), &again.metadata), ("yolo-fastest:width=0.5", &said));
    assert!(again.network.config() == network.config() && same_weights(&again.network, &network));
    assert!(network.description.is_none() && again.network.description.is_none());
    // At another size, with names of its own; not what a data set says.
    let names = Some(["x", "y", "z"].map(String::from).to_vec());
    let other = Overrides { input: Some([3, 96, 160]), classes: names, ..Default::default() };
    let data = Overrides {
        input: Some([3, 8, 8]),
        classes: Some(vec!["q".into()]),
        mean: Some(vec![0.5; 3]),
        std: Some(vec![0.2; 3]),
        ..Default::default()
    };
    let wider = open_with(&path, &other, &data).unwrap();
    assert_eq!(wider.network.input(), InputSpec::Image([3, 96, 160]));
    assert_eq!((wider.metadata.classes[2].as_str(), &wider.metadata.mean), ("z", &said.mean));
    assert!(refused(&path, &model("yolo-fastest:width=0.25")).contains("layer9.conv.weight"));
    assert!(refused(&path, &model("yolo-fastest:width=0.5,size=96")).contains("size=96"));
    // Without a word of the file's, its model says what can be said.
    let tensors = network.params.named();
    let stored: Vec<StoredTensor<'_>> = tensors.iter().map(StoredTensor::from).collect();
    files::write_safetensors(&path, &stored, &Metadata::default()).unwrap();
    let bare = open_with(&path, &model("yolo-fastest:width=0.5,classes=3,size=64"), &data).unwrap();
    assert_eq!(bare.metadata, metadata(&["0", "1", "2"]));
    assert!(same_weights(&bare.network, &network));
}

#[test]
fn a_cfg_of_one_s_own_is_in_the_file() {
    let dir = Scratch::new();
    let (path, cfg) = (dir.file("model.safetensors"), own_cfg(&dir));
    let network = built(&format!("{}:classes=2,size=32", cfg.display()));
    let factors = crate::models::build_from(&network, "own.cfg+lowrank:0.5").unwrap();
    std::fs::remove_file(&cfg).unwrap();
    for network in [network, factors] {
        save(&path, &network, &metadata(&["a", "b"])).unwrap();
        let again = open(&path, &Overrides::default()).unwrap();
        assert_eq!((&again.network.name, &again.network.description), (&network.name, &network.description));
        assert!(again.network.config() == network.config() && same_weights(&again.network, &network));
    }
    // A file that names a .cfg and does not hold it is no reason to read one.
    let stored: Vec<StoredTensor<'_>> = Vec::new();
    let said = [("limbeck.model", "own.cfg"), ("limbeck.input", "3x32x32")];
    let said = said.map(|(key, text)| (key.to_string(), text.to_string()));
    own_cfg(&dir);
    files::write_safetensors(&path, &stored, &Metadata::from(said)).unwrap();
    assert!(refused(&path, &Overrides::default()).contains("limbeck.cfg"));
}

#[test]
fn weights_are_written_with_what_others_need_to_read_them() {
    let dir = Scratch::new();
    let path = dir.file("student.weights");
    let network = built("yolov4-tiny:width=0.1,classes=3,size=64");
    let said = metadata(&["RBC", "WBC", "Platelets"]);
    save(&path, &network, &said).unwrap();
    assert_eq!(std::fs::read_to_string(dir.file("student.names")).unwrap(), "RBC\nWBC\nPlatelets\n");
    let text = std::fs::read_to_string(dir.file("student.cfg")).unwrap();
    assert!(text.contains("width=64\nheight=64\n") && text.contains("filters=8\n"), "{text}");
    // The .cfg beside it says the layers.
    let again = open(&path, &Overrides::default()).unwrap();
    assert_eq!((again.network.name.as_str(), &again.metadata), ("student.cfg", &said));
    assert!(again.network.config() == network.config() && same_weights(&again.network, &network));
    // So does a name, for as many classes as the file holds.
    let named = open(&path, &model("yolov4-tiny:width=0.1,size=64")).unwrap();
    assert_eq!(
        (named.network.name.as_str(), named.network.config()),
        ("yolov4-tiny:width=0.1", network.config())
    );
    assert!(same_weights(&named.network, &network) && named.metadata == said);
    // Again, and what is in the way of another network.
    save(&path, &network, &said).unwrap();
    let other = built("yolov4-tiny:width=0.1,classes=3,size=96");
    let message = save(&path, &other, &said).unwrap_err().to_string();
    assert!(message.contains("student.cfg") && message.contains("another network"), "{message}");
    let message = save(&path, &network, &metadata(&["a", "b", "c"])).unwrap_err().to_string();
    assert!(message.contains("student.names"), "{message}");
    let trained = ModelMetadata { mean: vec![0.5; 3], ..said.clone() };
    assert!(save(&path, &network, &trained).unwrap_err().to_string().contains("pixels from 0 to 1"));
    let cnn = build("cnn:2", &ModelConfig::classifier([3, 8, 8], 2)).unwrap();
    let message = save(dir.file("cnn.weights"), &cnn, &metadata(&["a", "b"])).unwrap_err().to_string();
    assert!(message.contains("\"cnn:2\" is no network of darknet's"), "{message}");
    let factors = build("yolov4-tiny:width=0.1+lowrank:0.5", network.config()).unwrap();
    assert!(save(dir.file("f.weights"), &factors, &said).is_err());
    assert!(!dir.file("f.cfg").exists());
}

#[test]
fn weights_of_others_say_what_they_need() {
    let dir = Scratch::new();
    let (best, cfg) = (dir.file("own_best.weights"), dir.file("other.cfg"));
    let network = built(&own_cfg(&dir).display().to_string());
    let bytes = darknet::Cfg::of(&network).unwrap().weights(&network).unwrap();
    std::fs::write(&best, &bytes).unwrap();
    // Darknet adds `_best`; names are numbers, those of a data set of as many classes, or given.
    let opened = open(&best, &Overrides::default()).unwrap();
    assert_eq!((opened.network.name.as_str(), &opened.metadata), ("own.cfg", &metadata(&["0", "1", "2"])));
    let data = Overrides { classes: Some(["a", "b", "c"].map(String::from).to_vec()), ..Default::default() };
    assert_eq!(open_with(&best, &Overrides::default(), &data).unwrap().metadata.classes, ["a", "b", "c"]);
    assert_eq!(open(&best, &data).unwrap().metadata.classes, ["a", "b", "c"]);
    std::fs::write(dir.file("coco.names"), "\u{feff}x\r\ny\r\n\r\nz\r\n").unwrap();
    assert_eq!(open_with(&best, &Overrides::default(), &data).unwrap().metadata.classes, ["x", "y", "z"]);
    std::fs::write(dir.file("own.names"), "x\ny\n").unwrap();
    assert!(
        refused(&best, &Overrides::default()).contains("names of 3 classes, which its network has, got 2")
    );
    // The .cfg is somewhere else, or nowhere.
    std::fs::rename(dir.file("own.cfg"), &cfg).unwrap();
    let message = refused(&best, &Overrides::default());
    assert!(
        message.contains("model = yolov4.cfg") && message.contains("own_best.cfg beside it"),
        "{message}"
    );
    std::fs::remove_file(dir.file("own.names")).unwrap();
    let named = open(&best, &model(&cfg.display().to_string())).unwrap();
    assert!(same_weights(&named.network, &network));
    let message = refused(&best, &model("yolo-fastest"));
    assert!(message.contains("ends inside layer"), "{message}");
    assert!(refused(&best, &model("cnn:8")).contains("no network of darknet's"));
    let two = Overrides { classes: Some(vec!["a".into(), "b".into()]), ..model(&cfg.display().to_string()) };
    assert!(refused(&best, &two).contains("more than the network's"));
    let map = Overrides { map: Some(NameMap::default()), ..Default::default() };
    assert!(refused(&best, &map).contains("leave out `map`"));
    // In memory there is nothing beside it.
    let none = Overrides::default();
    let from = |overrides: &Overrides| from_bytes("a.weights", &bytes, overrides, &none, &alone);
    assert!(from(&none).err().unwrap().to_string().contains("a.cfg beside it"));
    assert_eq!(from(&model(&cfg.display().to_string())).unwrap().metadata.classes, ["0", "1", "2"]);
    // A backbone is no network to be used.
    std::fs::write(dir.file("own.conv.1"), &bytes[..20 + 4 * (32 + 216)]).unwrap();
    let message = refused(&dir.file("own.conv.1"), &model(&cfg.display().to_string()));
    assert!(message.contains("a part of a network"), "{message}");
}

#[test]
fn what_fits_is_taken_and_the_rest_is_said() {
    let dir = Scratch::new();
    let path = dir.file("teacher.weights");
    let teacher = built("yolov4-tiny:width=0.1,classes=5,size=64");
    let bytes = darknet::Cfg::of(&teacher).unwrap().weights(&teacher).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let student = || {
        let mut network = built("yolov4-tiny:width=0.1,classes=3,size=64");
        network.params.initialise(9);
        network
    };
    let values = |of: &Network, name: &str| of.params.find(name).unwrap().values.clone();
    let (fresh, mut network) = (student(), student());
    let all = network.params.iter().count();
    let started = start_from(&mut network, &path).unwrap();
    assert_eq!((started.taken, started.left.misshapen.len()), (all - 4, 4));
    assert_eq!(values(&network, "layer28.conv.weight"), values(&teacher, "layer28.conv.weight"));
    assert_eq!(values(&network, "layer36.conv.bias"), values(&fresh, "layer36.conv.bias"));
    let summary = started.summary().unwrap();
    let parts = [
        &*format!("{} tensors taken; 4 keep", all - 4),
        "layer29.conv.weight ([30, 48, 1, 1] in the file, [24, 48",
    ];
    assert!(parts.iter().all(|part| summary.contains(part)), "{summary}");
    // Safetensors do the same by name.
    let file = dir.file("teacher.safetensors");
    save(&file, &teacher, &metadata(&["a", "b", "c", "d", "e"])).unwrap();
    let mut other = student();
    assert_eq!(start_from(&mut other, &file).unwrap(), started);
    assert!(same_weights(&other, &network));
    // A backbone, and a whole file that fits.
    let backbone = dir.file("tiny.conv.2");
    let two = (4 * 8 + 8 * 27) + (4 * 8 + 8 * 72);
    std::fs::write(&backbone, &bytes[..20 + 4 * two]).unwrap();
    let mut part = student();
    let started = start_from(&mut part, &backbone).unwrap();
    assert_eq!((started.taken, started.left.missing.len(), started.left.misshapen.len()), (10, all - 10, 0));
    assert_eq!(values(&part, "layer1.bn.running_var"), values(&teacher, "layer1.bn.running_var"));
    assert_eq!(values(&part, "layer2.conv.weight"), values(&fresh, "layer2.conv.weight"));
    let mut again = built("yolov4-tiny:width=0.1,classes=5,size=64");
    assert_eq!(start_from(&mut again, &path).unwrap().summary(), None);
    // Of another width nothing lines up, unless a .cfg says how; then the few that fit are taken.
    let mut wide = built("yolov4-tiny:width=0.25,classes=3,size=64");
    assert!(start_from(&mut wide, &path).unwrap_err().to_string().contains("ends inside layer"));
    std::fs::write(dir.file("teacher.cfg"), darknet::Cfg::of(&teacher).unwrap().text()).unwrap();
    let started = start_from(&mut wide, &path).unwrap();
    assert!(started.taken > 0 && started.left.misshapen.len() > 50, "{started:?}");
    let mut cnn = build("cnn:2", &ModelConfig::classifier([3, 8, 8], 2)).unwrap();
    let before = cnn.params.named();
    let message = start_from(&mut cnn, &file).unwrap_err().to_string();
    assert!(message.contains("does not fit") && cnn.params.named() == before, "{message}");
}
