//! The files that the documents name are there.

use std::fs;
use std::path::Path;

/// An op that ARCHITECTURE.md makes up.
const MADE_UP: &str = "softsign";

#[test]
fn named_files_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    let mut missing = Vec::new();
    for document in
        ["README.md", "ARCHITECTURE.md", "docs/results.md", "docs/performance.md", "docs/sweeps.md"]
    {
        let text = fs::read_to_string(root.join(document)).expect("a document");
        for path in paths(&text).filter(|path| !path.contains(MADE_UP)) {
            seen += 1;
            // ARCHITECTURE.md leaves out src/ where a table is of modules alone.
            if !root.join(path).exists() && !root.join("src").join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(seen > 50, "only {seen} paths found: this test no longer reads the documents");
    assert!(missing.is_empty(), "named, but not there:\n{}", missing.join("\n"));
}

/// What stands between backticks and reads as a path in this repository.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let folder = |word: &str| word.ends_with('/') && !word.starts_with("http");
    let file = |word: &str| {
        let known = [".rs", ".md", ".py", ".sh", ".toml", ".wgsl"];
        word.contains('/') && known.iter().any(|end| word.ends_with(end))
    };
    let plain = |word: &&str| !word.contains(|c: char| c.is_whitespace() || "*:<>{}".contains(c));
    text.split('`').skip(1).step_by(2).filter(plain).filter(move |word| folder(word) || file(word))
}

#[test]
fn paths_are_told_from_other_words() {
    let text = "`src/lib.rs`, `src/nn/`, `limbeck train --out x/y.rs`, `a.rs`, `fc.weight`, `shaders/*.wgsl`";
    assert_eq!(paths(text).collect::<Vec<_>>(), ["src/lib.rs", "src/nn/"]);
}
