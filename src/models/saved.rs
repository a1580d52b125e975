//! A trained network as one file: safetensors with PyTorch's names, and in its metadata what is needed to use it.
//!
//! Metadata: `limbeck.model` (`cnn:8,16,32`), `limbeck.input` (`3x32x32`, or `12` for flat features), the names of the
//! outputs as `limbeck.classes` or `limbeck.numbers`, `limbeck.mean` and
//! `limbeck.std` (JSON lists). Files that another program wrote have none of it; [`Overrides`] says it then. State dicts
//! of PyTorch and ONNX graphs are opened here too; the latter may have the same metadata.

use std::path::Path;

use super::{Head, InputSpec, ModelConfig, NameMap, Network, onnx, outline};
use crate::files::{self, Metadata, StoredTensor};
use crate::{Error, Result};

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

/// Writes the network atomically.
///
/// # Errors
/// [`Error::File`] where the file can't be written.
pub fn save(path: impl AsRef<Path>, network: &Network, metadata: &ModelMetadata) -> Result<()> {
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
    Metadata::from([
        ("limbeck.version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("limbeck.model".to_string(), network.name.clone()),
        ("limbeck.input".to_string(), network.input().to_string()),
        (outputs, serde_json::json!(metadata.classes).to_string()),
        ("limbeck.mean".to_string(), serde_json::json!(metadata.mean).to_string()),
        ("limbeck.std".to_string(), serde_json::json!(metadata.std).to_string()),
    ])
}

/// Reads a network that [`save`] wrote, or one of another program (safetensors, `.pth`, `.onnx`) with what `overrides`
/// adds.
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
    from_bytes(path, &files::read(path)?, overrides, fallback, &onnx::beside(path))
}

/// [`open_with`] for a file that is in memory; `name` is what messages call it, and ends in `.onnx` where it is such a graph.
/// `external` gets the files with the weights of such a graph by their path beside it; [`alone`] where there are none.
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
    let (mut tensors, metadata) = files::decode_weights(path, bytes)?;
    if let Some(map) = &overrides.map {
        map.apply(&mut tensors);
    }
    let file = FileMetadata { path, metadata: &metadata };
    let text = |text: &str| Ok(text.to_string());
    let model = file.one("model", "architecture", [&overrides.model, &fallback.model], text)?;
    let image = |given: &Option<[usize; 3]>| given.map(InputSpec::Image);
    let given = [&image(&overrides.input), &image(&fallback.input)];
    let input = file.one("input", "input size", given, |text| {
        parse_spec(text).map_err(|e| Error::file(path, format!("metadata limbeck.input: {e}")))
    })?;
    let (head, names) = file.head([&overrides.classes, &fallback.classes])?;
    let metadata = file.metadata(overrides, fallback, input, names)?;
    let config = ModelConfig { input, head };
    let mut network = outline(&model, &config, None).map_err(|e| Error::file(path, e))?;
    let what = format!("{} as {model} for {} {}", path.display(), head.width(), head.noun());
    network.params.load(&tensors)?.strict(&what)?;
    Ok(Saved { network, metadata })
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
    for (given, setting) in [(overrides.model.is_some(), "model"), (overrides.map.is_some(), "map")] {
        if given {
            let message =
                format!("an ONNX file brings its own architecture and names; leave out `{setting}`");
            return Err(Error::file(path, message));
        }
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

/// What a file's metadata says.
struct FileMetadata<'a> {
    path: &'a Path,
    metadata: &'a Metadata,
}

impl FileMetadata<'_> {
    /// What the network gives, and the names of it: numbers where the file says so, or else classes.
    fn head(&self, said: [&Option<Vec<String>>; 2]) -> Result<(Head, Vec<String>)> {
        let numbers = Head::Numbers(0).key();
        if said[0].is_none() && self.metadata.contains_key(&format!("limbeck.{numbers}")) {
            let names =
                self.one(numbers, "numbers", [&None, &None], |text| list(self.path, numbers, text))?;
            return Ok((Head::Numbers(names.len()), names));
        }
        let names = self.classes(said)?;
        Ok((Head::Classes(names.len()), names))
    }

    /// The names of the classes.
    fn classes(&self, given: [&Option<Vec<String>>; 2]) -> Result<Vec<String>> {
        self.one("classes", "classes", given, |text| list(self.path, "classes", text))
    }

    /// How the network is fed, checked.
    fn metadata(
        &self,
        overrides: &Overrides,
        fallback: &Overrides,
        input: InputSpec,
        classes: Vec<String>,
    ) -> Result<ModelMetadata> {
        let path = self.path;
        let read = |text: &str| list(path, "mean", text);
        if let InputSpec::Features(_) = input {
            return Ok(ModelMetadata { classes, mean: Vec::new(), std: Vec::new() });
        }
        let mean: Vec<f32> = self.one("mean", "mean", [&overrides.mean, &fallback.mean], read)?;
        let read = |text: &str| list(path, "std", text);
        let std: Vec<f32> = self.one("std", "standard deviation", [&overrides.std, &fallback.std], read)?;
        check_metadata(path, input.dims()[0], &classes, &mean, &std)?;
        Ok(ModelMetadata { classes, mean, std })
    }

    /// One fact: from the user, else from the file, else from the fallback.
    fn one<T: Clone>(
        &self,
        key: &str,
        what: &str,
        [user, fallback]: [&Option<T>; 2],
        parse: impl Fn(&str) -> Result<T>,
    ) -> Result<T> {
        if let Some(value) = user {
            return Ok(value.clone());
        }
        if let Some(text) = self.metadata.get(&format!("limbeck.{key}")) {
            return parse(text);
        }
        fallback.clone().ok_or_else(|| {
            let hint = match key {
                "model" => "pass `model` with the one it was made with, such as `model = resnet20`",
                "input" => {
                    "pass `input`, such as `input = 3x32x32`, or `data` with the data set it was trained on"
                }
                "classes" => {
                    "pass `classes` with their names or number, or `data` with the data set it was trained on"
                }
                "mean" => "pass `mean` and `std`, or `data` with the data set it was trained on",
                _ => "pass `std`, or `data` with the data set it was trained on",
            };
            Error::file(self.path, format!("the file does not say its {what} (limbeck.{key}); {hint}"))
        })
    }
}

/// Refuses what no network can be built for or fed with.
fn check_metadata(path: &Path, channels: usize, classes: &[String], mean: &[f32], std: &[f32]) -> Result<()> {
    if classes.is_empty() {
        return Err(Error::file(path, "metadata limbeck.classes: expected at least one class, found none"));
    }
    if mean.len() != channels || std.len() != channels {
        let message = format!(
            "expected a mean and a standard deviation for each of {} channels, got {mean:?} and {std:?}; pass both \
             `mean` and `std`",
            channels
        );
        return Err(Error::file(path, message));
    }
    if !mean.iter().all(|m| m.is_finite()) || !std.iter().all(|s| s.is_finite() && *s > 0.0) {
        let message =
            format!("expected finite means and standard deviations above 0, got {mean:?} and {std:?}");
        return Err(Error::file(path, message));
    }
    Ok(())
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

/// `3x32x32` for an image, `12` for 12 features.
fn parse_spec(text: &str) -> Result<InputSpec> {
    match text.trim().parse() {
        Ok(n) if n > 0 => Ok(InputSpec::Features(n)),
        _ => parse_input(text).map(InputSpec::Image),
    }
}

fn list<T: serde::de::DeserializeOwned>(path: &Path, key: &str, text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text)
        .map_err(|e| Error::file(path, format!("metadata limbeck.{key}: expected a JSON list ({e})")))
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
        let metadata = ModelMetadata { classes, mean: vec![0.1], std: vec![0.3] };
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
