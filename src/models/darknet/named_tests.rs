use super::*;
use crate::files::scratch::Scratch;
use crate::models::{Network, build, check_name, native_config};

fn built(name: &str) -> Network {
    let config = native_config(name).unwrap().expect("a detector");
    crate::models::outline(name, &config, None).unwrap()
}

fn values(name: &str) -> usize {
    built(name).params.iter().map(|param| param.shape.len()).sum()
}

fn message(name: &str, config: &ModelConfig) -> String {
    build(name, config).err().unwrap_or_else(|| panic!("{name} was built")).to_string()
}

fn detector(input: [usize; 3], classes: usize) -> ModelConfig {
    ModelConfig { input: InputSpec::Image(input), head: Head::Boxes(classes) }
}

/// A `.weights` file has 20 bytes and 4 for each value: 257,717,640 of yolov4's, 24,251,276 of yolov4-tiny's.
#[test]
fn they_hold_as_many_values_as_the_published_files() {
    for (name, count) in [
        ("yolov4", (257_717_640 - 20) / 4),
        ("yolov4-tiny", (24_251_276 - 20) / 4),
        ("yolov4-tiny-3l", 6_334_045),
        ("yolov4-csp", 52_986_205),
        ("yolov3-tiny", 8_858_734),
        ("yolo-fastest", (1_384_268 - 20) / 4),
        ("yolo-fastest-xl", (3_693_964 - 20) / 4),
    ] {
        assert_eq!(values(name), count, "{name}");
    }
}

/// Counted by a program of its own.
#[test]
fn widths_scale_all_filters_but_the_heads() {
    for (name, count) in [
        ("yolov4:width=0.5,classes=3", 16_047_864),
        ("yolov4:width=0.25,classes=3", 4_034_080),
        ("yolov4:width=0.125,classes=3", 1_020_352),
        ("yolov4-tiny:width=0.5,classes=3", 1_479_200),
        ("yolov4-tiny:width=0.25,classes=3", 373_800),
        ("yolov4-tiny:width=0.125,classes=3", 96_552),
        ("yolo-fastest:classes=3", 295_704),
        ("yolo-fastest-xl:width=2,classes=3,size=64", 3_242_448),
    ] {
        assert_eq!(values(name), count, "{name}");
    }
    // Depthwise convolutions have as many filters as they read, halves of channels stay halves.
    let dims = |network: &Network, name: &str| network.params.find(name).unwrap().shape.dims().to_vec();
    let narrow = built("yolo-fastest:width=0.5");
    assert_eq!(dims(&narrow, "layer2.conv.weight"), [8, 1, 3, 3]);
    assert_eq!(dims(&narrow, "layer3.conv.weight"), [4, 8, 1, 1]);
    assert_eq!(dims(&narrow, "layer9.conv.weight"), [16, 4, 1, 1]);
    assert_eq!(dims(&narrow, "layer10.conv.weight"), [16, 1, 3, 3]);
    let tiny = built("yolov4-tiny:width=0.25");
    assert_eq!(dims(&tiny, "layer2.conv.weight"), [16, 16, 3, 3]);
    assert_eq!(dims(&tiny, "layer4.conv.weight"), [8, 8, 3, 3]);
    for name in TEXTS.map(|(name, _)| name) {
        for width in ["0.1", "0.3", "1.5", "3"] {
            let network = built(&format!("{name}:width={width},classes=1,size=64"));
            assert_eq!(network.name, format!("{name}:width={width}"));
        }
    }
}

#[test]
fn settings_change_sizes_classes_and_anchors() {
    let name = "yolov4-tiny:anchors=1x2/3x4/5x6/7x8/9x10/11.5x12, size=64x96 ,classes=3";
    let config = native_config(name).unwrap().unwrap();
    assert_eq!(config, detector([3, 64, 96], 3));
    let arguments = Arguments::parse(&YOLOV4_TINY, name.split_once(':').unwrap().1).unwrap();
    let cfg = cfg("yolov4-tiny", &config, &arguments).unwrap();
    let heads: Vec<_> = cfg.heads().map(|(index, head)| (index, head.clone())).collect();
    let [(30, coarse), (37, fine)] = &heads[..] else { panic!("{heads:?}") };
    assert_eq!((coarse.stride, fine.stride, coarse.classes), ([32, 32], [16, 16], 3));
    assert_eq!(coarse.anchors, [[7.0, 8.0], [9.0, 10.0], [11.5, 12.0]]);
    assert_eq!(fine.anchors, [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]);
    // Without anchors of their own they stay in pixels.
    let small = built("yolov4-tiny:size=160");
    assert_eq!(small.name, "yolov4-tiny");
    let plain = Cfg::parse("x", text("yolov4-tiny").unwrap(), None).unwrap();
    let small = plain.with(&Change { input: Some([3, 160, 160]), ..Default::default() }).unwrap();
    assert_eq!(small.heads().next().unwrap().1.all_anchors, plain.heads().next().unwrap().1.all_anchors);
    // Numbers of channels are those of the data.
    let grey = build("yolov4-tiny:width=0.1", &detector([1, 64, 64], 2)).unwrap();
    assert_eq!(grey.params.find("layer0.conv.weight").unwrap().shape.dims(), [8, 1, 3, 3]);
}

#[test]
fn the_text_of_a_changed_network_gives_it_again() {
    let plain = Cfg::parse("x", text("yolo-fastest").unwrap(), None).unwrap();
    let change = Change { input: Some([3, 96, 64]), classes: Some(2), width: Some(0.5), anchors: None };
    let changed = plain.with(&change).unwrap();
    let again = Cfg::parse("y", &changed.text(), None).unwrap();
    assert_eq!((again.config(), again.text()), (changed.config(), changed.text()));
    let shapes = |cfg: &Cfg| -> Vec<_> {
        let params = cfg.network().unwrap().params;
        params.iter().map(|param| (param.name.clone(), param.shape.clone())).collect()
    };
    assert_eq!(shapes(&again), shapes(&changed));
    // Nothing changed gives the file.
    assert_eq!(plain.with(&Change::default()).unwrap().text(), text("yolo-fastest").unwrap());
}

#[test]
fn mistakes_are_explained() {
    let config = detector([3, 64, 64], 3);
    let fails = |name: &str, parts: &[&str]| {
        let message = message(name, &config);
        assert!(parts.iter().all(|part| message.contains(part)), "{name}: {message}");
    };
    fails("yolov4:wdth=1", &["no setting \"wdth\"", "width, anchors, classes, size"]);
    fails("yolov4:width=0", &["width=0", "0.01 to 16"]);
    fails("yolov4:3", &["settings by name", "width"]);
    fails("yolov4:classes=4", &["classes=4", "3 classes of boxes"]);
    fails("yolov4:size=160", &["size=160", "images of 3x64x64"]);
    fails("yolov4:anchors=1x2", &["9 anchors", "1 are given"]);
    fails("yolov4:anchors=1x2/3", &["anchors=1x2/3", "10x14/23x27"]);
    fails("yolov5", &["no model \"yolov5\"", "yolov4-tiny"]);
    fails("cnn:8", &["cnn:8", "boxes are wanted", "yolov4-tiny"]);
    fails("resnet8+simkd:layer3,64,3,7,4,4", &["boxes are wanted"]);
    let message = |config| message("yolov4-tiny", &config);
    let sides = message(detector([3, 100, 64], 3));
    assert!(
        sides.contains("images of 100x64") && sides.contains("multiples of") && sides.contains("32"),
        "{sides}"
    );
    let classes = message(ModelConfig::classifier([3, 64, 64], 10));
    assert!(classes.contains("it gives boxes, and 10 classes are wanted"), "{classes}");
    let flat = message(ModelConfig { input: InputSpec::Features(12), head: Head::Boxes(3) });
    assert!(flat.contains("12 features"), "{flat}");
}

#[test]
fn a_cfg_of_one_s_own_is_a_name() {
    let dir = Scratch::new();
    let path = dir.file("mine.cfg");
    std::fs::write(&path, include_str!("../../../tests/fixtures/darknet/small.cfg")).unwrap();
    let name = path.display().to_string();
    assert_eq!(native_config(&name).unwrap(), Some(detector([3, 64, 48], 3)));
    let wide = format!("{name}:width=2,classes=7,size=32");
    let network = built(&wide);
    assert_eq!((network.name.as_str(), *network.config()), ("mine.cfg", detector([3, 32, 32], 7)));
    // Its text is what the settings made of the file.
    let text = network.description.as_deref().unwrap();
    assert!(text.contains("width=32\nheight=32\nchannels=3\n") && text.contains("classes=7"), "{text}");
    assert_eq!(network.params.find("layer0.conv.weight").unwrap().shape.dims(), [16, 3, 3, 3]);
    // In factors it is made of that text, and of no file.
    std::fs::remove_file(&path).unwrap();
    let factors = crate::models::build_from(&network, "mine.cfg+lowrank:0.3").unwrap();
    assert_eq!((factors.name.as_str(), factors.description.as_deref()), ("mine.cfg+lowrank:0.3", Some(text)));
    assert!(factors.params.find("layer0.conv.inner.weight").is_some());
    assert!(check_name(&name).unwrap_err().to_string().contains("mine.cfg"));
}
