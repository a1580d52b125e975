//! What limbeck 0.1 wrote (tests/fixtures/v0.1): models open, unfinished runs and sweeps go on, outputs teach, logs are read.

use std::path::{Path, PathBuf};
use std::process::Command;

use limbeck::files::{read_safetensors, read_text};
use limbeck::models::saved::{self, Overrides};
use limbeck::train::StoredOutputs;
use limbeck::train::metrics::{MetricRecord, Split, read_metrics};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v0.1")
}

/// The files in a folder of a test's own, which it may write to.
fn copy(name: &str) -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("old_files").join(name);
    let _ = std::fs::remove_dir_all(&to);
    copy_folder(&fixtures(), &to);
    to
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Runs `limbeck` in a folder; gives what it printed.
fn works(at: &Path, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.current_dir(at).env("XDG_RUNTIME_DIR", at).arg("--no-tune").args(line.split_whitespace());
    let output = command.output().expect("limbeck can be started");
    assert!(output.status.success(), "limbeck {line}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Weights by name that are equal up to what another adapter rounds otherwise.
fn same_weights(one: &Path, other: &Path) {
    let ((one, _), (other, _)) = (read_safetensors(one).unwrap(), read_safetensors(other).unwrap());
    assert_eq!(one.len(), other.len());
    for (a, b) in one.iter().zip(&other) {
        assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
        let distance = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(distance < 1e-4, "{}: {distance}", a.name);
    }
}

/// Records that say the same but for the clock, and for the last digits of losses.
fn same_log(one: &Path, other: &Path) {
    let (one, other) = (read_metrics(one).unwrap(), read_metrics(other).unwrap());
    let counts = |records: &[MetricRecord]| -> Vec<_> {
        records.iter().map(|r| (r.run.clone(), r.epoch, r.step, r.split, r.learning_rate.to_bits())).collect()
    };
    assert_eq!(counts(&one), counts(&other));
    for (a, b) in one.iter().zip(&other) {
        // limbeck 0.1 did not measure the loss of held-out samples.
        assert!(a.split != Split::Train || (a.loss - b.loss).abs() <= 1e-3, "{a:?} {b:?}");
        let right = |record: &MetricRecord| record.metrics["accuracy"];
        assert!((right(a) - right(b)).abs() < 0.03, "{a:?} {b:?}");
    }
}

/// A run that was killed ends as it would have without that.
fn goes_on(command: &str, name: &str) {
    let at = copy(name);
    works(&at, &format!("{command} --config {name}/config.toml --resume"));
    same_weights(&at.join(name).join("model.safetensors"), &at.join(name).join("whole.safetensors"));
    same_log(&at.join(name).join("metrics.jsonl"), &at.join(name).join("whole.jsonl"));
}

#[test]
fn a_training_goes_on() {
    goes_on("train", "train");
}

#[test]
fn a_distillation_goes_on() {
    goes_on("distill", "kd");
}

#[test]
fn peers_go_on() {
    goes_on("distill", "dml");
}

#[test]
fn a_distillation_from_outputs_goes_on() {
    goes_on("distill", "stored");
}

/// A checkpoint of other settings is refused by the name of what differs, as ever.
#[test]
fn another_run_is_refused_by_name() {
    let at = copy("refused");
    let line = "--no-tune train --config train/config.toml --resume --learning-rate 0.03";
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    let output = command.current_dir(&at).args(line.split_whitespace()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && message.contains("learning_rate is 0.02 there and 0.03 here"),
        "{message}"
    );
    assert_eq!(message.matches(" there and ").count(), 1, "{message}");
}

#[test]
fn models_open() {
    for (name, model) in [("teacher", "cnn:4,4,6"), ("simkd", "simkd"), ("low-rank", "cnn:4,4,6")] {
        let file = fixtures().join(name).with_extension("safetensors");
        let saved = saved::open(&file, &Overrides::default()).unwrap();
        assert!(saved.network.name.contains(model), "{}", saved.network.name);
        assert_eq!((saved.network.input().dims(), saved.metadata.classes.len()), (&[1, 8, 8][..], 10));
        assert_eq!((saved.metadata.mean.len(), saved.metadata.std.len()), (1, 1));
    }
}

#[test]
fn models_are_measured() {
    let at = copy("measured");
    for name in ["teacher", "simkd", "low-rank"] {
        let json = works(&at, &format!("eval {name}.safetensors --limit-test 40 --json"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["images"], 40);
    }
}

#[test]
fn outputs_teach() {
    let at = copy("outputs");
    for (name, taps, topk, epochs) in
        [("outputs", &["pool3"][..], None, 1), ("largest", &[], Some(3), 1), ("views", &[], None, 2)]
    {
        let outputs = StoredOutputs::open(at.join(name).with_extension("safetensors")).unwrap();
        let info = outputs.info();
        assert_eq!((info.samples, info.classes, info.topk, info.epochs), (64, 10, topk, epochs));
        assert!(info.taps.iter().eq(taps) && info.teacher == "cnn:4,4,6", "{info:?}");
    }
    let distill =
        "distill --model cnn:2,2 --limit-train 64 --limit-test 40 --batch-size 16 --epochs 2 --seed 1";
    works(&at, &format!("{distill} --teacher-outputs largest.safetensors --out from-largest"));
    let views = "--teacher-outputs views.safetensors --crop-padding 1 --flip";
    works(&at, &format!("{distill} {views} --teacher teacher.safetensors --out from-views"));
}

/// What was done is taken as it is, and the row that was cut off is finished.
#[test]
fn a_sweep_goes_on() {
    let at = copy("sweep");
    let pair =
        std::fs::read_dir(at.join("sweep")).unwrap().flatten().find(|e| e.path().is_dir()).unwrap().path();
    let text = |row: &str, file: &str| {
        let folders = std::fs::read_dir(&pair).unwrap().flatten().map(|entry| entry.path());
        let folder =
            folders.into_iter().find(|f| f.file_name().unwrap().to_str().unwrap().starts_with(row)).unwrap();
        read_text(folder.join(file)).unwrap()
    };
    let done = |row: &str| (text(row, "result.json"), text(row, "metrics.jsonl"));
    let before = [done("alone-"), done("kd-")];
    let listed = works(&at, "sweep sweep.toml --out sweep --dry-run");
    assert_eq!(listed.matches("to do ").count(), 1, "{listed}");
    let table = works(&at, "sweep sweep.toml --out sweep");
    assert_eq!([done("alone-"), done("kd-")], before);
    assert!(!text("takd-", "result.json").is_empty() && !table.contains("failed"), "{table}");
    for row in ["alone", "kd", "takd"] {
        assert!(table.lines().any(|line| line.starts_with(&format!("| {row} "))), "{row} in {table}");
    }
}

#[test]
fn logs_are_read() {
    for run in ["train", "kd", "dml", "stored"] {
        let records = read_metrics(fixtures().join(run).join("whole.jsonl")).unwrap();
        let epochs: Vec<u64> = records.iter().map(|record| record.epoch).collect();
        assert_eq!(epochs, [1, 1, 2, 2, 3, 3]);
        assert!(
            records
                .iter()
                .all(|record| record.metrics.get("accuracy").is_some_and(|a| (0.0..=1.0).contains(a)))
        );
    }
}
