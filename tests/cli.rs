//! The built binary, as a user meets it: what works, and what an error looks like.

mod cli_files;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cli_files::run::{command, fails, limbeck, refused, teacher, text, words, works};
use cli_files::{Bad, bad_models, digit, scratch};

#[test]
fn usage_errors() {
    fails(2, &["train", "--no-such-flag"], &["--no-such-flag", "--help"]);
    fails(2, &["train", "--epochs", "many"], &["many", "--epochs"]);
    fails(2, &["eval", "m.safetensors", "--batch-size", "-1"], &["-1"]);
    fails(2, &["predict", "m.safetensors"], &["IMAGE"]);
    fails(2, &["predict", "m.safetensors", "x.png", "--top", "0"], &["--top", "1.."]);
    fails(2, &["eval"], &["<MODEL>"]);
    fails(2, &["data", "get"], &["NAME"]);
    fails(2, &["no-such-command"], &["no-such-command"]);
    fails(2, &["adapters", "--submit-seconds", "0"], &["--submit-seconds", "above zero"]);
    fails(2, &["train", "--resume", "--overwrite"], &["--resume", "--overwrite"]);
}

#[test]
fn unknown_names_list_the_known_ones() {
    refused("train --model nope --out untouched", &["model", "nope", "cnn", "mlp"]);
    refused("train --model cnn:4,x --out untouched", &["cnn:4,x", "expected"]);
    refused("train --out untouched", &["model", "--model cnn:8,16,32"]);
    refused("train --model cnn:4 --data nope --out untouched", &["nope", "digits", "fashion-mnist"]);
    refused("train --model cnn:4 --data mnist --out untouched", &["mnist", "limbeck data get mnist"]);
    refused("train --model cnn:4 --optimizer nope --out untouched", &["nope", "adamw"]);
    refused("train --model cnn:4 --limit-train 8 --out untouched", &["batch_size", "8"]);
    refused("train --model cnn:4 --limit-train 0 --out untouched", &["--limit-train", "at least 1"]);
    refused("train --model cnn:4 --batch-size 0 --out untouched", &["batch_size", "0"]);
    refused("train --model cnn:4 --learning-rate NaN --out untouched", &["learning_rate"]);
    refused("models show nope", &["nope", "cnn"]);
    refused("models show cnn:65536,65536", &["too large"]);
    refused("models show cnn:99999999999999999999", &["65536", "cnn:32,64,128"]);
    refused("models show cnn:4,,8", &["cnn:4,,8", "expected numbers"]);
    refused("models show resnet", &["\"resnet\"", "resnet:20"]);
    refused("models show vgg:7", &["vgg:7", "8, 11, 13, 16 or 19"]);
    refused("models show cnn:4 --input 3x32", &["3x32", "3x32x32"]);
    refused("models show cnn:4 --input 3x99999999999x99999999999", &["3x99999999999"]);
    refused("data get nope", &["nope", "digits"]);
    refused("data get mnist --dir untouched --base-url ftp://x", &["--base-url", "ftp://x", "http://"]);
    // The port is reserved and answers nobody.
    let mirror = "http://127.0.0.1:1/";
    let place = ["train-images-idx3-ubyte.gz", mirror, "put it at untouched", "sha256"];
    refused(&format!("data get mnist --dir untouched --base-url {mirror}"), &place);
    refused("models show cnn:4 --backend nope", &["backend", "nope", "vulkan"]);
    assert!(!scratch().join("untouched").exists());
}

#[test]
fn unknown_methods_and_taps() {
    let model = teacher().join("model.safetensors");
    let distill = format!("distill --teacher {} --model cnn:2 --out untouched-taps", model.display());
    refused(&format!("{distill} --method nope"), &["nope", "kd", "feature"]);
    refused(&format!("{distill} --method kd:x"), &["\"kd\"", "\"x\""]);
    refused(&format!("{distill} --method feature --taps nope:pool1"), &["nope", "pool1"]);
    refused(&format!("{distill} --method feature --taps pool1:nope"), &["nope", "pool1"]);
    // Shapes that do not fit: what there is instead, of both.
    let shapes =
        ["fc [64, 10]", "the teacher's taps are conv1", "the student's are conv1", "pool1 [64, 2, 4, 4]"];
    refused(&format!("{distill} --method at --taps fc:pool1"), &shapes);
    refused(&format!("{distill} --taps pool1"), &["pool1", "TEACHER-LAYER:STUDENT-LAYER"]);
    refused("distill --model cnn:2 --out untouched-taps", &["teacher", "--teacher"]);
    refused(&format!("{distill} --scheme nope"), &["nope", "offline, dml, ban, takd, byot, tf-kd, ema"]);
    refused(&format!("{distill} --scheme dml"), &["teacher", "does not apply to --scheme dml"]);
    refused("distill --model cnn:2 --scheme dml --baseline", &["baseline", "does not apply to --scheme dml"]);
    refused(&format!("{distill} --teacher-weights 0.5,0.5"), &["teacher_weights", "expected 1", "got 2"]);
    refused("distill --scheme takd --model cnn:2 --out untouched-taps", &["teacher", "--teacher"]);
    assert!(!scratch().join("untouched-taps").exists());
}

#[test]
fn settings_files() {
    let write = |name: &str, text: &str| fs::write(scratch().join(name), text).expect("a scratch file");
    write("unknown.toml", "model = \"cnn:4\"\nlerning_rate = 0.1\n");
    write("type.toml", "model = \"cnn:4\"\nepochs = \"three\"\n");
    write("syntax.toml", "model = \n");
    for (file, part) in [("unknown", "lerning_rate"), ("type", "three"), ("syntax", "line 1")] {
        let output = limbeck(&words(&format!("train --config {file}.toml --out untouched-toml")));
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        // The parser shows the line, with a mark under the place: several lines, one error.
        assert!(err.starts_with(&format!("error: {file}.toml: ")) && err.contains(part), "{err}");
        assert!(!err.contains("panicked") && !err.contains('\u{1b}'), "{err}");
    }
    refused("train --config none.toml", &["none.toml", "check the path"]);
    refused("train --config .", &["directory"]);
    assert!(!scratch().join("untouched-toml").exists());
}

#[test]
fn bad_model_files() {
    let image = digit("for-bad-models.png");
    for Bad { path, parts } in bad_models(&teacher().join("model.safetensors")) {
        let name = path.file_name().and_then(OsStr::to_str).expect("a name");
        let parts: Vec<&str> = parts.iter().copied().chain([name]).collect();
        let start = Instant::now();
        fails(1, &[OsStr::new("eval"), path.as_os_str()], &parts);
        assert!(start.elapsed() < Duration::from_secs(30), "{name} took {:?}", start.elapsed());
        fails(1, &[OsStr::new("predict"), path.as_os_str(), image.as_os_str()], &parts);
        let line = format!("distill --teacher {} --model cnn:2 --out untouched-teacher", path.display());
        refused(&line, &parts);
    }
    assert!(!scratch().join("untouched-teacher").exists());
}

/// Downloaded models may hold anything; `fails` looks for escapes, `works` for all control codes.
#[test]
fn control_codes_in_a_model_file_do_not_reach_the_terminal() {
    let good = teacher().join("model.safetensors");
    let escape = "\u{1b}]0;title\u{7}\u{1b}[31m";
    for (key, value) in [("limbeck.model", escape), ("limbeck.input", escape)] {
        let file = cli_files::saying(&good, "escape.safetensors", key, value);
        refused(&format!("eval {}", file.display()), &["]0;title"]);
    }
    let names = "[\"\u{9b}31m\",\"\\u001b[31m\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]";
    let file = cli_files::saying(&good, "names.safetensors", "limbeck.classes", names);
    let image = digit("for-escapes.png");
    for line in ["eval FILE", "eval FILE --json", "predict FILE IMAGE --top 10", "predict FILE IMAGE --json"]
    {
        works(
            &line.replace("FILE", &file.display().to_string()).replace("IMAGE", &image.display().to_string()),
        );
    }
}

/// As in `limbeck profile | head -1`.
#[test]
fn a_reader_that_leaves_early_is_no_panic() {
    for line in ["models", "models show cnn:4", "data", "adapters", "profile --model cnn:2 --repeats 1"] {
        let mut command = command(&words(line));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        let err = text(&output.stderr);
        assert!(output.status.success() && !err.contains("panicked"), "limbeck {line}:\n{err}");
    }
}

#[test]
fn bad_images() {
    let model = teacher().join("model.safetensors");
    let good = digit("whole.png");
    let bytes = fs::read(&good).expect("the image");
    let write = |name: &str, bytes: &[u8]| fs::write(scratch().join(name), bytes).expect("a scratch file");
    write("cut.png", &bytes[..bytes.len() / 2]);
    write("words.png", b"not an image");
    write("empty.png", b"");
    for (name, part) in [
        ("cut.png", "PNG"),
        ("words.png", "PNG or JPEG"),
        ("empty.png", "empty"),
        ("none.png", "found nothing"),
    ] {
        // The good image comes first, and nothing of it is printed.
        refused(&format!("predict {} {} {name}", model.display(), good.display()), &[name, part]);
    }
    // A folder stands for its images.
    fs::create_dir_all(scratch().join("photos")).expect("a scratch folder");
    refused(&format!("predict {} photos", model.display()), &["photos", "found none"]);
    fs::copy(&good, scratch().join("photos/a.png")).expect("a copy");
    let out = works(&format!("predict {} photos", model.display()));
    assert!(out.contains("photos/a.png") || out.contains("photos\\a.png"), "{out}");
    write("photos/cut.png", &bytes[..bytes.len() / 2]);
    refused(&format!("predict {} photos", model.display()), &["cut.png", "PNG"]);
}

#[test]
fn eval_says_how_good_it_is() {
    let model = teacher().join("model.safetensors");
    let out = works(&format!("eval {} --limit-test 100", model.display()));
    for part in ["cnn:4", "100 test images of digits", "recall %", "top-1 accuracy", "images/s"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let json = works(&format!("eval {} --limit-test 100 --batch-size 7 --json", model.display()));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let correct = json["correct"].as_u64().expect("a count");
    let sum: u64 =
        json["classes"].as_array().expect("a list").iter().filter_map(|c| c["correct"].as_u64()).sum();
    assert_eq!((json["images"].as_u64(), sum), (Some(100), correct));
    assert!(out.contains(&format!("({correct} of 100)")), "the batch size changed the answer: {out}");
    refused(&format!("eval {} --data-std 0", model.display()), &["above 0"]);
    refused(&format!("eval {} --data-mean 0,0,0", model.display()), &["--data-mean", "1 channels"]);
    refused(&format!("eval {} --model cnn:5", model.display()), &["conv1.weight", "cnn:5"]);
    refused(&format!("eval {} --limit-test 0", model.display()), &["--limit-test", "at least 1"]);
    refused(&format!("eval {} --data-dir x", model.display()), &["--data-dir", "digits is built into"]);
    refused(&format!("eval {} --data folder", model.display()), &["<class>", "--data-dir"]);
}

#[test]
fn eval_of_a_file_without_metadata() {
    let bare = cli_files::without_metadata(&teacher().join("model.safetensors"));
    refused(&format!("eval {}", bare.display()), &["architecture", "--model"]);
    let line = format!("distill --teacher {} --model cnn:2 --out untouched-bare", bare.display());
    refused(&line, &["--teacher-model"]);
    assert!(!scratch().join("untouched-bare").exists());
    let image = digit("for-bare.png");
    let predict = format!("predict {} {} --model cnn:4", bare.display(), image.display());
    refused(&predict, &["input size", "--data"]);
    let by_data = works(&format!("{predict} --data digits"));
    let by_flags = format!("{predict} --input 1x8x8");
    refused(&by_flags, &["classes", "--classes"]);
    let by_flags = format!("{by_flags} --classes 10");
    refused(&by_flags, &["mean", "--data-mean", "--data-std"]);
    let by_flags = format!("{by_flags} --data-mean 0.3053");
    refused(&by_flags, &["standard deviation", "--data-std"]);
    let by_flags = format!("{by_flags} --data-std 0.3760");
    assert_eq!(by_data, works(&by_flags));
    refused(&by_flags.replace("10", "0"), &["--classes", "got 0"]);
    refused(&by_flags.replace("10", "12"), &["fc.weight", "[12, 64]", "[10, 64]"]);
    let named = by_flags.replace("10", "a,b,c,d,e,f,g,h,i,j");
    assert!(works(&named).contains(" %  b"), "{named}");
    let same = |file: &Path| {
        let json = works(&format!("eval {} --model cnn:4 --limit-test 100 --json", file.display()));
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["correct"].clone()
    };
    assert_eq!(same(&bare), same(&teacher().join("model.safetensors")));
    let renamed = cli_files::with_other_classes(&teacher().join("model.safetensors"));
    let output = limbeck(&[OsStr::new("eval"), renamed.as_os_str()]);
    let err = text(&output.stderr);
    assert!(output.status.success() && err.contains("zero") && err.contains("WARN"), "{err}");
}

#[test]
fn predict_names_classes() {
    let (model, image) = (teacher().join("model.safetensors"), digit("digit.png"));
    let out = works(&format!("predict {} {} --top 3", model.display(), image.display()));
    assert_eq!(out.lines().count(), 4, "{out}");
    let json = works(&format!("predict {} {} --top 99 --json", model.display(), image.display()));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let classes = json[0]["classes"].as_array().expect("a list").clone();
    let sum: f64 = classes.iter().filter_map(|c| c["probability"].as_f64()).sum();
    assert!(classes.len() == 10 && (sum - 1.0).abs() < 1e-9, "{classes:?}");
    assert_eq!(json.as_array().map(Vec::len), Some(1));
}

/// Of mean and deviation, each is the teacher's where the user gave none.
#[test]
fn a_students_images_are_normalised_as_the_teachers() {
    let [teacher, student] = ["normalised-teacher", "normalised-student"].map(|name| scratch().join(name));
    let short = "--model mlp:4 --limit-train 64 --limit-test 20 --max-steps 1";
    works(&format!("train {short} --data-mean 0.25 --data-std 0.75 --out {} --overwrite", teacher.display()));
    let teacher = teacher.join("model.safetensors");
    for (flags, mean, std) in
        [("", 0.25, 0.75), ("--data-mean 0.5", 0.5, 0.75), ("--data-std 0.5", 0.25, 0.5)]
    {
        let out = format!("--out {} --overwrite", student.display());
        works(&format!("distill {short} --teacher {} {flags} {out}", teacher.display()));
        let file = student.join("model.safetensors");
        let json = works(&format!("eval {} --limit-test 20 --json", file.display()));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!((&json["mean"][0], &json["std"][0]), (&mean.into(), &std.into()), "{flags}");
    }
}

#[test]
fn lists() {
    let out = works("data");
    assert!(out.contains("built into limbeck") && out.contains("limbeck data get cifar10"), "{out}");
    assert_eq!(out, works("data list"));
    assert!(works("data get digits").contains("built into limbeck"));
    let out = works("models");
    assert!(out.contains("cnn:32,64,128") && out.contains("resnet20, resnet32"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 120), "{out}");
    let out = works("methods");
    assert!(out.lines().any(|line| line.starts_with("dkd ")), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 120), "{out}");
    let out = works("methods dkd");
    assert!(out.contains("2203.08679") && out.contains("a number from 0, default 8"), "{out}");
    assert!(works("methods --markdown").starts_with("# Distillation methods"));
    refused("methods nope", &["nope", "dkd", "logit-std"]);
    let out = works("models show cnn:8,16 --input 1x8x8");
    for part in ["*  pool2  16x2x2", "fc     10         650", "1922", "FLOPs"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    // resnet20 by hand: He et al.'s shortcuts have no weights, and a multiply-add counts as 2.
    let out = works("models show resnet20");
    let row = |layer: &str| -> Vec<String> {
        let line = out.lines().find(|line| line.split_whitespace().any(|word| word == layer));
        line.unwrap_or_else(|| panic!("no {layer} in {out}")).split_whitespace().map(String::from).collect()
    };
    assert_eq!(row("conv1"), ["conv1", "16x32x32", "432", "885", "k"]);
    assert_eq!(row("layer1.0.conv1"), ["layer1.0.conv1", "16x32x32", "2.30", "k", "4.72", "M"]);
    assert_eq!(row("layer3.0.conv1"), ["layer3.0.conv1", "64x8x8", "18.4", "k", "2.36", "M"]);
    assert_eq!(row("layer2")[..3], ["*", "layer2", "32x16x16"]);
    let convolutions = 9 * (3 * 16 + 6 * 256 + 512 + 5 * 1024 + 2048 + 5 * 4096);
    let norms = 2 * (7 * 16 + 6 * 32 + 6 * 64);
    assert!(out.contains(&format!("({})", convolutions + norms + 650)), "{out}");
    assert!(out.contains("81.9 M FLOPs per image"), "{out}");
}

#[test]
fn help_ends_with_examples() {
    let commands = "demo,train,distill,eval,predict,data,data get,models,models show,profile,adapters,check";
    for command in commands.split(',') {
        let help = works(&format!("{command} --help"));
        let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("no examples: {help}"));
        let name = command.split(' ').next().expect("a word");
        assert!(examples.lines().all(|l| l.starts_with("  ")), "{help}");
        assert!(examples.contains(&format!("  limbeck {name}")), "{help}");
    }
}

/// The list is of what the flags allow, as the other commands choose from it.
#[test]
fn adapters_are_listed_by_the_flags() {
    let first = works("adapters");
    let name = first.lines().next().and_then(|l| l.rsplit_once(" (")).expect("an adapter").0;
    let asked = [OsStr::new("adapters"), OsStr::new("--adapter"), OsStr::new(name)];
    let found = text(&limbeck(&asked).stdout);
    let heads = |out: &str| out.lines().filter(|l| !l.starts_with(' ')).map(String::from).collect::<Vec<_>>();
    assert!(!heads(&found).is_empty() && heads(&found).iter().all(|l| l.starts_with(name)), "{found}");
    refused("adapters --adapter no-such-adapter", &["no-such-adapter", "there are", name]);
    refused("adapters --backend nope", &["backend", "nope", "vulkan"]);
}

/// They are an experiment: used where they are asked for, and refused where the adapter has none of use.
#[test]
fn cooperative_matrices_are_asked_for() {
    let adapters = works("adapters");
    let said =
        adapters.lines().find(|l| l.starts_with("    cooperative matrices: ")).expect("a line about them");
    let check = "check --ops one_hot";
    works(check);
    let by_variable = command(&words(check)).env("LIMBECK_COOPERATIVE_MATRIX", "1").output().unwrap();
    if said.contains("--cooperative-matrix uses") {
        works(&format!("{check} --cooperative-matrix"));
        assert!(by_variable.status.success());
    } else {
        let name = adapters.lines().next().and_then(|l| l.rsplit_once(" (")).expect("an adapter").0;
        let parts = [name, "no cooperative matrices", "needed 8x8x8 of f32", "it offers", "limbeck adapters"];
        refused(&format!("{check} --cooperative-matrix"), &parts);
        assert!(text(&by_variable.stderr).contains("no cooperative matrices"));
    }
    let off = command(&words(check)).env("LIMBECK_COOPERATIVE_MATRIX", "0").output().unwrap();
    assert!(off.status.success(), "{}", text(&off.stderr));
}

/// A regressor belongs to the training: the saved student has the tensors of its architecture and no other.
#[test]
fn tuning_is_kept_and_can_be_left_out() {
    let cache = scratch().join("cache");
    let run = |words: &[&str]| command(words).env("LIMBECK_CACHE", &cache).output().unwrap();
    let step = ["--model", "cnn:4", "--dataset-shape", "1x8x8", "--batch-size", "32"];
    let with = |first: &[&'static str], more: &[&'static str]| run(&[first, &step[..], more].concat());
    let tuned = with(&["tune"], &[]);
    let shown = text(&tuned.stdout);
    assert!(tuned.status.success(), "{}", text(&tuned.stderr));
    for part in ["Conv2d", "of the tuned speed", "tuned.json"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    // A second time nothing is left to measure.
    let again = with(&["tune"], &[]);
    assert!(!text(&again.stderr).contains("tuning"), "{}", text(&again.stderr));
    // A damaged file is said and done without, and --no-tune does not look at it.
    fs::write(cache.join("tuned.json"), "{\"limbeck\":").unwrap();
    let damaged = with(&["profile"], &["--repeats", "1"]);
    assert!(
        damaged.status.success() && text(&damaged.stderr).contains("tuned.json"),
        "{}",
        text(&damaged.stderr)
    );
    let without = with(&["profile"], &["--repeats", "1", "--no-tune"]);
    assert!(
        without.status.success() && !text(&without.stderr).contains("tuned.json"),
        "{}",
        text(&without.stderr)
    );
    fails(2, &["tune"], &["--model"]);
    fails(2, &["tune", "--kernels", "--tune", "--no-tune"], &["--tune", "--no-tune"]);
}

#[test]
fn the_saved_student_has_no_distillation_parts() {
    let model = teacher().join("model.safetensors");
    let small = "--epochs 1 --limit-train 128 --limit-test 20 --model cnn:2";
    let distill = format!("distill --teacher {} {small} --method kd+feature", model.display());
    works(&format!("{distill} --out regressed"));
    works(&format!("train {small} --out plain"));
    let names = |file: &str| {
        let (tensors, _) = limbeck::files::read_safetensors(scratch().join(file)).expect("a file");
        tensors.into_iter().map(|t| (t.name, t.shape)).collect::<Vec<_>>()
    };
    assert_eq!(names("regressed/model.safetensors"), names("plain/model.safetensors"));
    let checkpoints = fs::read_dir(scratch().join("regressed")).expect("a folder").flatten();
    let checkpoint = checkpoints
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .find(|n| n.starts_with("checkpoint"))
        .expect("a checkpoint");
    let kept = names(&format!("regressed/{checkpoint}"));
    assert!(kept.iter().any(|(n, _)| n.contains("regressors")), "no regressor was trained: {kept:?}");
}

#[test]
fn train_distill_resume() {
    let model = teacher().join("model.safetensors");
    for name in ["config.toml", "metrics.jsonl", "report.html", "checkpoint-train.safetensors"] {
        assert!(teacher().join(name).is_file(), "{name}");
    }
    let line = format!(
        "distill --teacher {} --model cnn:2 --epochs 2 --limit-train 256 --limit-test 100 --out student",
        model.display()
    );
    let plan = works(&format!("{line} --dry-run"));
    assert!(plan.contains("in one pass, one submit") && !scratch().join("student").exists(), "{plan}");
    let plan = works(&format!("{line} --dry-run --submit-seconds 0.00001"));
    assert!(plan.contains(" submits\n"), "{plan}");
    let out = works(&line);
    let student = scratch().join("student");
    assert!(out.contains("kd") && student.join("model.safetensors").is_file(), "{out}");
    let first = fs::read(student.join("model.safetensors")).expect("the student");
    refused(&line, &["student", "--resume", "--overwrite"]);
    assert_eq!(first, fs::read(student.join("model.safetensors")).expect("the student"));
    works(&format!("{line} --resume"));
    assert_eq!(first, fs::read(student.join("model.safetensors")).expect("the student"));
    refused(&format!("{line} --resume --learning-rate 0.3"), &["another run", "learning_rate"]);
    let settings = fs::read_to_string(student.join("config.toml")).expect("settings");
    assert!(!settings.contains("learning_rate"), "the refused settings were kept: {settings}");
    works(&format!("{line} --overwrite"));
    assert_eq!(first, fs::read(student.join("model.safetensors")).expect("the student"));
}

#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let line = "train --model cnn:3 --epochs 40 --limit-train 256 --limit-test 50 --checkpoint-every 3";
    works(&format!("{line} --out whole"));
    let mut child = command(&words(&format!("{line} --out parts"))).spawn().expect("limbeck can be started");
    let checkpoint = scratch().join("parts/checkpoint-train.safetensors");
    for _ in 0..1000 {
        std::thread::sleep(Duration::from_millis(10));
        if checkpoint.exists() {
            break;
        }
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    refused(&format!("{line} --out parts"), &["parts", "--resume"]);
    works(&format!("{line} --out parts --resume"));
    let read = |folder: &str| fs::read(scratch().join(folder).join("model.safetensors")).expect("a model");
    assert!(read("whole") == read("parts"), "the weights differ");
}

#[test]
fn networks_of_pytorch_and_onnx_are_used() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let file = |name: &str| fixtures.join(name).display().to_string();
    let model = "--model resnet_b:8,4,4,8,8";
    let accuracy = |line: String| {
        let out = works(&format!("eval {line} --limit-test 40"));
        out.lines().find(|line| line.contains("accuracy")).map(String::from).expect("an accuracy")
    };
    let native = accuracy(format!("{} {model}", file("teacher/teacher.safetensors")));
    assert_eq!(accuracy(format!("{} {model}", file("teacher/teacher.pth"))), native);
    assert_eq!(accuracy(file("teacher/norms.onnx")), native);
    let shown = works(&format!("models show {}", file("teacher/norms.onnx")));
    for part in
        ["1x8x8 to 10 classes", "/layer3/layer3.0/Relu_1", "BatchNormalization", "FLOPs", "name of its node"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let evil = file("statedicts/evil.pth");
    fails(1, &["eval", &evil, "--model", "resnet20"], &["print", "evil.pth"]);
    let distill = [
        "distill",
        "--teacher",
        &file("teacher/norms.onnx"),
        "--model",
        "cnn:2",
        "--teacher-model",
        "resnet20",
    ];
    fails(1, &distill, &["leave out --teacher-model"]);
}

/// What `teach` writes is what `distill` learns from, and no weights of the teacher are in its plan.
#[test]
fn teacher_outputs() {
    let model = teacher().join("model.safetensors");
    let model = model.display();
    let out =
        works(&format!("teach --teacher {model} --limit-train 128 --taps conv1 --out outputs.safetensors"));
    assert!(out.contains("wrote outputs.safetensors: 128 images, 1 epochs, teacher cnn:4"), "{out}");
    let learn = "distill --model cnn:4 --epochs 1 --limit-train 128 --limit-test 100";
    let stored = format!("{learn} --teacher-outputs outputs.safetensors");
    let plan = works(&format!("{stored} --dry-run"));
    assert!(plan.contains("outputs in outputs.safetensors, no weights"), "{plan}");
    assert!(!plan.contains("teacher/"), "{plan}");
    works(&format!("{stored} --teacher {model} --out stored"));
    works(&format!("{learn} --teacher {model} --out live"));
    let student =
        |folder: &str| limbeck::files::read_safetensors(scratch().join(folder).join("model.safetensors"));
    assert_eq!(student("stored").unwrap().0, student("live").unwrap().0);
    let fewer = stored.replace("--limit-train 128", "--limit-train 64");
    refused(&format!("{fewer} --out no"), &["outputs.safetensors", "128 samples", "64 samples"]);
    refused(&format!("{stored} --flip --out no"), &["other augmentation"]);
    refused(&format!("{stored} --data-mean 0.5 --data-std 0.5 --out no"), &["other normalisation"]);
    refused(&format!("{stored} --teacher-hash 12 --out no"), &["other teacher"]);
    refused(&format!("{stored} --method feature --taps conv2:conv1 --out no"), &["conv2", "conv1"]);
    refused(&format!("{learn} --teacher {model} --teacher-hash 12 --out no"), &["--teacher-outputs"]);
    refused(&format!("{learn} --teacher-outputs {model} --out no"), &["limbeck teach"]);
    refused(&format!("teach --teacher {model} --epochs 2 --out no"), &["every epoch"]);
    refused(&format!("teach --teacher {model} --topk 10 --out no"), &["1 to 9"]);
    refused(&format!("teach --teacher {model} --taps gone --out no"), &["gone", "conv1"]);
}
