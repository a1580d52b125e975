//! Source files as the other checks see them: which there are, and what of them is not test code.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the library's code.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files at or below `folder`.
pub fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, &mut found);
    found.sort();
    found
}

/// Those that hold more than tests.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = all_files(folder);
    found.retain(|file| !is_test(file));
    found
}

/// The files of a top-level module: `name.rs`, or everything in the folder `name`.
pub fn module(name: &str) -> Vec<PathBuf> {
    let one = root().join(format!("{name}.rs"));
    let mut all = files(&root().join(name));
    all.extend(one.is_file().then_some(one));
    all
}

/// A file's text without its test code.
pub fn code(file: &Path) -> String {
    without_tests(&fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// `tests.rs`, and `x_tests.rs` beside `x.rs`.
fn is_test(file: &Path) -> bool {
    file.file_stem().and_then(|name| name.to_str()).is_some_and(|n| n == "tests" || n.ends_with("_tests"))
}

/// The text without what `#[cfg(test)]` marks: `mod tests;`, `use ..;`, or a block up to the brace that closes it. As
/// rustfmt leaves it, that brace stands alone under the item's first letter.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let mut in_block = false;
        for line in lines.by_ref() {
            in_block |= line.trim_end().ends_with('{');
            let closed = if in_block { line == end } else { line.trim_end().ends_with([';', '}']) };
            if closed {
                break;
            }
        }
    }
    kept
}

#[test]
fn only_test_code_is_left_out() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\n#[path = \"x.rs\"]\npub mod more;\nfn c() {}\n\
                #[cfg(test)]\nmod inner {\n    use d;\n    fn e() {\n    }\n}\nuse f;\nimpl G {\n    #[cfg(test)]\n    \
                fn h() {\n        i();\n    }\n\n    fn j() {}\n}\n";
    assert_eq!(without_tests(text), "use a;\nuse b;\nfn c() {}\nuse f;\nimpl G {\n\n    fn j() {}\n}\n");
}
