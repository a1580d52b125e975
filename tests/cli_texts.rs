//! Texts on the command line: vectors of them, static models, classifiers and sentence encoders, trained, measured and opened
//! again. The encoder is a small one that sentence-transformers wrote (tests/fixtures/encoder.py).

// What runs the binary is shared with other tests, which use more of it.
#[allow(dead_code)]
#[path = "cli_files/run.rs"]
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use run::{refused, works};
use serde_json::Value;

const ENCODER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/encoder/sentences");

/// Where the commands run: texts of two classes, told apart by one word, and scored pairs.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_texts");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("classes")).expect("a scratch folder");
        fs::create_dir_all(path.join("pairs")).expect("a scratch folder");
        let begins = ["the", "a", "on the", "on a", "the mat the", "a mat a", "the mat on a"];
        let ends = ["sat", "sat on", "fly", "sing", "sat on the mat", "flying"];
        let text = |n: usize| {
            let who = if n.is_multiple_of(2) { "cat" } else { "bird" };
            (format!("{} {who} {}", begins[n / 2 % 7], ends[n / 14 % 6]), who)
        };
        let rows = |range: std::ops::Range<usize>| -> String {
            range.map(text).map(|(text, who)| format!("{text}\t{who}\n")).collect()
        };
        let write = |name: &str, text: &str| fs::write(path.join(name), text).expect("a file");
        write("classes/train.tsv", &format!("text\tlabel\n{}", rows(0..64)));
        write("classes/test.tsv", &format!("text\tlabel\n{}", rows(64..84)));
        let lines: String = (0..60).map(|n| text(n).0 + "\n").collect();
        write("lines.txt", &lines);
        write("pairs/train.txt", &lines);
        let pair = |n: usize| {
            let ((a, who), (b, other)) = (text(n), text(n * 3 + 7));
            format!("{a}\t{b}\t{}\n", if who == other { 4.0 } else { 1.0 + n as f64 / 100.0 })
        };
        let pairs: String = (0..12).map(pair).collect();
        write("pairs/test.tsv", &format!("sentence1\tsentence2\tscore\n{pairs}"));
        path
    })
}

fn json(command: &str) -> Value {
    let out = works(command);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

/// Of each line of a file of vectors the vector.
fn vectors(file: &Path) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(file).expect("vectors");
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let numbers = line["vector"].as_array().expect("a vector").iter();
        numbers.map(|n| n.as_f64().expect("a number")).collect()
    };
    text.lines().map(line).collect()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < tolerance)
}

#[test]
fn vectors_are_the_same_in_any_form_and_batch() {
    let dir = scratch();
    let out = works(&format!("embed {ENCODER} lines.txt --out all.jsonl"));
    assert!(out.contains("60 vectors of 8 numbers"), "{out}");
    let all = vectors(&dir.join("all.jsonl"));
    assert!(all.iter().all(|v| (v.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-4));
    fs::write(
        dir.join("one.txt"),
        fs::read_to_string(dir.join("lines.txt")).unwrap().lines().nth(5).unwrap(),
    )
    .unwrap();
    works(&format!("embed {ENCODER} one.txt --out one.jsonl"));
    assert!(close(&vectors(&dir.join("one.jsonl"))[0], &all[5], 1e-5));
    works(&format!("embed {ENCODER} lines.txt --out all.npy"));
    let bytes = fs::read(dir.join("all.npy")).unwrap();
    let number = |n: usize| f32::from_le_bytes(bytes[128 + 4 * n..][..4].try_into().unwrap());
    assert!((0..8).all(|n| (f64::from(number(40 + n)) - all[5][n]).abs() < 1e-6));
    refused(&format!("embed {ENCODER} lines.txt --out all.csv"), &["--out", ".npy", "all.csv"]);
    refused("embed nothing lines.txt --out x.npy", &["nothing"]);
    refused(&format!("embed {ENCODER} nothing.txt --out x.npy"), &["nothing.txt"]);
}

#[test]
fn static_models_are_made_and_opened_again() {
    let dir = scratch();
    for (flags, name) in [("", "plain"), ("--text lines.txt --store f32", "learned")] {
        let out = works(&format!("static {ENCODER} --dims 4 {flags} --out {name}"));
        assert!(out.contains(&format!("wrote {name}")), "{out}");
        assert_eq!(out.contains("learned from 60 sentences"), name == "learned", "{out}");
        works(&format!("embed {name} lines.txt --out {name}.jsonl"));
        let all = vectors(&dir.join(format!("{name}.jsonl")));
        assert_eq!((all.len(), all[0].len()), (60, 4));
        assert!(all.iter().all(|v| (v.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-3));
    }
    assert_ne!(fs::read(dir.join("plain.jsonl")).unwrap(), fs::read(dir.join("learned.jsonl")).unwrap());
    refused(&format!("static {ENCODER} --dims 9 --out wide"), &["dims", "8 numbers"]);
    assert!(!dir.join("wide").exists());
}

const STEPS: &str = "--epochs 15 --batch-size 16 --learning-rate 0.01";

/// Trained to tell texts of birds from those of cats.
fn classifier() -> &'static str {
    static CLASSIFIER: OnceLock<()> = OnceLock::new();
    CLASSIFIER.get_or_init(|| {
        let data =
            format!("--data texts --data-dir classes --max-tokens 12 --tokenizer {ENCODER}/tokenizer.json");
        works(&format!("train {data} --model bert:1,16,2,32 {STEPS} --out teacher"));
    });
    "teacher/model.safetensors"
}

/// The names of what was measured.
fn names(found: &Value) -> Vec<&str> {
    found["metrics"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect()
}

fn metric(found: &Value, name: &str) -> f64 {
    let all = found["metrics"].as_array().unwrap().iter();
    all.filter(|m| m["name"] == name).filter_map(|m| m["value"].as_f64()).next().expect("a figure")
}

#[test]
fn what_texts_are_is_said_of_each() {
    let dir = scratch();
    let model = classifier();
    let run = |inputs: &[&str], more: &[&str]| {
        let output = run::limbeck(&[&["predict", model][..], inputs, more].concat());
        assert!(output.status.success(), "{}", run::text(&output.stderr));
        run::text(&output.stdout)
    };
    fs::write(dir.join("said.csv"), "title,text\nx,the bird sing\n\"y\",\"a cat, sat\"\n").unwrap();
    let out = run(&["the cat sat on the mat", "said.csv"], &["--json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    let all = found.as_array().unwrap();
    let texts: Vec<&str> = all.iter().map(|p| p["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["the cat sat on the mat", "the bird sing", "a cat, sat"]);
    let best: Vec<&str> = all.iter().map(|p| p["classes"][0]["class"].as_str().unwrap()).collect();
    assert_eq!(best, ["cat", "bird", "cat"]);
    let sum: f64 = (0..2).map(|c| all[0]["classes"][c]["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{found}");
    let lines = run(&["the bird sing"], &["--top", "1"]);
    assert!(lines.starts_with("the bird sing\n") && lines.contains("%  bird"), "{lines}");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let title = run(&["said.csv"], &["--columns", "title"]);
    assert!(title.starts_with("x\n"), "{title}");
    refused(&format!("predict {model} none.txt"), &["none.txt"]);
    refused(&format!("predict {ENCODER} a"), &["vector of 8 numbers", "limbeck embed"]);
    refused(&format!("predict {model} a --out drawn"), &["--out"]);
}

#[test]
fn layers_and_work_of_encoders_are_shown() {
    let dir = scratch();
    let out = works("models show bert:2,128,2 --tokens 32");
    // 2 layers of 2 (4 D^2 + 2 D F) a token, and attention over 32 tokens; a multiply-add is 2.
    assert!(out.contains("text of 32 tokens") && out.contains("30522 tokens to 128 numbers"), "{out}");
    let layers = 2.0 * 2.0 * (4.0 * 128.0 * 128.0 + 2.0 * 128.0 * 512.0) / 1e3;
    let shown: f64 =
        out.split("tokens, ").nth(1).and_then(|o| o.split(" k per token").next()).unwrap().parse().unwrap();
    assert!(shown > layers && shown < 1.1 * layers, "{shown} k, not about {layers} k: {out}");
    assert!(out.contains("encoder.layer.1") && out.contains("4.3"), "{out}");
    for model in [ENCODER.to_string(), format!("{ENCODER}/model.safetensors"), classifier().to_string()] {
        let out = works(&format!("models show {model}"));
        assert!(out.contains("encoder.layer.0.attention.self.query") && out.contains("per token"), "{out}");
    }
    refused("models show bert:2,128,2 --tokens 129", &["--tokens", "at most 128", "got 129"]);
    refused("models show cnn:8 --tokens 12", &["--tokens", "not texts"]);
    refused("models show nothing.safetensors", &["nothing.safetensors"]);
    refused("models show no-such-model", &["no-such-model"]);
    assert!(dir.join(classifier()).exists());
}

#[test]
fn vectors_are_measured_by_likeness_and_by_class() {
    scratch();
    works(&format!("static {ENCODER} --dims 6 --store f32 --out measured"));
    // By scikit-learn's LogisticRegression and NumPy's stable argsort on the vectors that `embed` writes; on another adapter one text or
    // pair more or less.
    for (model, accuracy, recall) in
        [(ENCODER, 0.6, [0.0, 0.25, 0.75]), ("measured", 0.75, [1.0 / 12.0, 5.0 / 12.0, 10.0 / 12.0])]
    {
        let found = json(&format!("eval {model} --data sentences --data-dir pairs --json"));
        let all = ["spearman", "pearson", "recall@1", "recall@5", "recall@10", "mean cosine"];
        assert_eq!((names(&found), found["texts"].as_u64()), (all.to_vec(), Some(24)));
        for (most, recall) in [1, 5, 10].iter().zip(recall) {
            assert!((metric(&found, &format!("recall@{most}")) - recall).abs() < 0.09, "{found}");
        }
        let found = json(&format!("eval {model} --data texts --data-dir classes --json"));
        assert_eq!(names(&found), ["accuracy", "f1 of cat", "macro f1", "matthews"]);
        assert!((metric(&found, "accuracy") - accuracy).abs() < 0.051 && found["fitted_on"] == 64, "{found}");
    }
    let out = works(&format!(
        "static {ENCODER} --dims 6 --store f32 --measure sentences=pairs,texts=classes --out again"
    ));
    assert!(out.contains("24 test texts of sentences") && out.contains("spearman"), "{out}");
    assert!(out.contains("20 test texts of texts") && out.contains("matthews"), "{out}");
    refused(&format!("static {ENCODER} --dims 6 --measure texts=nowhere --out none"), &["nowhere"]);
    refused("eval measured --data texts --data-dir classes --limit-test 4", &["--limit-test"]);
}

#[test]
fn weights_and_scaling_of_static_models_are_chosen() {
    let dir = scratch();
    let made = |flags: &str, name: &str| {
        works(&format!("static {ENCODER} --dims 4 --store f32 {flags} --out {name}"));
        fs::read(dir.join(name).join("model.safetensors")).unwrap()
    };
    let plain = made("", "chosen-0");
    assert_eq!(plain, made("--weights zipf:1e-4 --scaling quarter-root", "chosen-1"));
    let others = [
        "--weights none",
        "--weights zipf:1e-2",
        "--scaling none",
        "--scaling drop:1",
        "--weights counts --text lines.txt --count-only",
        "--weights both --text lines.txt --count-only",
        "--weights counts --text lines.txt",
    ];
    let mut all = vec![plain];
    for (at, flags) in others.iter().enumerate() {
        let made = made(flags, &format!("other-{at}"));
        assert!(!all.contains(&made), "{flags} changes nothing");
        all.push(made);
    }
    refused(
        &format!("static {ENCODER} --dims 4 --weights counts --out none"),
        &["--weights", "--text", "zipf"],
    );
    for wrong in ["--weights some", "--scaling drop"] {
        let line = format!("static {ENCODER} --dims 4 {wrong} --out none");
        run::fails(2, &run::words(&line), &["got \""]);
    }
}

#[test]
fn a_classifier_is_trained_distilled_measured_and_opened_again() {
    scratch();
    classifier();
    let found = json("eval teacher/model.safetensors --data texts --data-dir classes --json");
    assert_eq!((&found["texts"], &found["metrics"][0]["name"]), (&20.into(), &"accuracy".into()));
    assert!(found["metrics"][0]["value"].as_f64().unwrap() > 0.9, "{found}");
    assert_eq!(names(&found), ["accuracy", "f1 of cat", "macro f1", "matthews"]);
    let teacher = "--teacher teacher/model.safetensors";
    for method in ["kd", "minilm", "embed-cosine+kd"] {
        let name = method.replace('+', "-");
        let short = "--data texts --data-dir classes --max-tokens 12";
        works(&format!(
            "distill {short} {teacher} --model bert:1,8,2,16 --method {method} {STEPS} --out {name}"
        ));
        let found = json(&format!("eval {name}/model.safetensors --data texts --data-dir classes --json"));
        assert!(found["metrics"][0]["value"].as_f64().unwrap() > 0.6, "{method}: {found}");
    }
    let short =
        "--data texts --data-dir classes --max-tokens 4 --model bert:1,8,2,16 --max-steps 2 --out short";
    let output = run::limbeck(&run::words(&format!("distill {short} {teacher}")));
    let said = run::text(&output.stderr);
    assert!(output.status.success() && said.contains("of 64 training texts ("), "{said}");
    assert!(said.contains("have more than 4 tokens") && said.contains("--max-tokens"), "{said}");
    refused(
        "train --data texts --data-dir classes --model bert --out none",
        &["tokenizer", "tokenizer.json"],
    );
    let other = "eval teacher/model.safetensors --data sentences --data-dir pairs";
    refused(other, &["scores of pairs", "2 classes"]);
}

#[test]
fn an_encoder_of_sentences_is_distilled_into_a_narrower_one() {
    scratch();
    let data = "--data sentences --data-dir pairs --max-tokens 10";
    let student = "--model bert:1,4,2,8 --epochs 2 --batch-size 16 --out sentences";
    let out = works(&format!("distill {data} --teacher {ENCODER} {student}"));
    assert!(out.contains("spearman"), "{out}");
    for (model, width) in [(ENCODER, 8), ("sentences/model.safetensors", 4)] {
        let found = json(&format!("eval {model} --data sentences --data-dir pairs --json"));
        let names = names(&found);
        assert_eq!((found["texts"].as_u64(), &names[..2]), (Some(24), &["spearman", "pearson"][..]));
        assert!(
            works(&format!("embed {model} lines.txt --out w.npy")).contains(&format!("of {width} numbers"))
        );
    }
    let long =
        format!("distill {data} --teacher {ENCODER} {student} --overwrite").replace("tokens 10", "tokens 11");
    refused(&long, &["--max-tokens 10", "at most 10", "got 11"]);
    refused(&format!("train {data} --tokenizer {ENCODER} --model bert:1,4,2,8 --out none"), &["teacher"]);
    refused(&format!("distill {data} --teacher {ENCODER} {student} --overwrite --limit-test 4"), &["limit"]);
}
