//! `use` points only downward: this reads every `crate::` path in src/ and fails on an upward one.

use std::fs;
use std::path::Path;

/// Modules from the bottom up. Those on one line may not use each other, except as listed.
const LAYERS: [&[&str]; 11] = [
    &["error", "rng", "files"],
    &["platform"],
    &["gpu"],
    &["tape"],
    &["ops"],
    &["nn"],
    &["optim", "data", "models"],
    &["distill"],
    &["train"],
    &["bench"],
    &["cli"],
];

/// `files` reports through `error`.
const BESIDE: [(&str, &str); 1] = [("files", "error")];

#[test]
fn no_module_uses_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (layer, names) in LAYERS.iter().enumerate() {
        for name in *names {
            let mut files = vec![root.join(format!("{name}.rs"))];
            collect(&root.join(name), &mut files);
            for file in files.iter().filter(|f| f.is_file()) {
                let text = fs::read_to_string(file).expect("a readable source file");
                // Tests may look anywhere.
                let code = text.split("#[cfg(test)]").next().unwrap_or("");
                for (other_layer, others) in LAYERS.iter().enumerate() {
                    for other in others.iter().filter(|o| *o != name) {
                        let used = uses(code, other);
                        seen += used as usize;
                        let allowed = other_layer < layer || BESIDE.contains(&(*name, *other));
                        if used && !allowed {
                            wrong.push(format!("{} uses {other}", file.display()));
                        }
                    }
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} uses found: this test no longer reads the code");
    assert!(wrong.is_empty(), "upward uses:\n{}", wrong.join("\n"));
}

/// Whether the code names this module of the crate: `crate::name`, also within `crate::{..}`.
fn uses(code: &str, module: &str) -> bool {
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next() == Some(module);
    code.split("crate::").skip(1).any(|path| match path.strip_prefix('{') {
        None => word(path),
        Some(group) => {
            let (mut depth, mut start) = (0, true);
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if c.is_whitespace() => {}
                    _ if start && depth == 0 => {
                        if word(&group[at..]) {
                            return true;
                        }
                        start = false;
                    }
                    _ => {}
                }
            }
            false
        }
    })
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    let seen = ["use crate::train;", "use crate::train::Run;", "use crate::{Error, train::{Run, Epoch}};"];
    assert!(seen.iter().all(|code| uses(code, "train")));
    let others = ["use crate::trainer::Run;", "use crate::{Error, gpu::{train, Gpu}}; let train = 1;"];
    assert!(!others.iter().any(|code| uses(code, "train")));
}

/// The standard library's clocks panic in a browser; [`limbeck::platform`] has those that don't.
#[test]
fn clocks_come_from_platform() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let wrong: Vec<_> = files
        .iter()
        .filter(|f| !f.starts_with(root.join("cli")))
        .filter(|f| fs::read_to_string(f).is_ok_and(|text| names_a_clock(&text)))
        .collect();
    assert!(wrong.is_empty(), "outside src/cli, these name a clock of std: {wrong:?}");
}

/// Whether the code names `std::time::Instant` or `SystemTime`, also within `std::time::{..}`, or all of `std::time`.
fn names_a_clock(code: &str) -> bool {
    code.split("std::time").skip(1).any(|rest| {
        let Some(path) = rest.strip_prefix("::") else { return true };
        let named = match path.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or(""),
            None => path.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(""),
        };
        named.is_empty()
            || named.contains("Instant")
            || named.contains("SystemTime")
            || named.contains("self")
    })
}

#[test]
fn every_way_to_name_a_clock_is_seen() {
    let clocks = [
        "use std::time::Instant;",
        "let now = std::time::SystemTime::now();",
        "use std::time::{Duration, Instant};",
        "use std::time::*;",
        "use std::time::{self, Duration};",
        "use std::time;",
    ];
    assert!(clocks.iter().all(|code| names_a_clock(code)));
    let others = ["use std::time::Duration;", "use web_time::Instant;", "use std::time::{Duration};"];
    assert!(!others.iter().any(|code| names_a_clock(code)));
}

#[test]
fn only_gpu_touches_wgpu() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let wrong: Vec<_> = files
        .iter()
        .filter(|f| !f.starts_with(root.join("gpu")))
        .filter(|f| fs::read_to_string(f).is_ok_and(|text| text.contains("wgpu::")))
        .collect();
    assert!(wrong.is_empty(), "outside src/gpu, these name wgpu: {wrong:?}");
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test(&path) {
            files.push(path);
        }
    }
}

/// `tests.rs`, and `x_tests.rs` beside `x.rs`.
fn is_test(file: &Path) -> bool {
    file.file_stem().and_then(|name| name.to_str()).is_some_and(|n| n == "tests" || n.ends_with("_tests"))
}
