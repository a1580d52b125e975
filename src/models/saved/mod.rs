//! A trained network as one file: safetensors with PyTorch's names, and in its metadata what is needed to use it.
//!
//! Metadata: `limbeck.model` (`cnn:8,16,32`), `limbeck.input` (`3x32x32`, or `12` for flat features), the names of the
//! outputs as `limbeck.classes`, `limbeck.numbers` or, of a detector, `limbeck.box_classes` (`limbeck.tokens`, empty, of one
//! that predicts tokens), `limbeck.mean` and
//! `limbeck.std` (JSON lists), `limbeck.tokenizer` with the `tokenizer.json` of a network that reads texts, and `limbeck.cfg` with the text of a network that is described by a darknet `.cfg` of a user's
//! own. Files that another program wrote have none of it; [`Overrides`] says it then. State dicts
//! of PyTorch, ONNX graphs, which may have the same metadata, darknet's `.weights`, and the folders of transformers and
//! sentence-transformers are opened here too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

mod file;
mod folder;
mod start;
mod weights;

use super::{
    Head, InputSpec, ModelConfig, NameMap, Network, darknet, encoder, native_config, native_config_by, onnx,
    outline,
};
use crate::files::{self, Metadata, StoredTensor};
use crate::{Error, Result};
use file::{FileMetadata, parse_spec};

pub use folder::save_folder;
pub use start::{start_from, start_from_layers};

/// The metadata key of a tokenizer.
const TOKENIZER: &str = "limbeck.tokenizer";

/// A network that can be used as it is: architecture, weights, class names, normalisation.
pub struct Saved {
    /// The network with its weights.
    pub network: Network,
    /// What is known about its use.
    pub metadata: ModelMetadata,
}

/// What a network must be fed, and what its outputs are called.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelMetadata {
    /// Names of the outputs, in order: of classes, or of numbers.
    pub classes: Vec<String>,
    /// Mean of `pixel / 255` for each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of `pixel / 255` for each channel.
    pub std: Vec<f32>,
    /// Of a network that reads texts: the `tokenizer.json` of its tokens.
    pub tokenizer: Option<Arc<str>>,
}

/// What the user says about a file, over what the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Architecture.
    pub model: Option<String>,
    /// Channels, height and width.
    pub input: Option<[usize; 3]>,
    /// Class names.
    pub classes: Option<Vec<String>>,
    /// Mean of `pixel / 255` for each channel.
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of `pixel / 255` for each channel.
    pub std: Option<Vec<f32>>,
    /// Names of the file's tensors to names of the network's.
    pub map: Option<NameMap>,
}

/// Writes the network atomically: as safetensors, for a path that ends in `.weights` as darknet's files, with the `.cfg` and
/// the `.names` beside it, which OpenCV reads, as darknet does, and for an encoder of texts and a path without an ending as
/// [`save_folder`] does.
///
/// # Errors
/// [`Error::File`] where the file can't be written; for `.weights` also where another network's `.cfg` or `.names` is in the
/// way, and [`Error::Config`] for a network that is none of darknet's, or whose pixels are not from 0 to 1.
pub fn save(path: impl AsRef<Path>, network: &Network, metadata: &ModelMetadata) -> Result<()> {
    if path.as_ref().extension().is_some_and(|ending| ending.eq_ignore_ascii_case("weights")) {
        return weights::save(path.as_ref(), network, metadata);
    }
    if matches!(network.input(), InputSpec::Tokens { .. }) && path.as_ref().extension().is_none() {
        return save_folder(path, network, metadata);
    }
    let tensors = network.params.named();
    let stored: Vec<StoredTensor<'_>> = tensors.iter().map(StoredTensor::from).collect();
    files::write_safetensors(path, &stored, &strings(network, metadata))
}

/// The bytes that [`save`] writes.
///
/// # Errors
/// [`Error::File`] for a network that no file can hold.
pub fn to_bytes(network: &Network, metadata: &ModelMetadata) -> Result<Vec<u8>> {
    let tensors = network.params.named();
    let stored: Vec<StoredTensor<'_>> = tensors.iter().map(StoredTensor::from).collect();
    files::encode_safetensors(&network.name, &stored, &strings(network, metadata))
}

fn strings(network: &Network, metadata: &ModelMetadata) -> Metadata {
    let outputs = format!("limbeck.{}", network.head().key());
    let mut all = Metadata::from([
        ("limbeck.version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("limbeck.model".to_string(), network.name.clone()),
        ("limbeck.input".to_string(), network.input().to_string()),
        (outputs, serde_json::json!(metadata.classes).to_string()),
        ("limbeck.mean".to_string(), serde_json::json!(metadata.mean).to_string()),
        ("limbeck.std".to_string(), serde_json::json!(metadata.std).to_string()),
    ]);
    if let Some(text) = &network.description {
        all.insert("limbeck.cfg".to_string(), text.to_string());
    }
    if let Some(text) = &metadata.tokenizer {
        all.insert(TOKENIZER.to_string(), text.to_string());
    }
    all
}

/// Reads a network that [`save`] wrote, or one of another program (safetensors, `.pth`, `.onnx`, darknet's `.weights`, a folder of
/// transformers) with what `overrides` adds.
///
/// Layers of a `.weights` file are those of its `model`, the path of a `.cfg` or a name such as `yolov4`, or of the `.cfg`
/// that has its name and lies beside it. Names of its classes are those of the `.names` beside it, or of a `coco.names` there
/// that has as many, or else numbers. A name without `classes=` is for as many as the file's length says.
///
/// A folder is that of an encoder of texts (BERT, MiniLM, DistilBERT, RoBERTa), with `config.json`, `model.safetensors` or
/// `pytorch_model.bin`, and, of sentence vectors, `modules.json`; the file of its weights stands for it. It says all; `overrides` may only name its classes. Where it says neither
/// how tokens are pooled nor a classifier, it gives the mean of the tokens, as sentence-transformers does.
///
/// # Errors
/// [`Error::File`] for a damaged file, weights that are not finite, and tensors that do not fit the architecture;
/// [`Error::Config`] naming what neither the file nor `overrides` says.
pub fn open(path: impl AsRef<Path>, overrides: &Overrides) -> Result<Saved> {
    open_with(path, overrides, &Overrides::default())
}

/// [`open`], with `fallback` for what neither `overrides` nor the file says, such as a data set's classes.
///
/// # Errors
/// As [`open`].
pub fn open_with(path: impl AsRef<Path>, overrides: &Overrides, fallback: &Overrides) -> Result<Saved> {
    let path = path.as_ref();
    if path.is_dir() {
        return folder::open(path, overrides);
    }
    if let Some(folder) = folder::around(path).filter(|_| overrides.model.is_none()) {
        return folder::open(folder, overrides);
    }
    let bytes = files::read(path)?;
    if darknet::is_weights(path) {
        let beside = |name: &str| files::read(path.with_file_name(name));
        return weights::from_bytes(path, &bytes, overrides, fallback, &beside);
    }
    from_bytes(path, &bytes, overrides, fallback, &onnx::beside(path))
}

/// [`open_with`] for a file that is in memory; `name` is what messages call it, and ends in `.onnx` or `.weights` where it is
/// such a file. `external` gets the files with the weights of such a graph, and the `.cfg` and `.names` of such weights, by
/// their path beside it; [`alone`] where there are none.
///
/// # Errors
/// As [`open`].
pub fn from_bytes(
    name: impl AsRef<Path>,
    bytes: &[u8],
    overrides: &Overrides,
    fallback: &Overrides,
    external: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Saved> {
    let path = name.as_ref();
    if onnx::is_onnx(path) {
        return onnx_from_bytes(path, bytes, overrides, fallback, external);
    }
    if darknet::is_weights(path) {
        return weights::from_bytes(path, bytes, overrides, fallback, external);
    }
    let (mut tensors, metadata) = files::decode_weights(path, bytes)?;
    if let Some(map) = &overrides.map {
        map.apply(&mut tensors);
    }
    let file = FileMetadata { path, metadata: &metadata };
    let text = |text: &str| Ok(text.to_string());
    let model = file.one("model", "architecture", [&overrides.model, &fallback.model], text)?;
    let description =
        file.description(&model, !metadata.contains_key("limbeck.model") || overrides.model.is_some())?;
    let native = native_config_by(&model, description).map_err(|e| Error::file(path, e))?;
    let image = |given: &Option<[usize; 3]>| given.map(InputSpec::Image);
    let usual = native.map(|native| native.input).or(image(&fallback.input));
    let given = [&image(&overrides.input), &usual];
    let input = file.one("input", "input size", given, |text| {
        parse_spec(text).map_err(|e| Error::file(path, format!("metadata limbeck.input: {e}")))
    })?;
    let (head, names) = file.head(
        [&overrides.classes, &fallback.classes],
        native.map(|native| native.head).or(file.tokens(input)),
    )?;
    let metadata = match head {
        Head::Boxes(_) => file.metadata(overrides, &plain(fallback, input), input, names)?,
        _ => file.metadata(overrides, fallback, input, names)?,
    };
    let config = ModelConfig { input, head };
    let mut network = outline(&model, &config, description).map_err(|e| Error::file(path, e))?;
    let what = format!("{} as {model} for {} {}", path.display(), head.width(), head.noun());
    network.params.load(&tensors)?.strict(&what)?;
    Ok(Saved { network, metadata })
}

/// `fallback` for a detector, whose pixels are from 0 to 1 unless its file says otherwise.
fn plain(fallback: &Overrides, input: InputSpec) -> Overrides {
    let channels = input.dims().first().copied().unwrap_or(0);
    Overrides { mean: Some(vec![0.0; channels]), std: Some(vec![1.0; channels]), ..fallback.clone() }
}

/// The files that a model is made of: its own, and those beside it that say its layers or hold its weights.
///
/// # Errors
/// [`Error::File`] for an ONNX file that is damaged.
pub fn files_of(path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let path = path.as_ref();
    if path.is_dir() {
        return encoder::folder::files_of(path);
    }
    if let Some(folder) = folder::around(path) {
        return encoder::folder::files_of(folder);
    }
    if onnx::is_onnx(path) {
        return onnx::files(path);
    }
    let mut all = vec![path.to_path_buf()];
    if darknet::is_weights(path) {
        let beside = ["cfg", "names"].into_iter().flat_map(|ending| weights::companions(path, ending));
        let beside = beside.chain([weights::COCO.to_string()]);
        all.extend(beside.map(|name| path.with_file_name(name)).filter(|file| file.is_file()));
    }
    Ok(all)
}

/// For a model in memory that has no files with weights beside it: refuses to get one.
///
/// # Errors
/// [`Error::File`] always.
pub fn alone(location: &str) -> Result<Vec<u8>> {
    Err(Error::file(location, "this file holds weights, and the model was given without it; give both"))
}

/// An ONNX file brings its architecture, and says how many classes there are.
fn onnx_from_bytes(
    path: &Path,
    bytes: &[u8],
    overrides: &Overrides,
    fallback: &Overrides,
    external: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Saved> {
    if overrides.map.is_some() {
        return Err(Error::file(path, "an ONNX file brings its own names; leave out `map`"));
    }
    if let Some(model) = &overrides.model {
        return onnx_detector(path, bytes, model, (overrides, fallback), external);
    }
    let (network, metadata) = onnx::from_bytes(path, bytes, overrides.input.or(fallback.input), external)?;
    let file = FileMetadata { path, metadata: &metadata };
    let numbered: Vec<String> = (0..network.head().width()).map(|class| class.to_string()).collect();
    let named = fallback.classes.clone().filter(|names| names.len() == network.head().width());
    let classes = file.classes([&overrides.classes, &Some(named.unwrap_or(numbered))])?;
    if classes.len() != network.head().width() {
        let message = format!("the graph has {} classes, not {}", network.head().width(), classes.len());
        return Err(Error::file(path, message));
    }
    let metadata = file.metadata(overrides, fallback, network.input(), classes)?;
    Ok(Saved { network, metadata })
}

/// A graph whose outputs are maps off which the heads of the network called `model` read boxes.
fn onnx_detector(
    path: &Path,
    bytes: &[u8],
    model: &str,
    (overrides, fallback): (&Overrides, &Overrides),
    external: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Saved> {
    let fail = || {
        let message = "an ONNX file brings its own architecture; leave out `model`, or pass the .cfg or name of a detector, whose \
                       heads say how boxes are read off its outputs";
        Error::file(path, message)
    };
    let native =
        native_config(model)?.filter(|native| matches!(native.head, Head::Boxes(_))).ok_or_else(fail)?;
    let classes = overrides.classes.as_ref().map_or(native.head.width(), Vec::len);
    let config = ModelConfig { head: Head::Boxes(classes), ..native };
    let cfg = darknet::Cfg::of(&outline(model, &config, None)?)?;
    let heads: Vec<_> = cfg.heads().map(|(_, head)| head.clone()).collect();
    let sizes = (overrides.input, cfg.input());
    let (network, metadata) = onnx::detector_from_bytes(path, bytes, &heads, sizes, external)?;
    let file = FileMetadata { path, metadata: &metadata };
    let (_, names) = file.head([&overrides.classes, &fallback.classes], Some(config.head))?;
    if names.len() != classes {
        return Err(Error::file(
            path,
            format!("its heads are of {classes} classes, and it names {}", names.len()),
        ));
    }
    let metadata = file.metadata(overrides, &plain(fallback, network.input()), network.input(), names)?;
    Ok(Saved { network, metadata })
}

/// `3x32x32`.
pub fn parse_input(text: &str) -> Result<[usize; 3]> {
    let sizes: Option<Vec<usize>> =
        text.split('x').map(|n| n.trim().parse().ok().filter(|&n| n > 0)).collect();
    sizes.and_then(|sizes| sizes.try_into().ok()).ok_or_else(|| {
        let message = format!("expected channels x height x width, such as 3x32x32, got \"{text}\"");
        Error::config("input", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;
    use crate::models::build;

    #[test]
    fn what_is_saved_comes_back() {
        let dir = Scratch::new();
        let path = dir.file("saved.safetensors");
        let mut network = build("cnn:2,3", &ModelConfig::classifier([1, 8, 8], 3)).unwrap();
        network.params.initialise(7);
        let classes = ["a", "b \"quoted\"", "c"].map(String::from).to_vec();
        let metadata = ModelMetadata { classes, mean: vec![0.1], std: vec![0.3], ..Default::default() };
        save(&path, &network, &metadata).unwrap();
        let none = Overrides::default();
        assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&network, &metadata).unwrap());
        let bytes = to_bytes(&network, &metadata).unwrap();
        let named = from_bytes("page.safetensors", &bytes, &none, &none, &alone).unwrap();
        assert!(named.metadata == metadata && named.network.params.named() == network.params.named());
        let again = open(&path, &Overrides::default()).unwrap();
        assert_eq!((again.network.name.as_str(), &again.metadata), ("cnn:2,3", &metadata));
        let same = |(a, b): (&crate::nn::Param, &crate::nn::Param)| a.values == b.values && a.name == b.name;
        assert!(network.params.iter().zip(again.network.params.iter()).all(same));
        let other = Overrides { model: Some("cnn:2,4".into()), ..Default::default() };
        let message = open(&path, &other).err().expect("an error").to_string();
        for part in ["conv2.weight", "cnn:2,4"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    #[test]
    fn input_sizes() {
        assert_eq!(parse_input("3x32x32").unwrap(), [3, 32, 32]);
        for wrong in ["", "3x32", "3x0x32", "axbxc", "3x32x32x1"] {
            assert!(parse_input(wrong).unwrap_err().to_string().contains("3x32x32"), "{wrong}");
        }
    }
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod detector_tests;
