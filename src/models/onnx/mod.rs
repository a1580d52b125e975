//! Image classifiers in ONNX files, run as frozen networks on limbeck's kernels; and detectors, where a darknet `.cfg` says how
//! boxes are read off the maps that the graph gives (`boxes`).
//!
//! `wire` and `proto` read the file, `graph` checks it, `lower` records it on a tape: what depends on the images as
//! limbeck's ops (`ops`, `window`, `shape`), the rest as numbers (`fold`). Floats of any width are computed as f32.
//!
//! Every node is a tap, under its own name and under that of the value it makes. A softmax at the very end is left out:
//! distillation starts from logits.
//!
//! A graph is run through twice: once without a device, which finds whatever cannot run, the classes and the weights; once for
//! each tape. A tape's shapes are known as it is recorded, so the shape arithmetic that exporters write down is done on the
//! spot, and there is no shape inference.

mod array;
mod boxes;
mod fold;
mod graph;
mod lower;
mod ops;
mod proto;
mod resize;
mod shape;
mod window;
mod wire;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use array::{Data, External, OnnxArray};
use graph::Graph;
use lower::Host;

use super::{
    Built, Head, IMAGES, InputSpec, LOGITS, MAX_CLASSES, ModelConfig, Module, Network, Outputs, Values,
};
use crate::files::Metadata;
use crate::nn::{Forward, Init, Mode, ParamBuilder, ParamId, ParamKind, Params};
use crate::ops::boxes::YoloHead;
use crate::ops::unary::Unary;
use crate::tape::{Tape, Tensor};
use crate::{Error, Result};

/// Versions of the operators that the families of classifiers were checked with.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=21;

/// Whether a file is meant to be ONNX: it has no magic number, so its name says.
pub fn is_onnx(path: impl AsRef<Path>) -> bool {
    path.as_ref().extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// Reads a classifier and the metadata that its file may have. `input` says the sizes that the export left open, and must
/// agree with those it did not.
///
/// # Errors
/// [`Error::File`] for a damaged file, and for a graph that limbeck cannot run, naming the node, its operator and version.
pub fn open(path: impl AsRef<Path>, input: Option<[usize; 3]>) -> Result<(Network, Metadata)> {
    let path = path.as_ref();
    from_bytes(path, &crate::files::read(path)?, input, &beside(path))
}

/// [`open`] for a model that is in memory; `name` is what messages and the network are called by. `external` gets the files
/// with weights, where the model has such, by their path beside it.
///
/// # Errors
/// As [`open`].
pub fn from_bytes(
    name: impl AsRef<Path>,
    bytes: &[u8],
    input: Option<[usize; 3]>,
    external: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<(Network, Metadata)> {
    read(name.as_ref(), bytes, None, input, external)
}

/// A detector whose outputs are maps (N, A (5 + C), H, W), off which these heads read boxes: of the outputs that which has a
/// head's channels, and the input's size by its stride. Other outputs are left out. `usual` stands for sizes that neither the
/// export nor `input` says.
///
/// # Errors
/// As [`open`], and where a head has no output, or several.
pub fn detector_from_bytes(
    name: impl AsRef<Path>,
    bytes: &[u8],
    heads: &[YoloHead],
    (input, usual): (Option<[usize; 3]>, [usize; 3]),
    external: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<(Network, Metadata)> {
    read(name.as_ref(), bytes, Some((heads, usual)), input, external)
}

fn read(
    path: &Path,
    bytes: &[u8],
    detector: Option<(&[YoloHead], [usize; 3])>,
    input: Option<[usize; 3]>,
    external: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<(Network, Metadata)> {
    let refuse = |message: String| Error::file(path, message);
    let graph = graph(path, bytes, &External::new(external))?;
    let metadata: Metadata = graph.metadata.iter().cloned().collect();
    if !OPSETS.contains(&graph.opset) {
        log::warn!(
            "{}: operators of version {}; limbeck was checked with {OPSETS:?}",
            path.display(),
            graph.opset
        );
    }
    let said = metadata.get("limbeck.input").and_then(|text| super::saved::parse_input(text).ok());
    let (heads, usual) = detector.unzip();
    let open = |usual: [usize; 3]| std::array::from_fn(|i| graph.input.dims[i + 1].unwrap_or(usual[i]));
    let input = image_size(&graph, input.or(said).or(usual.map(open))).map_err(refuse)?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let network = network(name, graph, input, heads).map_err(|e| refuse(e.to_string()))?;
    Ok((network, metadata))
}

/// Gets the files with weights from the folder of a model on disk, and from nowhere else.
pub fn beside(model: &Path) -> impl Fn(&str) -> Result<Vec<u8>> {
    move |location| array::read_beside(model, location)
}

/// The files that a classifier is made of: its own, and those beside it that hold its weights.
///
/// # Errors
/// [`Error::File`] for one that is damaged or not there.
pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let path = path.as_ref();
    let fetch = beside(path);
    let external = External::new(&fetch);
    graph(path, &crate::files::read(path)?, &external)?;
    let others = external.locations().into_iter().map(|location| array::folder_of(path).join(location));
    Ok(std::iter::once(path.to_path_buf()).chain(others).collect())
}

fn graph(path: &Path, bytes: &[u8], external: &External<'_>) -> Result<Graph> {
    let refuse = |message: String| Error::file(path, message);
    let model = proto::model(bytes)
        .map_err(|e| refuse(format!("expected an ONNX model: {e}; get the file again")))?;
    Graph::new(model, external).map_err(|e| refuse(format!("as an ONNX model: {e}")))
}

/// Channels, height and width, from the file where it says them.
fn image_size(graph: &Graph, said: Option<[usize; 3]>) -> Result<[usize; 3], String> {
    let mut sizes = [0; 3];
    for (i, what) in ["channels", "height", "width"].into_iter().enumerate() {
        sizes[i] = match (graph.input.dims[i + 1], said) {
            (Some(size), Some(said)) if size != said[i] => {
                let message = format!(
                    "the graph takes images of {what} {size}, not {}; use images of its size",
                    said[i]
                );
                return Err(message);
            }
            (Some(size), _) => size,
            (None, Some(said)) => said[i],
            (None, None) => {
                return Err(format!(
                    "the graph leaves the {what} of its images open; pass `input`, such as `input = 3x224x224`, or `data`"
                ));
            }
        };
    }
    match sizes.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
        Some(n) if (1..=super::config::MAX_INPUT).contains(&n) => Ok(sizes),
        _ => Err(format!("images of {sizes:?} are too large")),
    }
}

/// Runs through the graph once without a device, which finds everything that limbeck cannot do before anything is built.
fn network(name: String, mut graph: Graph, input: [usize; 3], heads: Option<&[YoloHead]>) -> Result<Network> {
    let outline = Outline::default();
    let [c, h, w] = input;
    let wanted = if heads.is_some() { graph.outputs.clone() } else { vec![graph.logits.clone()] };
    let outputs = lower::record(&graph, &wanted, &outline, &outline.tape.input("images", [1, c, h, w]))?;
    let (head, gives) = match (heads, &outputs[..]) {
        (None, [output]) => (Head::Classes(logits(output, 1)?.dims()[1]), Gives::Logits),
        (heads, outputs) => {
            let heads = heads.unwrap_or_default();
            let classes = heads.first().map_or(0, |head| head.classes);
            (Head::Boxes(classes), Gives::Boxes(boxes::matched(heads, [h, w], &wanted, outputs)?))
        }
    };
    let readers = outline.readers.into_inner();
    let (weights, read, taps) =
        (outline.weights.into_inner(), outline.read.into_inner(), outline.taps.into_inner());
    let mut params = Params::outline();
    let mut ids = BTreeMap::new();
    let mut root = ParamBuilder::new(&mut params);
    for (name, dims, kind) in weights.iter().map(|(name, (array, kind))| (name, array.dims.clone(), *kind)) {
        let init = Init::Constant(0.0);
        let id = match kind {
            ParamKind::Weight { decay } => root.weight(name, dims, init, decay),
            ParamKind::State => root.state(name, dims, init),
        };
        ids.insert(name.clone(), id);
    }
    if let Some(param) = params.too_large() {
        return Err(Error::config("weights", format!("{param} is too large for any host")));
    }
    for (name, (array, _)) in weights {
        if let Some(param) = params.find_mut(&name) {
            param.values = array.to_floats();
        }
        // The network has the values now; the graph needs them only where it computes with them.
        if !read.contains(&name)
            && let Some(constant) = graph.constants.get_mut(&name)
        {
            *constant = Rc::new(OnnxArray { dims: constant.dims.clone(), data: Data::Float(Vec::new()) });
        }
    }
    let config = ModelConfig { input: InputSpec::Image(input), head };
    let stages = match &gives {
        Gives::Logits => stages(&taps),
        Gives::Boxes(heads) => {
            boxes::read_by(heads, &wanted, &outputs, &taps).unwrap_or_else(|| stages(&taps))
        }
    };
    let preactivations = stages.iter().map(|stage| preactivation(&taps, stage)).collect();
    // The input of the classifier, where that is a linear layer, is not marked in a graph: the deepest map stands for it.
    let embedding = stages.last().cloned().unwrap_or_default();
    let module = Box::new(Onnx { graph, ids, readers, gives });
    Network::new(name, &config, Built { params, module, stages, preactivations, embedding })
}

/// (N, classes), also from (N, classes, 1, 1).
fn logits(output: &Tensor, batch: usize) -> Result<Tensor> {
    match output.dims() {
        [n, classes, rest @ ..]
            if *n == batch && (1..=MAX_CLASSES).contains(classes) && rest.iter().all(|&size| size == 1) =>
        {
            if rest.is_empty() {
                Ok(output.clone())
            } else {
                output.reshape([*n, *classes])
            }
        }
        _ => {
            let expected = format!("logits ({batch}, classes)");
            Err(Error::shape("the graph's output", expected, output.shape().to_string()))
        }
    }
}

/// Taps for feature methods of a classifier: the last node of each image size, from large to small.
fn stages(taps: &[(String, Tensor)]) -> Vec<String> {
    let mut stages: Vec<(usize, &str)> = Vec::new();
    for (name, tensor) in taps {
        let &[_, _, h, w] = tensor.dims() else { continue };
        match stages.iter_mut().find(|(area, _)| *area == h * w) {
            Some(stage) => stage.1 = name,
            None if h * w > 1 => stages.push((h * w, name)),
            None => {}
        }
    }
    stages.into_iter().map(|(_, name)| name.to_string()).collect()
}

/// What the activation that ends a stage reads; the stage itself where it does not end in one.
fn preactivation(taps: &[(String, Tensor)], stage: &str) -> String {
    let last = taps.iter().rfind(|(name, _)| name == stage);
    let read = last.and_then(|(_, tensor)| Some(tensor.producer::<Unary>()?.1.first()?.id()));
    let found = taps.iter().rfind(|(_, tensor)| Some(tensor.id()) == read);
    found.map_or(stage, |(name, _)| name).to_string()
}

/// The graph with its weights in a network's parameters.
struct Onnx {
    graph: Graph,
    ids: BTreeMap<String, ParamId>,
    /// The first node that reads each weight.
    readers: BTreeMap<String, String>,
    gives: Gives,
}

/// What the graph's outputs are.
enum Gives {
    Logits,
    /// Maps by name, with how boxes are read off them.
    Boxes(Vec<(String, Arc<YoloHead>)>),
}

impl Module for Onnx {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        let (x, host) = (x.get(IMAGES)?, RecordedHost { fx, ids: &self.ids });
        let record = |wanted: &[String]| lower::record(&self.graph, wanted, &host, x);
        match &self.gives {
            Gives::Logits => {
                let outputs = record(std::slice::from_ref(&self.graph.logits))?;
                let output =
                    outputs.first().ok_or_else(|| Error::config("ONNX graph", "it has no output"))?;
                Ok(Outputs::one(LOGITS, logits(output, x.dims()[0])?))
            }
            Gives::Boxes(heads) => {
                let wanted: Vec<String> = heads.iter().map(|(name, _)| name.clone()).collect();
                let maps = record(&wanted)?.into_iter().zip(heads);
                Ok(maps.fold(Outputs::default(), |outputs, (map, (name, head))| {
                    outputs.with_boxes(name, map, head.clone())
                }))
            }
        }
    }

    fn layer_of(&self, param: &str) -> Option<&str> {
        self.readers.get(param).map(String::as_str)
    }
}

/// Records on a network's tape.
struct RecordedHost<'a> {
    fx: &'a Forward<'a>,
    ids: &'a BTreeMap<String, ParamId>,
}

impl Host for RecordedHost<'_> {
    fn weight(&self, name: &str, array: &Rc<OnnxArray>, _: ParamKind) -> Result<Tensor> {
        let leaf = self.ids.get(name).map(|id| self.fx.param(*id)).transpose()?;
        match leaf.filter(|leaf| leaf.dims() == array.dims) {
            Some(leaf) => Ok(leaf),
            // A constant whose shape follows the batch.
            None => self.fx.tape().constant(array.dims.clone(), &array.to_floats()),
        }
    }

    fn read(&self, _: &str) {}

    fn by_batch(&self) -> bool {
        self.fx.mode() == Mode::Train
    }

    fn node(&self, label: &str, value: &str, record: &mut dyn FnMut() -> Result<Tensor>) -> Result<Tensor> {
        self.fx.layer_as(label, value, record)
    }
}

/// Takes notes of what the graph needs.
#[derive(Default)]
struct Outline {
    tape: Tape,
    weights: RefCell<BTreeMap<String, (Rc<OnnxArray>, ParamKind)>>,
    read: RefCell<BTreeSet<String>>,
    taps: RefCell<Vec<(String, Tensor)>>,
    readers: RefCell<BTreeMap<String, String>>,
    /// The node being recorded.
    reader: RefCell<String>,
}

impl Host for Outline {
    fn weight(&self, name: &str, array: &Rc<OnnxArray>, kind: ParamKind) -> Result<Tensor> {
        self.readers.borrow_mut().entry(name.to_string()).or_insert_with(|| self.reader.borrow().clone());
        self.weights.borrow_mut().entry(name.to_string()).or_insert_with(|| (array.clone(), kind));
        Ok(self.tape.input(name, array.dims.clone()))
    }

    fn read(&self, name: &str) {
        self.read.borrow_mut().insert(name.to_string());
    }

    fn node(&self, label: &str, _: &str, record: &mut dyn FnMut() -> Result<Tensor>) -> Result<Tensor> {
        *self.reader.borrow_mut() = label.to_string();
        let tensor = record()?;
        self.taps.borrow_mut().push((label.to_string(), tensor.clone()));
        Ok(tensor)
    }
}
