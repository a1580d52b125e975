//! Tables of words on the command line: made smaller, written, opened again and measured.

// What runs the binary is shared with other tests, which use more of it.
#[allow(dead_code)]
#[path = "cli_files/run.rs"]
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use run::{refused, works};
use serde_json::Value;

/// Where the commands run: a table of 60 words in groups of six, as text, and pairs of them.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_vectors");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        let number = |word: usize, at: usize| {
            let near = ((word / 6 * 37 + at * 11) % 17) as f64 / 8.0 - 1.0;
            near + ((word * 29 + at * 13) % 23) as f64 / 60.0
        };
        let line = |word: usize| {
            let numbers: Vec<String> = (0..8).map(|at| format!("{:.4}", number(word, at))).collect();
            format!("w{word} {}\n", numbers.join(" "))
        };
        fs::write(path.join("words.txt"), (0..60).map(line).collect::<String>()).expect("a table");
        let pairs = "w0\tw1\t9\nw0\tw30\t2\nw7\tw8\t8.5\nw7\tw50\t1\nnone\tw1\t5\n";
        fs::write(path.join("pairs.txt"), pairs).expect("pairs");
        path
    })
}

fn rows(command: &str) -> Vec<Value> {
    let out = works(command);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

#[test]
fn a_table_is_made_smaller_measured_and_opened_again() {
    scratch();
    let shrunk = rows(
        "vectors shrink words.txt --to pca:8 --to f16 --to int8 --to codes:4x4 --to words:30+neighbours:4,steps=20 \
         --pairs pairs.txt --out small --json",
    );
    let of = |row: &Value, key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    let bytes: Vec<f64> = shrunk.iter().map(|row| of(row, "bytes")).collect();
    // As it is; as wide; two bytes and one a number; 4 codes a word and 4 x 16 centroids of 2; 30 words of 4.
    assert_eq!(bytes, [1920.0, 1920.0, 960.0, 480.0 + 32.0, 240.0 + 512.0, 480.0]);
    assert!(shrunk[0]["kept"].is_null() && of(&shrunk[2], "kept") > 0.99 && of(&shrunk[3], "error") < 0.02);
    assert_eq!(shrunk[0]["questions"][0]["known"], 4);
    assert!(of(&shrunk[0]["questions"][0], "value") > 0.7, "{}", shrunk[0]);
    // What was written says the same of itself, whatever it is stored as.
    let files = ["pca-8", "f16", "int8", "codes-4x4", "words-30+neighbours-4-steps-20"];
    let files = files.map(|name| format!("small/{name}.safetensors")).join(" ");
    let opened = rows(&format!("vectors eval words.txt {files} --pairs pairs.txt --json"));
    for (made, read) in shrunk.iter().zip(&opened) {
        for key in ["words", "width", "bytes", "kept", "error", "questions"] {
            assert_eq!(made[key], read[key], "{key} of {}", made["table"]);
        }
    }
    let near = works("vectors nearest small/codes-4x4.safetensors w7 --count 5");
    assert!(near.starts_with("w7: ") && near.contains("w10 ") && near.contains("w6 "), "{near}");
}

#[test]
fn one_table_is_written_as_its_name_says() {
    scratch();
    let out = works("vectors shrink words.txt --words 40 --to cosines:5 --out five.vec");
    assert!(out.contains("cosines:5") && out.contains("kept"), "{out}");
    let text = fs::read_to_string(scratch().join("five.vec")).expect("a table");
    assert!(text.starts_with("40 5\nw0 ") && text.lines().count() == 41, "{text}");
    // A word alone has no neighbours to keep.
    let alone = rows("vectors shrink words.txt --to words:1 --out one.safetensors --json");
    assert!(alone[1]["kept"].is_null() && alone[1]["words"] == 1, "{}", alone[1]);
    let out = works("vectors eval words.txt five.vec");
    assert!(out.contains("five.vec"), "{out}");
}

#[test]
fn mistakes_are_named() {
    scratch();
    refused("vectors shrink words.txt --to pca:9", &["1 to the 8 numbers"]);
    refused("vectors shrink words.txt --to codes:3x8", &["8 numbers", "one of 1, 2, 4, 8"]);
    refused("vectors shrink words.txt --to pca:2 --to pca:3 --out a.vec", &["--out", "give a folder"]);
    refused("vectors shrink words.txt --to pca:2 --to pca:2 --out twice", &["two of --to"]);
    refused("vectors shrink words.txt --to pca:2 --out ./words.txt", &["is the table that is read"]);
    refused("vectors shrink words.txt --to neighbours:4+codes:3x8 --out a.vec", &["one of 1, 2, 4"]);
    refused("vectors shrink words.txt --to pca:2 --out small.npz", &["--out", ".safetensors"]);
    refused("vectors shrink words.txt --to pca:2 --out pairs.txt/x", &["pairs.txt"]);
    fs::write(scratch().join("spaces.txt"), "a b 1 2 3 4\nc 1 2 3 4\n").expect("a file");
    refused("vectors shrink spaces.txt --to pca:2 --out a.vec", &["vec can't hold"]);
    refused("vectors nearest words.txt w7 nobody", &["nobody"]);
    refused("vectors eval words.txt --pairs nowhere.txt", &["nowhere.txt"]);
    fs::write(scratch().join("half.txt"), "a 1 2 3\nb 1 2\n").expect("a file");
    refused("vectors nearest half.txt a", &["half.txt", "line 2"]);
    assert!(!scratch().join("twice").exists() && !scratch().join("a.vec").exists());
}
