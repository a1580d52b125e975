//! How long files and functions may be: what is longer does more than one thing.

use std::fs;

use super::source;

const MOST_LINES_OF_A_FILE: usize = 400;
const MOST_LINES_OF_A_FUNCTION: usize = 80;

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for file in source::all_files(&source::root()) {
        let lines = fs::read_to_string(&file).expect("a readable source file").lines().count();
        if lines > MOST_LINES_OF_A_FILE {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "above {MOST_LINES_OF_A_FILE} lines:\n{}", long.join("\n"));
}

#[test]
fn no_function_is_too_long() {
    let (mut long, mut seen) = (Vec::new(), 0);
    for file in source::files(&source::root()) {
        for (name, lines) in functions(&source::code(&file)) {
            seen += 1;
            if lines > MOST_LINES_OF_A_FUNCTION {
                long.push(format!("{}: {name} has {lines} lines", file.display()));
            }
        }
    }
    assert!(seen > 1000, "only {seen} functions found: this test no longer reads the code");
    assert!(long.is_empty(), "above {MOST_LINES_OF_A_FUNCTION} lines:\n{}", long.join("\n"));
}

/// Names of functions with a body of several lines, and their lines from `fn` to the closing brace, which rustfmt puts
/// under the first letter.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        // A declaration ends in `;`, and a short function on its own line, before any such brace.
        let declared = |line: &&str| line.ends_with(';') && !line.starts_with(&format!("{indent} "));
        let rest = &lines[start..];
        let body = rest.iter().position(|line| *line == end);
        let declaration = rest.iter().position(declared);
        if line.ends_with('}') {
            continue;
        }
        if let Some(last) = body.filter(|last| declaration.is_none_or(|at| *last < at)) {
            found.push((name, last + 1));
        }
    }
    found
}

/// `run` of `pub async fn run(`.
fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
    if !before.split_whitespace().all(|word| words.contains(&word) || word.starts_with("pub(in")) {
        return None;
    }
    Some(after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_string())
}

#[test]
fn lines_of_functions_are_counted() {
    let code = "fn short() {}\npub fn a(\n    x: u8,\n) -> u8 {\n    x\n}\ntrait T {\n    fn declared();\n    async fn b() {\n        \
                if c {\n        }\n    }\n}\n";
    assert_eq!(functions(code), [("a".to_string(), 5), ("b".to_string(), 4)]);
}
