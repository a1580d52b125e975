//! Files that are damaged in hundreds of ways: errors, and no panics.

use std::path::Path;
use std::sync::Arc;

use super::testing::{jpeg, picture, png, with_exif, write_pictures};
use super::{BoxSet, OpenOptions, inspect};
use crate::data::testing::Scratch;
use crate::data::{Loader, LoaderConfig};
use crate::rng::Stream;

const XML: &str = "<annotation>\n<filename>1.jpg</filename><size><width>40</width><height>20</height><depth>3</depth></size>\n\
                   <object><name>dog</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax>\
                   <ymax>15</ymax></bndbox></object>\n</annotation>\n";
const LABELS: &str = "0 0.5 0.5 0.25 0.5\n1 .1 .1 .5 .1 .5 .5 .1 .5\n1.0 0.25 0.25 0.1 0.1\n";
const YAML: &str = "path: .\ntrain: images/train\nval: [images/val]\nnc: 2\nnames:\n  0: cat\n  1: 'a dog'\n";
const DATA: &str = "classes=2\ntrain=train.txt\nvalid=val.txt\nnames=obj.names\n";
const JSON: &str = r#"{"images": [{"id": 1, "file_name": "1.jpg", "width": 40, "height": 20}],
 "annotations": [{"id": 5, "image_id": 1, "category_id": 3, "bbox": [1, 2.5, 10, 9], "area": 60, "iscrowd": 0,
 "segmentation": {"counts": [1, 2], "size": [20, 40]}}], "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}]}"#;

/// What tends to break readers.
const TOKENS: [&[u8]; 26] = [
    b"\0",
    b"-1",
    b"1e999",
    b"NaN",
    b"99999999999999999999",
    b"<",
    b">",
    b"&a;",
    b"]",
    b"[",
    b"{",
    b"}",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"*x",
    b"&x ",
    b"\r\n",
    b"\t",
    b"\"",
    b"'",
    b": ",
    b"- ",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"<object>",
    b"0.0.0",
    b"\xc3",
];

fn damage(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + stream.below(3) {
        let n = bytes.len().max(1);
        let (at, length) = (stream.below(n), stream.below(12));
        let end = (at + length).min(bytes.len());
        match stream.below(6) {
            0 if !bytes.is_empty() => bytes[at] = stream.bits() as u8,
            1 if !bytes.is_empty() => bytes[at] ^= 1 << stream.below(8),
            2 => drop(bytes.drain(at.min(end)..end)),
            3 => {
                let part = bytes[at.min(end)..end].to_vec();
                bytes.splice(at.min(end)..at.min(end), part.repeat(1 + stream.below(40)));
            }
            4 => drop(bytes.splice(at.min(end)..end, TOKENS[stream.below(TOKENS.len())].iter().copied())),
            _ if stream.below(4) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

/// Opens a set and makes batches of what is left of it.
fn use_it(path: &Path) -> bool {
    let options = OpenOptions { holdout: 0.5, size: [8, 8], ..Default::default() };
    let Ok(sets) = inspect(path, &options) else { return false };
    let _ = sets.traps.refuse(&sets.root);
    let all = |set: BoxSet| {
        let config = LoaderConfig { prefetch: 0, ..LoaderConfig::in_order(2) };
        Loader::new(Arc::new(set), config).is_ok_and(|loader| loader.epoch(0).all(|batch| batch.is_ok()))
    };
    all(sets.train) & all(sets.test)
}

/// Damages `name` of a set `rounds` times; the set as it is can be used.
fn try_all(dir: &Scratch, path: &Path, name: &str, rounds: usize) {
    assert!(use_it(path), "{name}");
    let whole = std::fs::read(dir.file(name)).unwrap();
    let (mut stream, mut used) = (Stream::new(11, name), 0);
    for _ in 0..rounds {
        dir.write(name, damage(&whole, &mut stream));
        used += usize::from(use_it(path));
    }
    dir.write(name, whole);
    // Some damage is harmless, and most sets have more than one file.
    assert!(used > 0, "{name}: nothing of {rounds} could be used");
    assert!(use_it(path), "{name}");
}

#[test]
fn pascal_voc() {
    let dir = Scratch::new();
    write_pictures(&dir, &["JPEGImages/1.jpg", "JPEGImages/2.jpg", "JPEGImages/3.jpg"]);
    for k in 1..4 {
        dir.write(&format!("Annotations/{k}.xml"), XML);
    }
    dir.write("ImageSets/Main/train.txt", "1\n2\n");
    dir.write("ImageSets/Main/val.txt", "3\n");
    try_all(&dir, dir.path(), "Annotations/1.xml", 200);
    try_all(&dir, dir.path(), "ImageSets/Main/train.txt", 150);
}

#[test]
fn yolo() {
    let dir = Scratch::new();
    write_pictures(&dir, &["images/train/1.jpg", "images/train/2.jpg", "images/val/3.jpg"]);
    for name in ["train/1", "train/2", "val/3"] {
        dir.write(&format!("labels/{name}.txt"), LABELS);
    }
    let yaml = dir.write("set.yaml", YAML);
    let data = dir.write("set.data", DATA);
    dir.write("obj.names", "cat\na dog\n");
    dir.write("train.txt", "images/train/1.jpg\n./images/train/2.jpg\n");
    dir.write("val.txt", "images/val/3.jpg\n");
    try_all(&dir, &yaml, "set.yaml", 200);
    try_all(&dir, &yaml, "labels/train/1.txt", 200);
    try_all(&dir, &data, "set.data", 200);
    try_all(&dir, &data, "obj.names", 150);
    try_all(&dir, &data, "train.txt", 200);
}

#[test]
fn coco() {
    let dir = Scratch::new();
    write_pictures(&dir, &["train/1.jpg", "val/1.jpg"]);
    dir.write("annotations/instances_train.json", JSON);
    dir.write("annotations/instances_val.json", JSON);
    let path = dir.file("annotations/instances_train.json");
    try_all(&dir, &path, "annotations/instances_train.json", 150);
}

#[test]
fn images() {
    let dir = Scratch::new();
    dir.write("images/train/1.jpg", with_exif(&jpeg(&picture(40, 20)), 6));
    dir.write("images/train/2.png", png(&picture(40, 20)));
    write_pictures(&dir, &["images/train/3.jpg", "images/val/4.jpg"]);
    for name in ["train/1", "train/2", "train/3", "val/4"] {
        dir.write(&format!("labels/{name}.txt"), LABELS);
    }
    dir.write("classes.txt", "a\nb\n");
    try_all(&dir, dir.path(), "images/train/1.jpg", 150);
    try_all(&dir, dir.path(), "images/train/2.png", 150);
}
