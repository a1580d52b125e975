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
        .args(["sweep", "sweep.toml"])
        .args(if flags.contains(&"--out") { &[][..] } else { &["--out", "out"] })
        .args(flags);
    command.output().expect("limbeck can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The table's cells that do not depend on the clock: method, last, best, gain, seeds, steps, GFLOP, MiB.
fn rows(markdown: &str) -> BTreeMap<String, Vec<String>> {
    let details = markdown.split("\n## ").nth(1).expect("a pair's table");
    let details = details.split("Measured besides").next().unwrap_or(details);
    let lines = details.lines().filter(|l| l.starts_with("| ") && !l.contains("last epoch"));
    lines
        .map(|line| {
            let mut cells: Vec<String> = line.trim_matches('|').split('|').map(|c| c.trim().into()).collect();
            cells.remove(6);
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
    assert!(listed.contains("2 runs left: about ") && !listed.contains("roughly"), "{listed}");
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

/// The binary with these words.
fn limbeck(at: &Path, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.current_dir(at).env("XDG_RUNTIME_DIR", at).args(words.split_whitespace());
    let output = command.output().expect("limbeck can be started");
    assert!(output.status.success(), "{words}: {}", text(&output.stderr));
    output
}

/// The data and steps of [`SWEEP`].
const RUN: &str = "--limit-train 96 --limit-test 60 --epochs 2 --batch-size 16";

/// A trained network at `NAME/model.safetensors`.
fn teacher(at: &Path, name: &str, model: &str) {
    limbeck(at, &format!("train --model {model} {RUN} --out {name}"));
}

fn written(file: &Path) -> std::time::SystemTime {
    std::fs::metadata(file).unwrap().modified().unwrap()
}

/// The first file `name` in the folders of a row.
fn of_row(out: &Path, row: &str, name: &str) -> PathBuf {
    let found = files(out, name);
    let of = |path: &&PathBuf| {
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        folder.starts_with(&format!("{row}-"))
    };
    found.iter().find(of).unwrap_or_else(|| panic!("no {row} in {found:?}")).clone()
}

/// Schemes are rows as methods are: they run as `distill --scheme` does, count all their trainings, and are
/// not run again.
#[test]
fn schemes_are_rows() {
    let at = folder("schemes");
    teacher(&at, "first", "cnn:5");
    teacher(&at, "second", "cnn:6");
    let entries = r#"[
        { scheme = "dml", peer = "cnn:2" },
        { scheme = "takd", assistant = ["cnn:4"] },
        { scheme = "ban", generations = 1 },
        { scheme = "ema", teacher_decay = 0.9 },
        { label = "two", method = "kd", teachers = [FIRST, SECOND], teacher_weights = [3.0, 1.0] },
    ]"#;
    let entries = &entries
        .replace("FIRST", "\"first/model.safetensors\"")
        .replace("SECOND", "\"second/model.safetensors\"");
    let with = SWEEP
        .replace("[\"kd\", \"feature:1,until=0.5\"]", entries)
        .replace("[1, 2]", "[1]")
        .replace("teacher.safetensors", "first/model.safetensors")
        .replace("train_teacher = { model = \"cnn:5\", epochs = 1 }", "");
    let first = sweep(&at, &with, &[]);
    assert!(first.status.success(), "{}{}", text(&first.stdout), text(&first.stderr));
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    let steps = |label: &str| rows(&table)[label][4].clone();
    assert_eq!(["alone", "dml", "ema", "two"].map(steps), ["12"; 4], "{table}");
    assert_eq!(["takd", "ban"].map(steps), ["24"; 2], "{table}");
    assert!(table.contains("- takd with assistant cnn:4\n"), "{table}");
    assert!(table.contains("- ban takes 2 trainings, whose steps all count\n"), "{table}");
    assert!(rows(&table).values().all(|cells| cells[3] == "1"), "{table}");

    // Another way to the same students.
    let one = "--teacher first/model.safetensors";
    let same = [
        ("takd", format!("--scheme takd --assistant cnn:4 {one}")),
        ("ban", "--scheme ban --generations 1".to_string()),
        ("dml", "--scheme dml --peer cnn:2".to_string()),
        ("ema", "--scheme ema --teacher-decay 0.9".to_string()),
        ("two", format!("{one},second/model.safetensors --teacher-weights 3,1")),
    ];
    for (row, words) in same {
        limbeck(&at, &format!("distill --model cnn:3 --seed 1 {RUN} {words} --out {row}"));
        let bytes = |file: PathBuf| std::fs::read(file).unwrap();
        let ours = bytes(of_row(&at.join("out"), row, "model.safetensors"));
        assert_eq!(ours, bytes(at.join(row).join("model.safetensors")), "{row} is another student");
    }

    // Several teachers of a pair are those of its methods.
    let of_pair = with.replace(entries, "[\"kd\"]").replace(
        "teacher = \"first/model.safetensors\"",
        "teachers = [\"first/model.safetensors\", \"second/model.safetensors\"]\nteacher_weights = [3, 1]",
    );
    let output = sweep(&at, &of_pair, &["--out", "several"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let ours = std::fs::read(of_row(&at.join("several"), "kd", "model.safetensors")).unwrap();
    assert_eq!(ours, std::fs::read(at.join("two/model.safetensors")).unwrap());
    let of_several = std::fs::read_to_string(at.join("several/results.md")).unwrap();
    let teachers = of_several.lines().find(|line| line.starts_with("| teacher |")).unwrap();
    assert_eq!(teachers.matches(" / ").count(), 1, "{of_several}");

    // What is there is taken; of a scheme that was stopped, its trainings that were done.
    let kept: Vec<PathBuf> = files(&at.join("out"), "result.json");
    let takd = of_row(&at.join("out"), "takd", "result.json");
    std::fs::remove_file(&takd).unwrap();
    let checkpoint = of_row(&at.join("out"), "takd", "checkpoint-assistant-1.safetensors");
    std::fs::remove_file(takd.with_file_name("checkpoint-student.safetensors")).unwrap();
    let before: Vec<_> = kept.iter().filter(|file| **file != takd).map(|file| written(file)).collect();
    let assistant = written(&checkpoint);
    let again = sweep(&at, &with, &[]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let after: Vec<_> = kept.iter().filter(|file| **file != takd).map(|file| written(file)).collect();
    assert_eq!((before, assistant), (after, written(&checkpoint)), "what was done ran again");
    let second = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    assert_eq!(rows(&table), rows(&second));
}

/// A method that stored outputs are not enough for learns from the teacher itself, as if there were no
/// outputs; that is said once. Outputs of other data are refused.
#[test]
fn stored_outputs_give_way_to_their_teacher() {
    let at = folder("outputs");
    teacher(&at, "t", "cnn:5");
    limbeck(&at, "teach --teacher t/model.safetensors --limit-train 96 --out outputs.safetensors");
    let live = SWEEP
        .replace("feature:1,until=0.5", "feature:1")
        .replace("teacher.safetensors", "t/model.safetensors")
        .replace("train_teacher = { model = \"cnn:5\", epochs = 1 }", "");
    let both = format!("{live}teacher_outputs = \"outputs.safetensors\"\n");
    let output = sweep(&at, &both, &[]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let note =
        "feature:1 learns from the teacher itself, not from its stored outputs, which hold no features: ";
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    assert_eq!(text(&output.stderr).matches(note).count(), 1, "{}", text(&output.stderr));
    assert_eq!(table.matches(note).count(), 1, "{table}");
    assert!(!table.contains("kd learns"), "{table}");
    let rows_of_both = rows(&table);

    let output = sweep(&at, &live, &["--out", "live"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let of_live = rows(&std::fs::read_to_string(at.join("live/results.md")).unwrap());
    assert_eq!(rows_of_both["feature:1"], of_live["feature:1"]);
    assert_eq!(rows_of_both["alone"], of_live["alone"]);
    let bytes = |out: &str, row: &str, file: &str| std::fs::read(of_row(&at.join(out), row, file)).unwrap();
    let model = "model.safetensors";
    assert_eq!(bytes("out", "feature-1", model), bytes("live", "feature-1", model));
    let flops = |out: &str| {
        let result: serde_json::Value = serde_json::from_slice(&bytes(out, "kd", "result.json")).unwrap();
        result["flops"].as_u64().unwrap()
    };
    // Multiply-adds of the teacher's one convolution: 9 taps, 1 channel to 5, 8 x 8 pixels, batches of 16.
    let (stored, live, convolution) = (flops("out"), flops("live"), 2 * 9 * 5 * 64 * 16);
    assert!(stored + convolution <= live, "a teacher runs beside its outputs: {stored}, {live}");

    let output = sweep(&at, &both.replace("limit_train = 96", "limit_train = 80"), &["--out", "other"]);
    assert_eq!(output.status.code(), Some(1));
    let table = std::fs::read_to_string(at.join("other/results.md")).unwrap();
    assert!(
        table.contains("kd with seeds 1, 2 failed: ") && table.contains("outputs of other data"),
        "{table}"
    );
    assert!(!table.contains("learns from the teacher itself"), "{table}");
}

/// The first table's row of teachers.
fn teachers_row(at: &Path) -> String {
    let table = std::fs::read_to_string(at.join("out/results.md")).unwrap();
    let row = table.lines().find(|line| line.starts_with("| teacher |")).expect("a row of teachers");
    row.trim_start_matches("| teacher |").trim_matches(['|', ' ']).into()
}

/// The teacher's row is what `eval` says, outputs or not, and is measured once for its file and settings.
#[test]
fn teachers_are_measured_once() {
    let at = folder("measured");
    teacher(&at, "t", "cnn:5");
    limbeck(&at, "teach --teacher t/model.safetensors --limit-train 96 --out outputs.safetensors");
    let evaluated = text(&limbeck(&at, "eval t/model.safetensors --limit-test 60 --json").stdout);
    let evaluated: serde_json::Value = serde_json::from_str(&evaluated).unwrap();
    let share = evaluated["top1_accuracy"].as_f64().unwrap();
    let with = SWEEP
        .replace("\"feature:1,until=0.5\"", "")
        .replace("[1, 2]", "[1]")
        .replace("teacher = \"teacher.safetensors\"\n", "teacher_outputs = \"outputs.safetensors\"\n")
        .replace("train_teacher = { model = \"cnn:5\", epochs = 1 }", "");
    assert!(sweep(&at, &with, &[]).status.success());
    assert_eq!(teachers_row(&at), "-", "outputs tell nothing of the test set");

    let both = format!("{with}teacher = \"t/model.safetensors\"\nname = \"outputs to cnn:3\"\n");
    std::fs::remove_dir_all(at.join("out")).unwrap();
    let output = sweep(&at, &both, &[]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(teachers_row(&at), format!("{:.2}", 100.0 * share));

    let file = at.join("out/teachers.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    let planted = kept.lines().map(|line| match line.contains("\"value\"") {
        true => "    \"value\": 0.4321".to_string(),
        false => line.to_string(),
    });
    std::fs::write(&file, planted.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(sweep(&at, &both, &[]).status.success());
    assert_eq!(teachers_row(&at), "43.21", "measured again");
    assert_eq!(sweep(&at, &both.replace("limit_test = 60", "limit_test = 50"), &[]).status.code(), Some(1));
    assert_ne!(teachers_row(&at), "43.21", "of other test images");
}

/// Seconds of `roughly 3 minutes`, as of any such text.
fn seconds(words: &str) -> f64 {
    let mut words = words.split_whitespace().skip(1);
    let (number, unit) = (words.next().unwrap().parse::<f64>().unwrap(), words.next().unwrap());
    let units = [("second", 1.0), ("minute", 60.0), ("hour", 3600.0), ("day", 86400.0)];
    number * units.iter().find(|(name, _)| unit.starts_with(name)).unwrap().1
}

/// The dry run tells what is left from what finished runs took in whole, and, for a pair that has none, from
/// its work.
#[test]
fn what_is_left_is_estimated() {
    let at = folder("estimated");
    let one = SWEEP.replace("[1, 2]", "[1]").replace(", \"feature:1,until=0.5\"", "");
    let listed = |with: &str| text(&sweep(&at, with, &["--dry-run"]).stdout);
    let unknown = listed(&one);
    assert!(!unknown.contains("about") && !unknown.contains("roughly"), "{unknown}");
    assert!(unknown.contains("first  teacher to cnn:3: the teacher is trained"), "{unknown}");
    assert!(sweep(&at, &one, &[]).status.success());
    for (row, seconds) in [("alone", 60.0), ("kd", 600.0)] {
        let file = of_row(&at.join("out"), row, "result.json");
        let mut result: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert!(result["seconds"].as_f64().unwrap() > result["ms_per_step"].as_f64().unwrap() * 12.0 / 1e3);
        (result["seconds"], result["steps"]) = (seconds.into(), 12.into());
        std::fs::write(file, result.to_string()).unwrap();
    }
    let more = one
        .replace("[1]", "[1, 2]")
        .replace("\"kd\"", "\"kd\", \"at\", { scheme = \"ban\", generations = 2 }");
    let pair = |name: &str, epochs: u64| {
        format!(
            "\n[[pair]]\nname = \"{name}\"\nteacher = \"teacher.safetensors\"\nmodel = \"cnn:3\"\n\
             settings = {{ epochs = {epochs} }}\n"
        )
    };
    let listed = listed(&(more + &pair("short", 200) + &pair("long", 2000)));
    let figure = |run: &str| {
        let line =
            listed.lines().find(|line| line.contains(run)).unwrap_or_else(|| panic!("{run}: {listed}"));
        line.split_once(run).unwrap().1.trim_start_matches(", ").to_string()
    };
    assert_eq!(figure("teacher to cnn:3: alone, seed 1"), "");
    assert_eq!(figure("teacher to cnn:3: alone, seed 2"), "about 60 seconds");
    assert_eq!(figure("teacher to cnn:3: kd, seed 2"), "about 10 minutes");
    assert_eq!(figure("teacher to cnn:3: at, seed 1"), "about 10 minutes");
    assert_eq!(figure("teacher to cnn:3: ban, seed 1"), "about 30 minutes");
    let roughly = |run: &str| seconds(&figure(run));
    let ratio = roughly("long: kd, seed 1") / roughly("short: kd, seed 1");
    assert!((8.0..12.0).contains(&ratio), "{listed}");
    assert!(roughly("short: kd, seed 2") > roughly("short: alone, seed 2"), "{listed}");
    assert!(roughly("short: ban, seed 2") > 2.0 * roughly("short: kd, seed 2"), "{listed}");
    assert!(listed.contains("22 runs left: about 2 hours for 6, roughly "), "{listed}");
}

#[test]
fn mistakes_are_named() {
    let at = folder("mistakes");
    let cases = [
        (SWEEP.replace("\"kd\"", "\"kdd\""), "no method \"kdd\""),
        (SWEEP.replace("[1, 2]", "[1, 1]"), "appears twice"),
        (SWEEP.replace("[1, 2]", "[]"), "at least one seed"),
        (SWEEP.replace("epochs = 2", "epoks = 2"), "epoks"),
        (SWEEP.replace("model = \"cnn:3\"", "modell = \"cnn:3\""), "modell"),
        (format!("{SWEEP}\n[[pair]]\nteacher = \"teacher.safetensors\"\nmodel = \"cnn:3\""), "appears twice"),
        (SWEEP.replace("train_teacher = { model = \"cnn:5\", epochs = 1 }", ""), "is not there; train it"),
        ("methods = [".into(), "sweep.toml"),
        (SWEEP.replace("\"kd\"", "\"alone\""), "choose another label"),
        (SWEEP.replace("\"kd\"", "{ label = \"kd\" }"), "a method such as"),
        (format!("{SWEEP}without = [\"at\"]\n"), "no method \"at\" to leave out; there are kd, feature"),
        (format!("{SWEEP}methods = [\"kdd\"]\n"), "no method \"kdd\""),
        (format!("{SWEEP}methods = [\"at\", \"at\"]\n"), "appears twice"),
        (SWEEP.replace("\"kd\"", "3"), "a method such as"),
        (SWEEP.replace("\"kd\"", "{ scheme = \"ban\", generation = 2 }"), "unknown field `generation`, exp"),
        (SWEEP.replace("\"kd\"", "{ scheme = \"nope\" }"), "scheme: expected one of offline, dml, ban"),
        (SWEEP.replace("\"kd\"", "{ scheme = \"takd\" }"), "methods: \"takd\": assistant: is needed"),
        (
            SWEEP.replace("\"kd\"", "{ scheme = \"dml\", generations = 2 }"),
            "sweep.toml: [[pair]] \"teacher to cnn:3\": methods: \"dml\": generations: does not apply to --",
        ),
        (
            SWEEP.replace("\"kd\"", "{ scheme = \"takd\", assistant = [\"resnet21\"] }"),
            "methods: \"takd\": assistant: no model \"resnet21\"; there are ",
        ),
        (
            SWEEP.replace("cnn:3", "cmm:3"),
            "[[pair]] \"teacher to cmm:3\": model: no model \"cmm:3\"; there are ",
        ),
        (SWEEP.replace("\"kd\"", "{ scheme = \"ban\", generations = 0 }"), "expected at least 1, got 0"),
        (SWEEP.replace("\"kd\"", "{ scheme = \"ema\", teacher_decay = 2.0 }"), "expected 0 to 1, got 2"),
        (
            SWEEP.replace("\"kd\"", "{ method = \"kd\", teachers = [\"a\"], teacher_weights = [1.0, 2.0] }"),
            "teacher_weights: expected 1, one for each teacher, got 2",
        ),
        (SWEEP.replace("epochs = 2", "generations = 2"), "settings: generations: it belongs to an entry of"),
        (format!("{SWEEP}teachers = [\"a.pth\"]\n"), "teachers: is given beside teacher; leave one out"),
        (format!("{SWEEP}teacher_outputs = \"none.safetensors\"\n"), "none.safetensors: is not there; write"),
        (
            SWEEP
                .replace("train_teacher = { model = \"cnn:5\", epochs = 1 }", "")
                .replace("teacher = \"teacher.safetensors\"\n", ""),
            "[[pair]] \"cnn:3\": methods: \"kd\": teacher: is needed here",
        ),
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
