//! The library's messages name settings; only the command line knows flags.

use std::fs;
use std::path::Path;

/// Where the text names a flag outside a whole `limbeck` command. Code has no two hyphens in a row.
fn flag(line: &str) -> bool {
    let code = line.split("// ").next().unwrap_or("");
    if code.trim_start().starts_with("//") {
        return false;
    }
    let starts = |at: usize| code[at + 2..].starts_with(|c: char| c.is_ascii_lowercase());
    let flags = code.match_indices("--").filter(|(at, _)| starts(*at));
    flags.into_iter().any(|(at, _)| !code[..at].contains("limbeck "))
}

#[test]
fn no_text_outside_the_command_line_names_a_flag() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut wrong, mut read) = (vec![src.clone()], Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() && path != src.join("cli") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let lines = text.lines().zip(1..).filter(|(line, _)| flag(line));
                wrong.extend(lines.map(|(line, at)| format!("{}:{at}: {}", path.display(), line.trim())));
                read += 1;
            }
        }
    }
    assert!(read > 100, "only {read} files were read");
    assert!(wrong.is_empty(), "name the setting in backquotes instead of its flag:\n{}", wrong.join("\n"));
}

#[test]
fn flags_are_told_from_commands() {
    assert!(flag("    let hint = \"pass --data-mean\";") && flag("the same --seed\","));
    for fine in
        ["/// `--seed`", "let a = b; // --seed", "\"run `limbeck train --resume`\"", "a--;", "\"--- \""]
    {
        assert!(!flag(fine), "{fine}");
    }
}
