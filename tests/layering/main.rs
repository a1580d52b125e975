//! The shape of the code: `use` points only downward, modules go in no circle, files and functions are short. This reads
//! every file in src/; the modules are those that `crate::` paths name.

mod limits;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Modules from the bottom up. Those on one line may not use each other, except as listed.
const LAYERS: [&[&str]; 15] = [
    &["error", "rng", "files"],
    &["platform"],
    &["report", "algebra"],
    &["gpu"],
    &["tape"],
    &["ops"],
    &["nn"],
    &["optim", "data", "models"],
    &["tasks"],
    &["distill"],
    &["train"],
    &["vectors"],
    &["sentences"],
    &["bench"],
    &["cli"],
];

/// `files` reports through `error`.
const BESIDE: [(&str, &str); 1] = [("files", "error")];

/// What a module may use.
fn allowed(from: &str, to: &str) -> bool {
    let layer = |name| LAYERS.iter().position(|names| names.contains(&name));
    layer(to) < layer(from) || BESIDE.contains(&(from, to))
}

/// The modules that code of module `name` uses, itself left out.
fn used_by(name: &str, code: &str) -> Vec<&'static str> {
    LAYERS
        .iter()
        .flat_map(|names| names.iter())
        .copied()
        .filter(|other| *other != name && uses(code, other))
        .collect()
}

#[test]
fn no_module_uses_one_above_it() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for name in LAYERS.concat() {
        for file in source::module(name) {
            let used = used_by(name, &source::code(&file));
            seen += used.len();
            let upward = used.into_iter().filter(|other| !allowed(name, other));
            wrong.extend(upward.map(|other| format!("{} uses {other}", file.display())));
        }
    }
    assert!(seen > 20, "only {seen} uses found: this test no longer reads the code");
    assert!(wrong.is_empty(), "upward uses:\n{}", wrong.join("\n"));
}

/// A module that no layer names would be free to use everything.
#[test]
fn every_module_has_a_layer() {
    let mut missing = Vec::new();
    for entry in fs::read_dir(source::root()).expect("src").flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_string();
        if !["lib", "main", "guide"].contains(&name.as_str()) && !LAYERS.concat().contains(&name.as_str()) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "LAYERS says nothing of {missing:?}");
}

/// A file that declares its tests near the top is read to its end.
#[test]
fn an_upward_use_after_the_tests_is_found() {
    let planted = "mod a;\n\n#[cfg(test)]\nmod tests;\n\nuse crate::Error;\nuse crate::train::Run;\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("planted.rs");
    fs::write(&path, planted).expect("a file in it");
    let code = source::code(&path);
    let upward: Vec<_> =
        used_by("files", &code).into_iter().filter(|other| !allowed("files", other)).collect();
    assert_eq!(upward, ["train"]);
}

/// Circles are looked for by themselves: two entries of `BESIDE` could make one.
#[test]
fn no_circle_of_modules() {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for name in LAYERS.concat() {
        let all = source::module(name).iter().flat_map(|file| used_by(name, &source::code(file))).collect();
        uses.insert(name, all);
    }
    // Takes away what uses nothing that is left: circles remain.
    while let Some(name) = uses.iter().find(|(_, used)| used.is_empty()).map(|(name, _)| *name) {
        uses.remove(name);
        uses.values_mut().for_each(|used| {
            used.remove(name);
        });
    }
    assert!(uses.is_empty(), "modules that use one another in a circle, and those above it: {uses:?}");
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
    let root = source::root();
    let wrong: Vec<_> = source::files(&root)
        .into_iter()
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
    let root = source::root();
    let wrong: Vec<_> = source::files(&root)
        .into_iter()
        .filter(|file| !file.starts_with(root.join("gpu")))
        .filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("wgpu::")))
        .collect();
    assert!(wrong.is_empty(), "outside src/gpu, these name wgpu: {wrong:?}");
}
