//! `use` points only downward: this reads every `crate::` path in src/ and fails on an upward one.

use std::fs;
use std::path::Path;

/// Modules from the bottom up. Those on one line may not use each other, except as listed.
const LAYERS: [&[&str]; 9] = [
    &["error", "rng", "files"],
    &["gpu"],
    &["tape"],
    &["ops"],
    &["nn"],
    &["optim", "data", "models"],
    &["distill"],
    &["train"],
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
                        let used = code.contains(&format!("crate::{other}::"));
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
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}
