//! Files for the tests of the binary: a folder of their own, images, and models that are damaged in every way.

pub mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use limbeck::files::{Metadata, NamedTensor, StoredTensor, read_safetensors, write_safetensors};

/// A folder that starts empty with every run of the tests.
pub fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the folder of an earlier run can be removed");
        }
        fs::create_dir_all(&folder).expect("a folder");
        folder
    })
}

/// A PNG of a vertical stroke: a one.
pub fn digit(name: &str) -> PathBuf {
    let path = scratch().join(name);
    let stroke = |x, y| image::Luma([if (7..10).contains(&x) && (2..14).contains(&y) { 255 } else { 0u8 }]);
    image::GrayImage::from_fn(16, 16, stroke).save(&path).expect("an image");
    path
}

/// A damaged model, and what its message must name.
pub struct Bad {
    pub path: PathBuf,
    pub parts: Vec<&'static str>,
}

/// Every way in which a file can be no model, from a good one.
pub fn bad_models(good: &Path) -> Vec<Bad> {
    let folder = scratch().join("bad");
    fs::create_dir_all(&folder).expect("a folder");
    let bytes = fs::read(good).expect("the model");
    let raw = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let (tensors, metadata) = read_safetensors(good).expect("a model");
    let edited = |name: &str, edit: &dyn Fn(&mut Vec<NamedTensor>, &mut Metadata)| {
        let (mut tensors, mut metadata) = (tensors.clone(), metadata.clone());
        edit(&mut tensors, &mut metadata);
        let path = folder.join(name);
        write(&path, &tensors, &metadata);
        path
    };
    let bad = |path: PathBuf, parts: &[&'static str]| Bad { path, parts: parts.to_vec() };
    let said = |key: &'static str, value: &'static str| {
        move |_: &mut Vec<NamedTensor>, m: &mut Metadata| drop(m.insert(key.into(), value.into()))
    };
    vec![
        bad(raw("truncated.safetensors", &bytes[..bytes.len() - 100]), &["truncated", "get the file again"]),
        bad(raw("header-only.safetensors", &bytes[..40]), &["truncated", "get the file again"]),
        bad(
            raw("magic.safetensors", b"PK\x03\x04 a zip, as torch.save writes"),
            &["expected a PyTorch state dict", "get the file again"],
        ),
        bad(raw("empty.safetensors", b""), &["0 bytes"]),
        bad(folder.clone(), &["directory"]),
        bad(folder.join("missing.safetensors"), &["check the path"]),
        bad(edited("nan.safetensors", &|t, _| t[0].data[3] = f32::NAN), &["NaN", "index 3", "finite"]),
        bad(
            edited("lacking.safetensors", &|t, _| t.retain(|t| t.name != "fc.bias")),
            &["fc.bias", "missing"],
        ),
        bad(edited("more.safetensors", &|t, _| t[0].name = "other.weight".into()), &["other.weight"]),
        bad(
            edited("shape.safetensors", &|t, _| {
                let fc = t.iter_mut().find(|t| t.name == "fc.weight").expect("fc.weight");
                fc.shape.reverse();
            }),
            &["fc.weight", "[10, 64]", "[64, 10]"],
        ),
        bad(edited("huge.safetensors", &said("limbeck.model", "cnn:65536,65536")), &["too large"]),
        // Gigabytes of weights by its name alone.
        bad(
            edited("deep.safetensors", &said("limbeck.model", "resnet:65534")),
            &["conv1.weight", "resnet:65534"],
        ),
        bad(edited("input.safetensors", &said("limbeck.input", "1x8")), &["1x8", "3x32x32"]),
        bad(edited("classes.safetensors", &said("limbeck.classes", "[]")), &["class"]),
        bad(edited("list.safetensors", &said("limbeck.mean", "0.5")), &["limbeck.mean", "JSON list"]),
        bad(edited("std.safetensors", &said("limbeck.std", "[0.0]")), &["above 0"]),
    ]
}

/// The same weights as another program would write them.
pub fn without_metadata(good: &Path) -> PathBuf {
    let path = scratch().join("bare.safetensors");
    write(&path, &read_safetensors(good).expect("a model").0, &Metadata::default());
    path
}

/// The same network with something else in its metadata.
pub fn saying(good: &Path, name: &str, key: &str, value: &str) -> PathBuf {
    let (tensors, mut metadata) = read_safetensors(good).expect("a model");
    metadata.insert(key.into(), value.into());
    let path = scratch().join(name);
    write(&path, &tensors, &metadata);
    path
}

/// The same network with its first class called zero.
pub fn with_other_classes(good: &Path) -> PathBuf {
    let (tensors, mut metadata) = read_safetensors(good).expect("a model");
    let names = metadata["limbeck.classes"].replacen("\"0\"", "\"zero\"", 1);
    metadata.insert("limbeck.classes".into(), names);
    let path = scratch().join("renamed.safetensors");
    write(&path, &tensors, &metadata);
    path
}

fn write(path: &Path, tensors: &[NamedTensor], metadata: &Metadata) {
    let stored: Vec<StoredTensor<'_>> = tensors.iter().map(StoredTensor::from).collect();
    write_safetensors(path, &stored, metadata).expect("a file");
}
