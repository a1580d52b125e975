use std::fs;

use super::*;
use crate::files::scratch::Scratch;

/// A message of fields: length-delimited bytes, or a number.
#[derive(Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn int(mut self, number: u64, value: i64) -> Self {
        self.varint(number << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, number: u64, value: impl AsRef<[u8]>) -> Self {
        self.varint(number << 3 | 2);
        self.varint(value.as_ref().len() as u64);
        self.0.extend_from_slice(value.as_ref());
        self
    }

    fn message(self, number: u64, value: Message) -> Self {
        self.bytes(number, value.0)
    }
}

fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> Message {
    let node = inputs.iter().fold(Message::default(), |node, input| node.bytes(1, input));
    node.bytes(2, output).bytes(3, name).bytes(4, op)
}

fn ints(name: &str, values: &[i64]) -> Message {
    values.iter().fold(Message::default().bytes(1, name), |message, &value| message.int(8, value))
}

fn weight(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = dims.iter().fold(Message::default(), |tensor, &dim| tensor.int(1, dim));
    tensor.int(2, 1).bytes(8, name).bytes(9, raw)
}

fn shape(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Message::default().int(1, values.len() as i64).int(2, 7).bytes(8, name).bytes(9, raw)
}

/// Images of 3x4x4, a batch left open with 0; then these nodes and constants, and the output `y`.
fn model(batch: i64, nodes: &[Message], constants: &[Message]) -> Vec<u8> {
    model_of([batch, 3, 4, 4], nodes, constants)
}

fn model_of(sizes: [i64; 4], nodes: &[Message], constants: &[Message]) -> Vec<u8> {
    let sizes = sizes
        .iter()
        .fold(Message::default(), |shape, &size| shape.message(1, Message::default().int(1, size)));
    let kind = Message::default().message(1, Message::default().int(1, 1).message(2, sizes));
    let mut graph = Message::default();
    for node in nodes {
        graph = graph.message(1, node.clone());
    }
    for constant in constants {
        graph = graph.message(5, constant.clone());
    }
    graph = graph.message(11, Message::default().bytes(1, "x").message(2, kind));
    graph = graph.message(12, Message::default().bytes(1, "y"));
    let opset = Message::default().bytes(1, "").int(2, 17);
    Message::default().int(1, 8).message(7, graph).message(8, opset).0
}

/// What the reader says of these bytes, as a file.
impl Scratch {
    fn open(&self, bytes: &[u8]) -> Result<Network> {
        let path = self.file("model.onnx");
        fs::write(&path, bytes).unwrap();
        Ok(open(path, None)?.0)
    }

    fn refused(&self, bytes: &[u8]) -> String {
        self.open(bytes).err().expect("an error").to_string()
    }
}

/// Convolution, relu, mean, linear layer: what a small classifier is made of.
fn classifier() -> (Vec<Message>, Vec<Message>) {
    let nodes = vec![
        node("Conv", "conv", &["x", "w"], "c"),
        node("Relu", "relu", &["c"], "r"),
        node("GlobalAveragePool", "pool", &["r"], "p"),
        node("Flatten", "", &["p"], "f"),
        node("Gemm", "fc", &["f", "fc.weight", "fc.bias"], "y")
            .message(5, Message::default().bytes(1, "transB").int(3, 1)),
    ];
    let constants = vec![
        weight("w", &[2, 3, 1, 1], &[0.5; 6]),
        weight("fc.weight", &[5, 2], &[0.25; 10]),
        weight("fc.bias", &[5], &[0.0; 5]),
    ];
    (nodes, constants)
}

#[test]
fn a_classifier_is_read() {
    let (nodes, constants) = classifier();
    let network = Scratch::new().open(&model(0, &nodes, &constants)).unwrap();
    assert_eq!((network.head().width(), network.input().dims()), (5, &[3, 4, 4][..]));
    assert_eq!(network.params.trainable_elements(), 21);
    assert_eq!(network.stages, ["relu"]);
    assert_eq!(network.params.find("fc.weight").unwrap().values, [0.25; 10]);
}

#[test]
fn sizes_that_the_export_left_open_come_from_the_user() {
    let (scratch, (nodes, constants)) = (Scratch::new(), classifier());
    let message = scratch.refused(&model_of([0, 3, 0, 0], &nodes, &constants));
    assert!(message.contains("height") && message.contains("`input = 3x224x224`"), "{message}");
    let network = open(scratch.file("model.onnx"), Some([3, 6, 5])).unwrap().0;
    assert_eq!(network.input().dims(), [3, 6, 5]);
}

#[test]
fn what_cannot_run_is_named_with_operator_and_version() {
    let scratch = Scratch::new();
    let (nodes, constants) = classifier();
    let with = |at: usize, other: Message| {
        let mut nodes = nodes.clone();
        nodes[at] = other;
        scratch.refused(&model(0, &nodes, &constants))
    };
    let pads = |values: &[i64]| node("Conv", "conv", &["x", "w"], "c").message(5, ints("pads", values));
    for (message, parts) in [
        (with(1, node("Einsum", "strange", &["c"], "r")), ["Einsum", "strange", "17", "not supported"]),
        (
            with(1, node("Relu", "relu", &["c"], "r").bytes(7, "com.example")),
            ["com.example::Relu", "relu", "17", "not supported"],
        ),
        (with(1, node("Relu", "relu", &["nothing"], "r")), ["Relu", "nothing", "no node before it", ""]),
        (with(1, node("Relu", "relu", &["c"], "c")), ["made twice", "relu", "", ""]),
        (with(0, pads(&[1, -1, 0, 0])), ["Conv", "pads", "[1, -1, 0, 0]", "17"]),
        (with(0, node("Conv", "conv", &["x", "fc.bias"], "c")), ["Conv", "[5]", "17", ""]),
        (with(4, node("Relu", "last", &["r"], "y")), ["logits (1, classes)", "[1, 2, 4, 4]", "", ""]),
    ] {
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    let nan = weight("w", &[2, 3, 1, 1], &[f32::NAN; 6]);
    let message = scratch.refused(&model(0, &nodes, &[nan, constants[1].clone(), constants[2].clone()]));
    assert!(message.contains("\"w\" holds NaN"), "{message}");
    let short = weight("w", &[2, 3, 1, 1], &[0.5; 5]);
    let message = scratch.refused(&model(0, &nodes, &[short, constants[1].clone(), constants[2].clone()]));
    assert!(message.contains("[2, 3, 1, 1]") && message.contains("found 5"), "{message}");
}

#[test]
fn weights_outside_the_folder_are_not_read() {
    let scratch = Scratch::new();
    let (nodes, constants) = classifier();
    let elsewhere = |location: &str, length: &str| {
        let entry = |key: &str, value: &str| Message::default().bytes(1, key).bytes(2, value);
        let tensor = [2, 3, 1, 1].iter().fold(Message::default(), |tensor, &dim| tensor.int(1, dim));
        let tensor = tensor.int(2, 1).bytes(8, "w").int(14, 1).message(13, entry("location", location));
        let tensor = tensor.message(13, entry("offset", "4")).message(13, entry("length", length));
        model(0, &nodes, &[tensor, constants[1].clone(), constants[2].clone()])
    };
    fs::write(scratch.file("w.data"), [0u8; 28]).unwrap();
    assert!(scratch.open(&elsewhere("w.data", "24")).is_ok());
    // The same out of memory, with the weights from wherever the caller has them.
    let fetch = |location: &str| match location {
        "w.data" => Ok(vec![0u8; 28]),
        _ => Err(Error::file(location, "is not here")),
    };
    let read = |bytes: &[u8]| from_bytes("page.onnx", bytes, None, &fetch);
    let (network, _) = read(&elsewhere("w.data", "24")).unwrap();
    assert_eq!(network.params.named(), scratch.open(&elsewhere("w.data", "24")).unwrap().params.named());
    for (location, part) in [("v.data", "is not here"), ("../w.data", "outside")] {
        let message = read(&elsewhere(location, "24")).err().unwrap().to_string();
        assert!(message.contains(part) && message.contains("page.onnx"), "{part} in {message}");
    }
    for (location, length, part) in [
        ("w.data", "25", "28 bytes"),
        ("w.data", "18446744073709551615", "28 bytes"),
        ("missing.data", "24", "missing.data"),
        ("../w.data", "24", "outside"),
        ("/etc/passwd", "24", "outside"),
        ("a/../../w.data", "24", "outside"),
        ("", "24", "outside"),
    ] {
        let message = scratch.refused(&elsewhere(location, length));
        assert!(message.contains(part) && message.contains("\"w\""), "{part} in {message}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", scratch.file("link.data")).unwrap();
        assert!(scratch.refused(&elsewhere("link.data", "24")).contains("outside"));
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let scratch = Scratch::new();
    let (nodes, constants) = classifier();
    let good = model(0, &nodes, &constants);
    for end in 1..good.len() {
        // A cut may fall behind the last thing that is needed, but never panics.
        let _ = scratch.open(&good[..end]);
    }
    for at in 0..good.len() {
        for flip in [0x01, 0x08, 0x80, 0xff] {
            let mut wrong = good.clone();
            wrong[at] ^= flip;
            let _ = scratch.open(&wrong);
        }
    }
}

#[test]
fn damage_to_exported_files_is_never_a_panic() {
    let scratch = Scratch::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    for name in ["efficientnet-script-13", "mobilenet-script-13", "resnet-dynamo-18"] {
        let good = fs::read(folder.join(format!("{name}.onnx"))).unwrap();
        for at in (0..good.len()).step_by(3) {
            let mut wrong = good.clone();
            wrong[at] ^= 1 << (at % 8);
            let _ = scratch.open(&wrong);
        }
    }
}

#[test]
fn a_graph_that_needs_its_exported_batch_says_so() {
    // Rows and batch change places, so that a shape with the batch of one in it cannot be read for another.
    let swap = |from: &str, to: &str| node("Transpose", to, &[from], to);
    let nodes = [
        swap("x", "t").message(5, ints("perm", &[1, 0, 2, 3])),
        node("Reshape", "column", &["t", "target"], "c"),
        swap("c", "y").message(5, ints("perm", &[1, 0])),
    ];
    let bytes = model(1, &nodes, &[shape("target", &[48, 1])]);
    let graph = Graph::new(proto::model(&bytes).unwrap(), &External::new(&|_| Ok(Vec::new()))).unwrap();
    let record = |batch: usize| {
        let outline = Outline::default();
        let wanted = std::slice::from_ref(&graph.logits);
        lower::record(&graph, wanted, &outline, &outline.tape.input("images", [batch, 3, 4, 4]))
    };
    assert_eq!(record(1).unwrap()[0].dims(), [1, 48]);
    let message = record(2).unwrap_err().to_string();
    for part in ["column", "batches of 1", "dynamic batch axis", "`batch_size = 1`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn constants_do_not_grow_without_end() {
    let scratch = Scratch::new();
    let (mut nodes, mut constants) = classifier();
    constants.push(shape("huge", &[1 << 40]));
    nodes.insert(0, node("ConstantOfShape", "big", &["huge"], "z"));
    let message = scratch.refused(&model(0, &nodes, &constants));
    assert!(message.contains("ConstantOfShape") && message.contains("far larger"), "{message}");
}

#[test]
fn shapes_are_folded() {
    // x.reshape(x.shape[0], -1), as exporters write it.
    let nodes = [
        node("Shape", "s", &["x"], "shape"),
        node("Gather", "g", &["shape", "zero"], "n"),
        node("Unsqueeze", "u", &["n", "axes"], "n1"),
        node("Concat", "cat", &["n1", "minus"], "target")
            .message(5, Message::default().bytes(1, "axis").int(3, 0)),
        node("Reshape", "flat", &["x", "target"], "y"),
    ];
    let zero = Message::default().int(2, 7).bytes(8, "zero").bytes(9, 0i64.to_le_bytes());
    let constants = [zero, shape("axes", &[0]), shape("minus", &[-1])];
    assert_eq!(Scratch::new().open(&model(0, &nodes, &constants)).unwrap().head().width(), 48);
}

/// A graph that enlarges images, by these settings and constants.
fn resized(attributes: &[Message], inputs: &[&str], constants: &[Message]) -> Vec<u8> {
    let attributes = attributes.iter().cloned();
    let resize = attributes.fold(node("Resize", "up", inputs, "u"), |node, more| node.message(5, more));
    let pool = node("GlobalAveragePool", "pool", &["u"], "p");
    model(0, &[resize, pool, node("Flatten", "flat", &["p"], "y")], constants)
}

fn text(name: &str, value: &str) -> Message {
    Message::default().bytes(1, name).bytes(4, value)
}

#[test]
fn images_are_enlarged_by_repeated_pixels_alone() {
    let dir = Scratch::new();
    let scales = |by: f32| weight("s", &[4], &[1.0, 1.0, by, by]);
    let by_scales = ["x", "", "s"];
    let floor = [text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
    // The usual rule of PyTorch's exporter, the operator's own, and sizes in place of scales.
    dir.open(&resized(&floor, &by_scales, &[scales(3.0)])).unwrap();
    dir.open(&resized(&[], &by_scales, &[scales(2.0)])).unwrap();
    dir.open(&resized(&floor, &["x", "", "", "n"], &[shape("n", &[1, 3, 8, 12])])).unwrap();
    // Half a pixel to the left is the next one's, from the third on.
    let left = [text("coordinate_transformation_mode", "asymmetric")];
    for (attributes, by) in [(&left[..], 3.0), (&floor[..], 1.5), (&[text("mode", "linear")][..], 2.0)] {
        let message = dir.refused(&resized(attributes, &by_scales, &[scales(by)]));
        assert!(message.contains("Resize node \"up\"") && message.contains("expected"), "{message}");
    }
    assert!(dir.refused(&resized(&floor, &["x"], &[])).contains("four scales or sizes"));
    let more = shape("n", &[1, 6, 8, 8]);
    assert!(dir.refused(&resized(&floor, &["x", "", "", "n"], &[more])).contains("whole factor"));
}
