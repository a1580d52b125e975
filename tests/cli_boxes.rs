//! Detectors on the command line, from labelled images to boxes drawn into them.

// What runs the binary is shared with other tests, which use more of it.
#[allow(dead_code)]
#[path = "cli_files/run.rs"]
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use image::{Rgb, RgbImage};
use run::{refused, works};

/// Where the commands run.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_boxes");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        path
    })
}

/// Eight images with a bright square each, in YOLO's format; once for all tests.
fn squares() {
    static MADE: Once = Once::new();
    MADE.call_once(write_squares);
}

fn write_squares() {
    let folder = scratch().join("squares");
    // The boxes of the specks are of less than a pixel.
    for (part, side) in [("train", 0.3125), ("val", 0.3125), ("specks", 0.01)] {
        for kind in ["images", "labels"] {
            fs::create_dir_all(folder.join(kind).join(part)).expect("a scratch folder");
        }
        for n in 0..8u32 {
            write_square(&folder, part, n, side);
        }
    }
    for (name, val) in [("data", "val"), ("specks", "specks")] {
        let yaml = format!("path: .\ntrain: images/train\nval: images/{val}\nnames: [even, odd]\n");
        fs::write(folder.join(format!("{name}.yaml")), yaml).expect("a description");
    }
}

fn write_square(folder: &Path, part: &str, n: u32, side: f64) {
    let (x, y) = (8 + 4 * n, 36 - 4 * n);
    let bright = |px: u32, py: u32| (x..x + 20).contains(&px) && (y..y + 20).contains(&py);
    let image = RgbImage::from_fn(64, 64, |px, py| Rgb([if bright(px, py) { 230 } else { 30 }; 3]));
    image.save(folder.join(format!("images/{part}/{n}.png"))).expect("an image");
    let [cx, cy] = [x + 10, y + 10].map(|v| f64::from(v) / 64.0);
    fs::write(folder.join(format!("labels/{part}/{n}.txt")), format!("{} {cx} {cy} {side} {side}\n", n % 2))
        .expect("a label");
}

#[test]
fn a_detector_is_trained_distilled_measured_and_used() {
    squares();
    let data = "--data boxes --data-dir squares/data.yaml --batch-size 4";
    let model = "--model yolov4-tiny:width=0.125,size=64";
    let out = works(&format!("train {data} {model} --epochs 1 --flip --mosaic 0.5 --out teacher"));
    assert!(out.contains("8 training and 8 test images") && out.contains("ap %"), "{out}");
    for file in ["model.safetensors", "model.weights", "model.cfg", "model.names", "report.html"] {
        assert!(scratch().join("teacher").join(file).exists(), "no {file}");
    }
    let eval = |file: &str| {
        let json = works(&format!("eval {file} --data boxes --data-dir squares/data.yaml --json"));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!((json["images"].as_u64(), json["truths"].as_u64()), (Some(8), Some(8)), "{json}");
        json["metrics"].clone()
    };
    let floats = works(
        "eval teacher/model.safetensors --data boxes --data-dir squares/data.yaml --float-pixels --json",
    );
    assert!(floats.contains("\"truths\": 8"), "{floats}");
    // The file of darknet is the same network.
    assert_eq!(eval("teacher/model.safetensors"), eval("teacher/model.weights"));
    let teacher = "--teacher teacher/model.safetensors --method obj-kd --epochs 1";
    let out = works(&format!("distill {data} {model} {teacher} --baseline --out student"));
    for row in ["teacher", "alone", "obj-kd"] {
        assert!(out.lines().any(|line| line.starts_with(row)), "{row} in {out}");
    }
    let report = |run: &str, parts: &[&str]| {
        let page = fs::read_to_string(scratch().join(run).join("report.html")).expect("a report");
        for part in parts {
            assert!(page.contains(part), "no {part:?} in the report of {run}");
        }
    };
    report("student", &["Precision and recall", "data:image/jpeg;base64,"]);
    // A teacher of squares finds no specks, and the doctor says so.
    let data = data.replace("data.yaml", "specks.yaml");
    works(&format!("distill {data} {model} {teacher} --out blind"));
    report("blind", &["it teaches nothing", "--letterbox"]);
    let out = works("predict student/model.safetensors squares/images/val --score 0 --out found --json");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((json.as_array().map(Vec::len), json[0]["width"].as_u64()), (Some(8), Some(64)));
    assert!(scratch().join("found/7.png").exists());
}

/// One training after the other in one folder, at another size: nothing of the first is left, and nothing is lost by it.
#[test]
fn a_folder_is_overwritten_whole() {
    squares();
    let run = |more: &str| {
        format!("train --data boxes --data-dir squares/data.yaml --batch-size 4 --epochs 1 {more}")
    };
    works(&run("--model yolov4-tiny:width=0.125,size=64 --out again"));
    let other = "--model yolov4-tiny:width=0.125,size=96 --out again";
    refused(&run(other), &["holds a run already"]);
    works(&run(&format!("{other} --overwrite")));
    let cfg = fs::read_to_string(scratch().join("again/model.cfg")).expect("a description");
    assert!(cfg.contains("width=96"), "{cfg}");
    // Factors of low rank have no place in darknet's format.
    let out = works(&run("--model yolov4-tiny:width=0.125,size=64+lowrank:0.5 --out low"));
    assert!(!out.contains("model.weights") && !scratch().join("low/model.weights").exists(), "{out}");
}

/// What is held out as the test part does not depend on the seed: it is what `eval` measures on.
#[test]
fn every_seed_is_measured_on_the_same_images() {
    squares();
    fs::write(scratch().join("squares/one.yaml"), "path: .\ntrain: images/train\nnames: [even, odd]\n")
        .expect("a file");
    let measured = |seed: u64| {
        let model = "--model yolov4-tiny:width=0.125,size=64 --batch-size 2 --max-steps 1";
        works(&format!(
            "train --data boxes --data-dir squares/one.yaml {model} --seed {seed} --out seed{seed}"
        ));
        let log = fs::read_to_string(scratch().join(format!("seed{seed}/metrics.jsonl"))).expect("a log");
        let json = works(&format!(
            "eval seed{seed}/model.safetensors --data boxes --data-dir squares/one.yaml --json"
        ));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let line: serde_json::Value =
            serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
        assert_eq!(line["split"], "test");
        let ap = json["metrics"][0]["value"].as_f64().expect("a number");
        assert!((line["ap"].as_f64().expect("a number") - ap).abs() < 1e-6, "{line} {ap}");
        json["by_image"].as_array().expect("images").len()
    };
    assert_eq!((measured(1), measured(2)), (2, 2));
}

/// A part of its own to watch is as good as one that is held out of the training part.
#[test]
fn patience_wants_images_to_watch() {
    squares();
    let yaml = "path: .\ntrain: images/train\nval: images/specks\ntest: images/val\nnames: [even, odd]\n";
    fs::write(scratch().join("squares/three.yaml"), yaml).expect("a description");
    let run = |data: &str, more: &str| {
        let model = "--model yolov4-tiny:width=0.125,size=64 --batch-size 4 --epochs 1 --patience 1";
        format!("train --data boxes --data-dir squares/{data}.yaml {model} {more}")
    };
    refused(&run("data", "--out impatient"), &["patience", "needs --validation"]);
    works(&run("data", "--validation 0.5 --out half"));
    works(&run("three", "--out three"));
}

#[test]
fn settings_of_other_data_are_refused() {
    squares();
    let data = "--data boxes --data-dir squares/data.yaml";
    refused(
        &format!("train {data} --model yolov4-tiny:size=64 --crop-padding 2"),
        &["crop_padding", "boxes"],
    );
    refused("train --model cnn:4 --mosaic 1", &["mosaic", "images of classes"]);
    refused(&format!("train {data} --model cnn:4"), &["cnn:4"]);
    refused(&format!("train {data} --model yolov4-tiny:size=64,classes=5"), &["classes=5"]);
    refused("train --data boxes --model yolov4-tiny", &["--data-dir"]);
    refused("eval none.safetensors --score 0.5", &["--score", "boxes"]);
    refused("eval none.safetensors --map voc", &["--map", "boxes"]);
}
