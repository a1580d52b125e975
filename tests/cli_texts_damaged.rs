//! Texts, tokenizers, encoders and static models that are damaged or do not go together, on the command line: each is named, and
//! nothing panics. What is only odd works.

// What runs the binary is shared with other tests, which use more of it.
#[allow(dead_code)]
#[path = "cli_files/run.rs"]
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use run::{refused, works};
use serde_json::{Value, json};

const ENCODER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/encoder/sentences");

fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_texts_damaged");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        let write = |name: &str, bytes: &[u8]| fs::write(path.join(name), bytes).expect("a file");
        write("lines.txt", b"the cat sat\na bird sing\n");
        write("odd.txt", b"the cat sat\n\n   \n\xf0\x9f\x98\x80 zebra\n\na bird");
        write("long.txt", format!("the cat\n{}\n", "cat ".repeat(100_000)).as_bytes());
        write("latin.txt", b"the cat\nthe caf\xe9\n");
        write("zero.txt", b"the \0 cat\n");
        write("empty.txt", b"");
        path
    })
}

/// A copy of a folder in which `change` has been at work.
fn changed(of: &Path, name: &str, change: impl FnOnce(&Path)) -> String {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(path, to).is_ok()) }
        }
    }
    let to = scratch().join(name);
    copy(of, &to);
    change(&to);
    name.to_string()
}

fn edit(file: PathBuf, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    change(&mut value);
    fs::write(file, value.to_string()).expect("a file");
}

fn halve(file: PathBuf) {
    let bytes = fs::read(&file).expect("a file");
    fs::write(file, &bytes[..bytes.len() / 2]).expect("a file");
}

/// Runs what must fail, after some of its work: says why with these parts, and panics nowhere.
fn fails(line: &str, parts: &[&str]) {
    let output = run::limbeck(&run::words(line));
    let said = run::text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "limbeck {line}:\n{said}");
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(
        !said.contains("panicked") && parts.iter().all(|part| error.contains(part)),
        "limbeck {line}:\n{said}"
    );
}

/// A static model of the encoder.
fn table() -> PathBuf {
    static TABLE: OnceLock<()> = OnceLock::new();
    TABLE.get_or_init(|| drop(works(&format!("static {ENCODER} --dims 4 --store f32 --out table"))));
    scratch().join("table")
}

/// Changes bytes of the numbers, which are behind the header.
fn numbers(file: PathBuf, number: [u8; 4]) {
    let mut bytes = fs::read(&file).expect("a file");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&number);
    fs::write(file, bytes).expect("a file");
}

#[test]
fn damaged_encoders_are_named() {
    let config = |key: &'static str, value: Value| {
        move |dir: &Path| edit(dir.join("config.json"), |config| config[key] = value)
    };
    let write = |file: &'static str, text: &'static str| {
        move |dir: &Path| fs::write(dir.join(file), text).expect("a file")
    };
    let tokenizer = |change: fn(&mut Value)| move |dir: &Path| edit(dir.join("tokenizer.json"), change);
    type Change = Box<dyn FnOnce(&Path)>;
    let cases: Vec<(Change, &[&str])> = vec![
        (Box::new(|dir| halve(dir.join("tokenizer.json"))), &["tokenizer.json"]),
        (Box::new(write("tokenizer.json", "")), &["tokenizer.json", "empty"]),
        (Box::new(write("tokenizer.json", "{}")), &["tokenizer.json"]),
        (Box::new(write("tokenizer.json", "\u{7f}[[[[[[[[")), &["tokenizer.json"]),
        (Box::new(tokenizer(|t| t["model"]["type"] = json!("Future"))), &["tokenizer.json"]),
        (Box::new(tokenizer(|t| t["model"]["vocab"] = json!({}))), &["tokenizer.json"]),
        (Box::new(|dir| fs::remove_file(dir.join("tokenizer.json")).unwrap()), &["it has no tokenizer"]),
        // The model has rows for 16.
        (Box::new(tokenizer(|t| t["model"]["vocab"]["zebra"] = json!(16))), &["17 tokens", "16 rows"]),
        (
            Box::new(tokenizer(|t| t["model"]["vocab"]["zebra"] = json!(4_000_000_000u32))),
            &["tokenizer.json", "4000000001 tokens"],
        ),
        (Box::new(|dir| halve(dir.join("config.json"))), &["config.json"]),
        (Box::new(write("config.json", "[]")), &["config.json"]),
        (Box::new(config("model_type", json!("gpt2"))), &["config.json", "gpt2", "distilbert"]),
        (Box::new(config("hidden_size", json!("eight"))), &["config.json", "hidden_size"]),
        (Box::new(config("hidden_size", json!(9))), &["model.safetensors"]),
        (Box::new(config("num_attention_heads", json!(3))), &["model.safetensors", "heads"]),
        (Box::new(config("num_hidden_layers", json!(99))), &["encoder.layer."]),
        (Box::new(config("vocab_size", json!(17))), &["word_embeddings"]),
        (Box::new(config("vocab_size", json!(-1))), &["config.json", "vocab_size"]),
        (Box::new(config("vocab_size", json!(u64::MAX))), &["config.json", "vocab_size"]),
        (Box::new(config("max_position_embeddings", json!(0))), &["max_position_embeddings"]),
        (Box::new(write("modules.json", "{")), &["modules.json"]),
        (Box::new(write("1_Pooling/config.json", "[]")), &["1_Pooling"]),
        (Box::new(|dir| halve(dir.join("model.safetensors"))), &["model.safetensors"]),
        (Box::new(|dir| numbers(dir.join("model.safetensors"), [0xff; 4])), &["model.safetensors"]),
    ];
    for (at, (change, parts)) in cases.into_iter().enumerate() {
        let model = changed(Path::new(ENCODER), &format!("encoder-{at}"), change);
        refused(&format!("embed {model} lines.txt --out none.npy"), parts);
    }
    assert!(!scratch().join("none.npy").exists());
}

#[test]
fn damaged_static_models_are_named() {
    let write = |file: &'static str, text: &'static str| {
        move |dir: &Path| fs::write(dir.join(file), text).expect("a file")
    };
    let nan = f32::NAN.to_le_bytes();
    type Change = Box<dyn FnOnce(&Path)>;
    let cases: Vec<(Change, &[&str])> = vec![
        (Box::new(move |dir| numbers(dir.join("model.safetensors"), nan)), &["model.safetensors", "NaN"]),
        (Box::new(|dir| halve(dir.join("model.safetensors"))), &["model.safetensors"]),
        (Box::new(write("model.safetensors", "")), &["model.safetensors"]),
        (Box::new(write("tokenizer.json", "{")), &["tokenizer.json"]),
        (Box::new(|dir| fs::remove_file(dir.join("tokenizer.json")).unwrap()), &["tokenizer.json"]),
        (
            Box::new(|dir| edit(dir.join("tokenizer.json"), |t| t["model"]["vocab"]["zebra"] = json!(99))),
            &["model.safetensors", "100 tokens"],
        ),
        (Box::new(|dir| edit(dir.join("config.json"), |c| c["normalize"] = json!("often"))), &["normalize"]),
    ];
    for (at, (change, parts)) in cases.into_iter().enumerate() {
        let model = changed(&table(), &format!("table-{at}"), change);
        refused(&format!("embed {model} lines.txt --out none.npy"), parts);
        refused(&format!("eval {model} --data sentences --data-dir nowhere"), &[]);
    }
}

#[test]
fn odd_texts_are_read_and_others_are_named() {
    scratch();
    let table = table();
    for model in [ENCODER, table.to_str().unwrap()] {
        assert!(works(&format!("embed {model} odd.txt --out odd.npy")).contains("6 vectors"));
        assert!(works(&format!("embed {model} long.txt --out long.jsonl")).contains("2 vectors"));
        for (file, parts) in [
            ("latin.txt", &["latin.txt", "line 2", "UTF-8"][..]),
            ("zero.txt", &["zero.txt", "line 1"]),
            ("empty.txt", &["empty.txt"]),
        ] {
            refused(&format!("embed {model} {file} --out none.npy"), parts);
        }
    }
    for file in ["latin.txt", "empty.txt"] {
        fails(&format!("static {ENCODER} --dims 4 --text {file} --out none"), &[file]);
    }
    fails(&format!("static {ENCODER} --dims 4 --text odd.txt --out none"), &["sentences", "4 components"]);
    assert!(
        works(&format!("static {ENCODER} --dims 2 --text odd.txt,long.txt --out odd")).contains("wrote odd")
    );
    fs::create_dir_all(scratch().join("classes")).unwrap();
    let data = |name: &str, bytes: &[u8]| fs::write(scratch().join("classes").join(name), bytes).unwrap();
    data("train.tsv", b"text\tlabel\nthe cat\tcat\nthe bird\tbird\n");
    for (bytes, parts) in [
        (&b"text\tlabel\nthe cat\tdog\n"[..], &["test.tsv", "line 2", "dog"][..]),
        (b"text\tlabel\nthe cat\n", &["test.tsv", "line 2"]),
        (b"text\tlabel\n", &["test.tsv"]),
        (b"text\tlabel\nthe caf\xe9\tcat\n", &["test.tsv", "line 2", "UTF-8"]),
    ] {
        data("test.tsv", bytes);
        fails(&format!("eval {ENCODER} --data texts --data-dir classes"), parts);
    }
    data("test.tsv", b"text\tlabel\n\tcat\nthe bird\tbird\n");
    let out = works(&format!("eval {ENCODER} --data texts --data-dir classes"));
    assert!(out.contains("2 test texts") && out.contains("accuracy"), "{out}");
    data("train.tsv", b"text\tlabel\nthe cat\tcat\na cat\tcat\n");
    data("test.tsv", b"text\tlabel\nthe cat\tcat\n");
    fails(&format!("eval {ENCODER} --data texts --data-dir classes"), &["two classes"]);
}
