use super::Cfg;
use crate::models::Network;
use crate::rng::Stream;

/// One of each layer.
const SMALL: &str = include_str!("../../../tests/fixtures/darknet/small.cfg");

fn message(text: &str) -> String {
    Cfg::parse("a.cfg", text, None).map(drop).unwrap_err().to_string()
}

/// It with values, and these as a file.
fn small() -> (Cfg, Network, Vec<u8>) {
    let cfg = Cfg::parse("small.cfg", SMALL, None).unwrap();
    let mut network = cfg.network().unwrap();
    network.params.initialise(3);
    let bytes = cfg.weights(&network).unwrap();
    (cfg, network, bytes)
}

/// The small network with a part of its text in another form.
fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    message(&SMALL.replacen(from, to, 1))
}

#[test]
fn shapes_and_heads_are_those_of_the_text() {
    let cfg = Cfg::parse("small.cfg", SMALL, None).unwrap();
    assert_eq!(cfg.input(), [3, 64, 48]);
    let heads: Vec<_> = cfg.heads().collect();
    assert_eq!(
        heads.iter().map(|(_, head)| (head.stride, head.classes)).collect::<Vec<_>>(),
        [([16, 16], 3), ([8, 8], 3)]
    );
    assert_eq!(
        (heads[0].1.mask.as_slice(), heads[0].1.anchors.as_slice()),
        (&[2, 3][..], &[[20.0, 24.0], [40.0, 36.0]][..])
    );
    let network = cfg.network().unwrap();
    assert_eq!(network.params.find("layer0.conv.weight").unwrap().shape.dims(), [8, 3, 3, 3]);
    assert_eq!(network.layer_of("layer0.conv.weight"), "layer0.conv");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (from, to, parts) in [
        ("[maxpool]", "[crnn]", &["line ", "[crnn]", "no such layer"][..]),
        ("filters=16", "filters=none", &["filters", "\"none\""]),
        ("classes=3", "classes=4", &["[yolo]", "filters=18"]),
        ("activation=leaky", "activation=wobbly", &["wobbly", "leaky"]),
        ("layers=-1,", "layers=-1,99,", &["layer 99", "no such layer before it"]),
        ("from=-2", "from=-4", &["[shortcut]", "gives"]),
        ("mask=2,3", "mask=2,7", &["anchor 7"]),
        ("anchors=", "anchors=1,", &["pairs"]),
        ("groups=2", "groups=3", &["[route]", "part 1 of 3", "none"]),
    ] {
        let message = changed(from, to);
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
    }
    assert!(message("[net]\nwidth=8").contains("found none"));
    assert!(message("[convolutional]\nfilters=8").contains("[net] as the first"));
    assert!(message("[net]\n[convolutional]\nfilters=8\n").contains("[yolo]"));
}

#[test]
fn weights_that_do_not_fit_are_refused_in_words() {
    let (cfg, _, bytes) = small();
    let fails = |bytes: &[u8]| {
        let mut other = cfg.network().unwrap();
        other.params.initialise(9);
        let before = other.params.named();
        let message = cfg.load_weights("a.weights", bytes, &mut other).unwrap_err().to_string();
        assert_eq!(other.params.named(), before, "half read: {message}");
        message
    };
    assert!(fails(&[bytes.clone(), vec![0; 40]].concat()).contains("10 more than"));
    assert!(fails(&bytes[..bytes.len() - 40]).contains("ends inside layer"));
    assert!(fails(&bytes[..bytes.len() - 1]).contains("cut off"));
    assert!(fails(b"safetensors here").contains("no .weights file"));
    assert!(fails(&[]).contains("16 or 20 bytes"));
    let mut damaged = bytes.clone();
    damaged[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(fails(&damaged).contains("layer0") && fails(&damaged).contains("NaN"));
    let mut late = bytes.clone();
    late[bytes.len() - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    assert!(fails(&late).contains("layer17") && fails(&late).contains("inf"));
    // A backbone for a network without values, and a file of one.
    let mut empty = cfg.network().unwrap();
    let message =
        cfg.load_weights("a.weights", &bytes[..20 + 4 * (32 + 216)], &mut empty).unwrap_err().to_string();
    assert!(message.contains("convolution 1") && message.contains("layer1."), "{message}");
    assert!(cfg.weights(&empty).unwrap_err().to_string().contains("no values of layer0"));
}

#[test]
fn weights_come_back_and_a_backbone_fills_the_layers_before_its_end() {
    let (cfg, network, bytes) = small();
    let mut whole = cfg.network().unwrap();
    let loaded = cfg.load_weights("a.weights", &bytes, &mut whole).unwrap();
    assert_eq!(whole.params.named(), network.params.named());
    // The first layer alone: bias, scale, mean, variance of 8 and 8 x 3 x 3 x 3 weights.
    let mut part = cfg.network().unwrap();
    part.params.initialise(9);
    let first = cfg.load_weights("a.weights", &bytes[..20 + 4 * (32 + 216)], &mut part).unwrap();
    assert!(first.convolutions == 1 && loaded.convolutions > 1);
    let weight = |of: &Network, name: &str| of.params.find(name).unwrap().values.clone();
    assert_eq!(weight(&part, "layer0.conv.weight"), weight(&network, "layer0.conv.weight"));
    assert_ne!(weight(&part, "layer1.conv.weight"), weight(&network, "layer1.conv.weight"));
    // Before 0.2 the count of images had 32 bits.
    let old = [
        &0i32.to_le_bytes()[..],
        &1i32.to_le_bytes(),
        &0i32.to_le_bytes(),
        &77u32.to_le_bytes(),
        &bytes[20..],
    ]
    .concat();
    assert_eq!(cfg.load_weights("old.weights", &old, &mut whole).unwrap().header.seen, 77);
}

#[test]
fn a_network_that_grows_without_end_is_refused() {
    let text = format!("[net]\n{}[yolo]\n", "[route]\nlayers=-1,-1\n".repeat(70));
    let text = text.replacen("[route]\nlayers=-1,-1\n", "[convolutional]\nfilters=8\n", 1);
    assert!(message(&text).contains("more than any host can hold"));
    // A weight that no host can hold is an error of the network.
    let wide =
        SMALL.replace("filters=16\nsize=3", "filters=1000000\nsize=300").replace("pad=1", "padding=200");
    assert!(Cfg::parse("a.cfg", &wide, None).and_then(|cfg| cfg.network().map(drop)).is_err());
}

/// Cut and flipped bytes are an error or another network, and never a panic.
#[test]
fn damaged_files_are_errors() {
    let (cfg, mut network, weights) = small();
    let mut random = Stream::new(5, "damage");
    let mut refused = 0;
    for round in 0..3000 {
        let mut text = SMALL.as_bytes().to_vec();
        for _ in 0..=round % 4 {
            let at = random.below(text.len());
            text[at] = random.below(256) as u8;
        }
        if round % 5 == 0 {
            text.truncate(random.below(text.len()));
        }
        let parsed = Cfg::parse("a.cfg", &String::from_utf8_lossy(&text), None);
        refused += usize::from(parsed.and_then(|cfg| cfg.network().map(drop)).is_err());
        let end = random.below(weights.len());
        let _ = cfg.load_weights("a.weights", &weights[..end], &mut network);
    }
    assert!((500..3000).contains(&refused), "{refused} of 3000 refused");
}
