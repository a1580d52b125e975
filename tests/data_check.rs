//! `limbeck data check` and `data anchors`, as a user meets them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn limbeck(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.args(arguments).current_dir(folder).env("XDG_RUNTIME_DIR", folder);
    command.output().expect("limbeck can be started")
}

fn works(folder: &Path, arguments: &[&str]) -> String {
    let output = limbeck(folder, arguments);
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && err.is_empty(), "limbeck {arguments:?}:\n{out}\n{err}");
    out
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Six pictures of 80x60 pixels with label files; the third has a point, the fourth none, and a label file has no image.
fn set() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("set/images/train")).expect("a folder");
    for k in 0..6u32 {
        let picture = image::RgbImage::from_fn(80, 60, |x, y| image::Rgb([x as u8, y as u8, k as u8 * 40]));
        picture.save(folder.path().join(format!("set/images/train/{k}.png"))).expect("an image");
        let text =
            format!("0 .5 .5 .{} .5\n1 .25 .25 .1 .1\n", k + 2) + if k == 2 { "1 .5 .5 0 .1\n" } else { "" };
        if k != 3 {
            write(folder.path(), &format!("set/labels/train/{k}.txt"), &text);
        }
    }
    write(folder.path(), "set/labels/train/alone.txt", "0 .5 .5 .5 .5\n");
    write(folder.path(), "set/classes.txt", "ship\nbuoy\n");
    folder
}

#[test]
fn a_set_is_described_with_all_that_is_odd() {
    let folder = set();
    let out = works(folder.path(), &["data", "check", "set"]);
    for part in [
        "set: YOLO (folders) in set",
        "test (held out)",
        "1  buoy",
        "80x60 (6)",
        "labels/train/2.txt:3 (40,27 to 40,33 of 80x60)",
        "labels/train/alone.txt",
        "images/train/3.png",
        "set-boxes.png shows some of them",
        "the set can be used",
    ] {
        assert!(out.contains(part), "no {part:?} in\n{out}");
    }
    let sheet = image::open(folder.path().join("set-boxes.png")).expect("the picture").into_rgb8();
    assert_eq!(sheet.dimensions(), (4 * 368 + 8, 2 * 292 + 8));
    let out = works(folder.path(), &["data", "check", "set", "--no-sheet", "--places", "0", "--decode"]);
    assert!(!out.contains("alone.txt") && !out.contains(".png"), "{out}");
    works(folder.path(), &["data", "check", "set/", "--sheet", "new/sheet.png", "--images", "2"]);
    assert!(folder.path().join("new/sheet.png").is_file());
}

#[test]
fn the_picture_never_becomes_an_image_of_the_set() {
    let folder = set();
    let inside = folder.path().join("set");
    let out = works(&inside, &["data", "check", "."]);
    assert!(out.contains("80x60 (6)") && folder.path().join("set-boxes.png").is_file(), "{out}");
    assert!(!inside.join("set-boxes.png").exists());
    let output = limbeck(folder.path(), &["data", "check", "set", "--sheet", "set/images/train/new/x.png"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("the data set's own folder set"), "{err}");
    assert!(!inside.join("images/train/new").exists());
    // A file that is named without its folder is in this one.
    write(&inside, "data.yaml", "train: images/train\nnames: [ship, buoy]\n");
    let out = works(&inside, &["data", "check", "data.yaml", "--no-sheet"]);
    assert!(out.contains("set: YOLO (data.yaml) in .") && out.contains("80x60 (6)"), "{out}");
}

#[test]
fn what_would_be_learned_wrong_fails_after_all_was_said() {
    let folder = set();
    write(folder.path(), "set/labels/train/1.txt", "7 .5 .5 .5 .5\n0 40 30 8 8\nship .5 .5 .5 .5\n");
    let output = limbeck(folder.path(), &["data", "check", "set", "--no-sheet"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(out.contains("REFUSED") && out.contains("labels/train/2.txt:3"), "{out}");
    for part in
        ["error: set: ", "labels/train/1.txt:1 (class 7", "labels/train/1.txt:2 (", "labels/train/1.txt:3 ("]
    {
        assert!(err.contains(part), "no {part:?} in {err}");
    }
    let output = limbeck(folder.path(), &["data", "check", "set/images"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("data.yaml"), "{err}");
}

#[test]
fn anchors_are_a_line_for_a_network() {
    let folder = set();
    let out = works(folder.path(), &["data", "anchors", "set", "--count", "2", "--size", "160"]);
    let line = out.lines().next().expect("a line");
    let numbers: Vec<f32> =
        line.trim_start_matches("anchors=").split(',').map(|n| n.trim().parse().expect("a number")).collect();
    assert_eq!(numbers.len(), 4, "{out}");
    assert!(!out.contains("mask"), "{out}");
    let sides = [".1", ".2", ".3", ".4", ".5", ".6"].map(|side| format!("0 .5 .5 {side} .5\n")).concat();
    (0..6).for_each(|k| write(folder.path(), &format!("set/labels/train/{k}.txt"), &sides));
    let six = works(folder.path(), &["data", "anchors", "set", "--count", "6"]);
    assert!(six.contains("mask = 0,1,2, then 3,4,5") && six.contains("leaves the first out"), "{six}");
    let three = works(folder.path(), &["data", "anchors", "set", "--count", "3"]);
    assert!(three.contains("mask = 0,1,2: the finest") && !three.contains("yolov4-tiny"), "{three}");
    // Buoys are a tenth of the input, ships half as high as it.
    assert_eq!((numbers[0], numbers[1], numbers[3]), (16.0, 16.0, 80.0), "{out}");
    assert!(out.contains("160x160") && out.contains("(IoU)"), "{out}");
    let output = limbeck(folder.path(), &["data", "anchors", "set", "--count", "99"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("got 99"));
    // A set to measure on has no boxes to learn from.
    fs::create_dir_all(folder.path().join("voc/JPEGImages")).expect("a folder");
    let image = folder.path().join("set/images/train/0.png");
    fs::copy(image, folder.path().join("voc/JPEGImages/0.png")).expect("an image");
    let corners = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>15</ymax>";
    let label = format!("<annotation><object><name>a</name><bndbox>{corners}</bndbox></object></annotation>");
    write(folder.path(), "voc/Annotations/0.xml", &label);
    write(folder.path(), "voc/ImageSets/Main/test.txt", "0\n");
    let output = limbeck(folder.path(), &["data", "anchors", "voc"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("voc: has no training part") && err.contains("train.txt"), "{err}");
    let out = works(folder.path(), &["data", "check", "voc", "--no-sheet"]);
    assert!(out.contains("no training part") && !out.contains("training  "), "{out}");
    let output = limbeck(folder.path(), &["data", "anchors", "set", "--resize", "crop"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("stretch or letterbox"));
}
