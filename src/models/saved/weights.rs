//! Darknet's `.weights` files with the `.cfg` and the `.names` beside them.

use std::path::{Path, PathBuf};

use super::file::{check_metadata, class_names};
use super::{ModelMetadata, Overrides, Saved};
use crate::files;
use crate::models::darknet::Cfg;
use crate::models::{Head, InputSpec, ModelConfig, Network, cfg_file, native_config_by, outline};
use crate::{Error, Result};

/// The names of COCO's classes, as they lie beside many files.
pub(super) const COCO: &str = "coco.names";

/// The network of a `.weights` file; `beside` gets the files beside it.
pub(super) fn from_bytes(
    path: &Path,
    bytes: &[u8],
    overrides: &Overrides,
    fallback: &Overrides,
    beside: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Saved> {
    if overrides.map.is_some() {
        return Err(Error::file(path, "a .weights file has no names of tensors; leave out `map`"));
    }
    let (mut network, cfg) = described(path, bytes, overrides, fallback, beside)?;
    let classes = names(path, network.head().width(), overrides, fallback, beside)?;
    let [channels, ..] = cfg.input();
    let mean = overrides.mean.clone().unwrap_or_else(|| vec![0.0; channels]);
    let std = overrides.std.clone().unwrap_or_else(|| vec![1.0; channels]);
    check_metadata(path, channels, &classes, &mean, &std)?;
    cfg.load_weights(&path.display().to_string(), bytes, &mut network)?;
    Ok(Saved { network, metadata: ModelMetadata { classes, mean, std, ..Default::default() } })
}

/// The network without values, and its layers.
fn described(
    path: &Path,
    bytes: &[u8],
    overrides: &Overrides,
    fallback: &Overrides,
    beside: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<(Network, Cfg)> {
    let (model, text) = model(path, overrides, fallback, beside)?;
    let native = native_config_by(&model, text.as_deref())?;
    let native = native.filter(|native| matches!(native.head, Head::Boxes(_))).ok_or_else(|| {
        let message = format!("\"{model}\" is no network of darknet's; pass `model` with its .cfg or name");
        Error::file(path, message)
    })?;
    // The layers fit images of any size: a name or a .cfg only says which it was last used with.
    let input = overrides.input.or(fallback.input).map_or(native.input, InputSpec::Image);
    let given = overrides.classes.as_ref().map(Vec::len);
    let of_classes = |classes: usize| {
        let config = ModelConfig { input, head: Head::Boxes(classes) };
        let network = outline(&model, &config, text.as_deref()).map_err(|e| Error::file(path, e))?;
        let cfg = Cfg::of(&network)?;
        Ok((network, cfg))
    };
    let (network, cfg) = of_classes(given.unwrap_or(native.head.width()))?;
    if given.is_none() && cfg_file(&model).is_none() {
        // A name is for any number of classes, and the file is as long as those that it has make it.
        let other = cfg.classes_in(bytes).filter(|classes| *classes != network.head().width());
        if let Some(Ok(fitting)) = other.map(of_classes) {
            return Ok(fitting);
        }
    }
    Ok((network, cfg))
}

/// What the network is, and the text where it is the `.cfg` beside the file.
fn model(
    path: &Path,
    overrides: &Overrides,
    fallback: &Overrides,
    beside: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<(String, Option<String>)> {
    if let Some(model) = &overrides.model {
        return Ok((model.clone(), None));
    }
    for name in companions(path, "cfg") {
        if let Some(text) = text_of(beside(&name))? {
            return Ok((path.with_file_name(name).display().to_string(), Some(text)));
        }
    }
    fallback.model.clone().map(|model| (model, None)).ok_or_else(|| {
        let cfg = path.with_extension("cfg");
        let message = format!(
            "a .weights file does not say its layers; pass `model` with the .cfg that it was trained with or a name, such as \
             `model = yolov4.cfg` or `model = yolov4`, or put {} beside it",
            cfg.file_name().unwrap_or_default().display()
        );
        Error::file(path, message)
    })
}

/// The files that may belong to one of these weights: of its name, and of that before what darknet adds (`_best`, `_1000`).
pub(in crate::models) fn companions(path: &Path, ending: &str) -> Vec<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let added = |part: &str| ["best", "final", "last"].contains(&part) || part.parse::<u64>().is_ok();
    let before = stem.rsplit_once('_').filter(|(_, part)| added(part)).map(|(before, _)| before);
    std::iter::once(&*stem).chain(before).map(|stem| format!("{stem}.{ending}")).collect()
}

/// The text of a file beside another; none where there is no such file.
pub(in crate::models) fn text_of(read: Result<Vec<u8>>) -> Result<Option<String>> {
    match read {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => match error.io_kind() {
            None | Some(std::io::ErrorKind::NotFound) => Ok(None),
            Some(_) => Err(error),
        },
    }
}

/// The names of the classes.
fn names(
    path: &Path,
    classes: usize,
    overrides: &Overrides,
    fallback: &Overrides,
    beside: &dyn Fn(&str) -> Result<Vec<u8>>,
) -> Result<Vec<String>> {
    let differ = |file: &Path, found: usize| {
        Error::file(file, format!("expected names of {classes} classes, which its network has, got {found}"))
    };
    if let Some(given) = &overrides.classes {
        let fit = given.len() == classes;
        return if fit { Ok(given.clone()) } else { Err(differ(path, given.len())) };
    }
    for name in companions(path, "names") {
        if let Some(names) = text_of(beside(&name))?.map(|text| lines(&text)) {
            let fit = names.len() == classes;
            return if fit { Ok(names) } else { Err(differ(&path.with_file_name(name), names.len())) };
        }
    }
    let coco = text_of(beside(COCO))?.map(|text| lines(&text)).filter(|names| names.len() == classes);
    Ok(coco.unwrap_or_else(|| class_names(&fallback.classes, classes)))
}

fn lines(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()
}

/// Writes `.weights`, and the `.cfg` and the `.names` beside it.
pub(super) fn save(path: &Path, network: &Network, metadata: &ModelMetadata) -> Result<()> {
    let ModelMetadata { classes, mean, std, .. } = metadata;
    if mean.iter().any(|mean| *mean != 0.0) || std.iter().any(|std| *std != 1.0) {
        let message = format!(
            "programs that read .weights feed pixels from 0 to 1, and this network was trained with means {mean:?} and \
             deviations {std:?}; train it with means 0 and deviations 1, or save it as .safetensors"
        );
        return Err(Error::config("mean", message));
    }
    if let Some(name) =
        classes.iter().find(|name| name.trim() != *name || name.contains('\n') || name.is_empty())
    {
        let message = format!("\"{}\" can't be a line of a .names file", name.escape_debug());
        return Err(Error::config("classes", message));
    }
    let cfg = Cfg::of(network)?;
    let bytes = cfg.weights(network)?;
    let names: String = classes.iter().map(|name| format!("{name}\n")).collect();
    let texts =
        [("cfg", cfg.text()), ("names", names)].map(|(ending, text)| (path.with_extension(ending), text));
    // What is in the way is found before anything is written.
    let mut missing = Vec::new();
    for (file, text) in &texts {
        if needed(file, text)? {
            missing.push((file, text));
        }
    }
    for (file, text) in missing {
        files::write_atomic(file, |to| to.write_all(text.as_bytes()))?;
    }
    files::write_atomic(path, |to| to.write_all(&bytes))
}

/// Whether a text is to be written; a file that says the same stays as it is.
fn needed(file: &PathBuf, text: &str) -> Result<bool> {
    let Some(there) = text_of(files::read(file))? else { return Ok(true) };
    let same = match Cfg::parse(&file.display().to_string(), &there, None) {
        Ok(cfg) => cfg.text() == text,
        Err(_) => lines(&there) == lines(text),
    };
    if same {
        return Ok(false);
    }
    Err(Error::file(
        file,
        "is of another network than the one to be written beside it; move it, or choose another name",
    ))
}
