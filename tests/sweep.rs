//! `limbeck sweep` through the binary: a table, the same table after an interruption, and mistakes in words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SWEEP: &str = r#"
methods = ["kd", "feature:1,until=0.5"]
seeds = [1, 2]

[settings]
limit_train = 96
limit_test = 60
epochs = 2
batch_size = 16

[[pair]]
teacher = "teacher.safetensors"
model = "cnn:3"
train_teacher = { model = "cnn:5", epochs = 1 }
"#;

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sweep").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn sweep(at: &Path, text: &str, flags: &[&str]) -> Output {
    std::fs::write(at.join("sweep.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command
        .current_dir(at)
        .env("XDG_RUNTIME_DIR", at)
        .args(["sweep", "sweep.toml", "--out", "out"])
        .args(flags);
    command.output().expect("limbeck can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The table's cells that do not depend on the clock: method, last, best, gain, seeds, GFLOP, MiB.
fn rows(markdown: &str) -> BTreeMap<String, Vec<String>> {
    let details = markdown.split("\n## ").nth(1).expect("a pair's table");
    let lines = details.lines().filter(|l| l.starts_with("| ") && !l.contains("last epoch"));
    lines
        .map(|line| {
            let mut cells: Vec<String> = line.trim_matches('|').split('|').map(|c| c.trim().into()).collect();
            cells.remove(5);
            (cells.remove(0), cells)
        })
        .collect()
}

fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn an_interrupted_sweep_ends_in_the_same_table() {
    let at = folder("resumed");
    let first = sweep(&at, SWEEP, &[]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    let methods: Vec<String> = rows(&table).into_keys().collect();
    assert_eq!(methods, ["alone", "feature:1,until=0.5", "kd"]);
    assert!(rows(&table).values().all(|cells| cells[3] == "2"), "{table}");
    assert!(text(&first.stdout).contains(&table), "the table is printed too");
    let page = std::fs::read_to_string(at.join("out/results.html")).unwrap();
    assert!(page.contains("feature:1,until=0.5") && page.ends_with("</html>\n"));

    // Stopped before two runs were done, one of them in its middle.
    let results = files(&at.join("out"), "result.json");
    assert_eq!(results.len(), 6);
    for result in [&results[1], &results[4]] {
        std::fs::remove_file(result).unwrap();
        std::fs::remove_file(result.with_file_name("model.safetensors")).unwrap();
    }
    let checkpoint = files(results[1].parent().unwrap(), "checkpoint-alone.safetensors");
    checkpoint.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    let untouched = std::fs::metadata(&results[0]).unwrap().modified().unwrap();
    let listed = text(&sweep(&at, SWEEP, &["--dry-run"]).stdout);
    assert_eq!(listed.matches("to do ").count(), 2, "{listed}");
    assert_eq!(listed.matches(", seed 1, about ").count() + listed.matches(", seed 2, about ").count(), 2);
    assert!(listed.contains("2 runs left: about 1 second of training steps"), "{listed}");
    let again = sweep(&at, SWEEP, &[]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let second = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    assert_eq!(rows(&table), rows(&second));
    assert_eq!(
        std::fs::metadata(&results[0]).unwrap().modified().unwrap(),
        untouched,
        "what was done ran again"
    );
}

/// A run that cannot work is in the table with its reason, the others go on, and the exit code tells.
#[test]
fn a_failing_method_does_not_stop_the_others() {
    let at = folder("failing");
    let text_with = SWEEP.replace("feature:1,until=0.5", "fsp").replace("seeds = [1, 2]", "seeds = [1]");
    let output = sweep(&at, &text_with, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    assert_eq!(rows(&table)["fsp"][0], "failed");
    assert!(table.contains("fsp with seed 1 failed: "), "{table}");
    assert_eq!(rows(&table)["kd"][3], "1");
}

/// Pairs share a list, and one replaces, adds and leaves out by label. A run that diverges is told, and no other stops.
#[test]
fn pairs_have_methods_of_their_own() {
    let at = folder("pairs");
    let two = SWEEP.replace("[1, 2]", "[1]").replace(
        "\"kd\", \"feature:1,until=0.5\"",
        "{ label = \"soft\", method = \"kd:1,temperature=2\" }, \"jsd\"",
    ) + "methods = [{ label = \"wild\", method = \"logit-mse:1e30\" }]\n\n[[pair]]\nname = \"second\"\n\
         teacher = \"teacher.safetensors\"\nmodel = \"cnn:2\"\n\
         train_teacher = { model = \"cnn:5\", epochs = 1 }\nwithout = [\"jsd\"]\n\
         methods = [{ label = \"soft\", method = \"kd:1,temperature=8\" }, \"dkd\"]\n";
    let output = sweep(&at, &two, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    let overview: BTreeMap<&str, Vec<&str>> = table
        .lines()
        .skip_while(|line| !line.starts_with("|  |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells.remove(0), cells)
        })
        .collect();
    assert!(overview.values().all(|cells| cells.len() == 2), "{table}");
    let number = |cell: &str| cell.parse::<f64>().is_ok();
    let kinds = |label: &str| {
        [0, 1].map(|pair| if number(overview[label][pair]) { "n" } else { overview[label][pair] })
    };
    assert_eq!(kinds("alone"), ["n", "n"], "{table}");
    assert_eq!(kinds("soft"), ["n", "n"], "{table}");
    assert_eq!((kinds("jsd"), kinds("dkd")), (["n", "-"], ["-", "n"]), "{table}");
    assert_eq!(kinds("wild"), ["failed", "-"], "{table}");
    assert!(table.contains("wild with seed 1 failed: NaN or infinity at step"), "{table}");
    let second = table.split("\n## ").nth(2).unwrap();
    assert!(second.contains("- soft is kd:1,temperature=8") && !second.contains("dkd is"), "{table}");
}

/// The doctor looks at one seed of every pair and method, says it once, and what it said stays in the tables.
#[test]
fn findings_are_footnotes() {
    let at = folder("findings");
    let cold = SWEEP
        .replace("\"feature:1,until=0.5\"", "{ label = \"cold\", method = \"kd:1,temperature=0.0001\" }")
        .replace("epochs = 1", "epochs = 12");
    let first = sweep(&at, &cold, &[]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let said = |output: &Output| text(&output.stderr).matches("hard labels").count();
    assert_eq!(said(&first), 1, "{}", text(&first.stderr));
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    assert_eq!(table.matches("- cold: kd softens the teacher at temperature 0.0001").count(), 1, "{table}");
    assert!(!table.contains("- kd: "), "{table}");
    let kept = files(&at.join("out"), "findings.json");
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().any(|file| std::fs::read_to_string(file).unwrap().contains("hard labels")));

    // From the folders, without another look.
    std::fs::remove_file(files(&at.join("out"), "result.json").pop().unwrap()).unwrap();
    let again = sweep(&at, &cold, &[]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(said(&again), 0, "{}", text(&again.stderr));
    let page = std::fs::read_to_string(at.join("out/results.html")).unwrap();
    assert_eq!(page.matches("cold: kd softens").count(), 1);
}

/// A pair may be of other data than the sweep; its teacher is then trained on these. One that can't be trained
/// fails its own pair only.
#[test]
fn teachers_are_trained_on_their_pairs_data() {
    let at = folder("teachers");
    let one = SWEEP.replace("[1, 2]", "[1]").replace("\"kd\", ", "");
    let pair = |name: &str, settings: &str, teacher: &str| {
        format!(
            "\n[[pair]]\nname = \"{name}\"\nteacher = \"{name}.safetensors\"\nmodel = \"cnn:2\"\n\
             settings = {{ {settings} }}\ntrain_teacher = {{ model = \"cnn:5\", epochs = 1, {teacher} }}\n"
        )
    };
    let text_with = pair("broken", "", "learning_rate = 1e30, optimizer = \"sgd\"")
        + &pair("other", "data_mean = [0.25], data_std = [0.5]", "seed = 3");
    let output = sweep(&at, &(one + &text_with), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    assert!(table.contains("alone with seed 1 failed: its teacher: NaN or infinity"), "{table}");
    assert!(!at.join("broken.safetensors").exists() && table.contains("## other"), "{table}");
    let (_, said) = limbeck::files::read_safetensors(at.join("other.safetensors")).unwrap();
    assert_eq!((said["limbeck.mean"].as_str(), said["limbeck.std"].as_str()), ("[0.25]", "[0.5]"));
}

/// Hours of other pairs must not come before a teacher is missed.
#[test]
fn a_missing_teacher_is_told_before_anything_runs() {
    let at = folder("missing");
    let second = "\n[[pair]]\nteacher = \"none.safetensors\"\nmodel = \"cnn:2\"\n";
    let output = sweep(&at, &format!("{SWEEP}{second}"), &[]);
    let error = text(&output.stderr);
    assert!(error.contains("none.safetensors: is not there; train it"), "{error}");
    assert!(!at.join("out").exists() && !at.join("teacher.safetensors").exists());
}

/// The bundled files are read, and all that can be checked without data is right.
#[test]
fn bundled_sweeps_are_listed() {
    let sweeps = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps");
    for (name, runs) in [("digits.toml", 15), ("cifar100.toml", 6 * 10 * 3)] {
        let bundled = std::fs::read_to_string(sweeps.join(name)).unwrap();
        let output = sweep(&folder("bundled"), &bundled, &["--dry-run"]);
        let listed = text(&output.stdout);
        assert_eq!(listed.matches("to do ").count(), runs, "{listed}{}", text(&output.stderr));
    }
}

#[test]
fn mistakes_are_named() {
    let at = folder("mistakes");
    let cases = [
        (SWEEP.replace("\"kd\"", "\"kdd\""), "no method \"kdd\""),
        (SWEEP.replace("[1, 2]", "[1, 1]"), "is there twice"),
        (SWEEP.replace("[1, 2]", "[]"), "at least one seed"),
        (SWEEP.replace("epochs = 2", "epoks = 2"), "epoks"),
        (SWEEP.replace("model = \"cnn:3\"", "modell = \"cnn:3\""), "modell"),
        (
            format!("{SWEEP}\n[[pair]]\nteacher = \"teacher.safetensors\"\nmodel = \"cnn:3\""),
            "is there twice",
        ),
        (SWEEP.replace("train_teacher = { model = \"cnn:5\", epochs = 1 }", ""), "is not there; train it"),
        ("methods = [".into(), "sweep.toml"),
        (SWEEP.replace("\"kd\"", "\"alone\""), "choose another label"),
        (SWEEP.replace("\"kd\"", "{ label = \"kd\" }"), "a method such as"),
        (format!("{SWEEP}without = [\"at\"]\n"), "no method \"at\" to leave out; there are kd, feature"),
        (format!("{SWEEP}methods = [\"kdd\"]\n"), "no method \"kdd\""),
        (format!("{SWEEP}methods = [\"at\", \"at\"]\n"), "is there twice"),
    ];
    for (wrong, part) in cases {
        let output = sweep(&at, &wrong, &[]);
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(part), "no {part:?} in {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

/// A result of other settings is not taken for this one's.
#[test]
fn results_of_other_settings_are_refused() {
    let at = folder("others");
    let one = SWEEP.replace("[1, 2]", "[1]").replace("\"kd\", ", "");
    assert!(sweep(&at, &one, &[]).status.success());
    let output = sweep(&at, &one.replace("batch_size = 16", "batch_size = 32"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("is of other settings"), "{}", text(&output.stdout));
}
