//! Runs the binary: what must work, and what must fail with one plain error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::scratch;

pub fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    // Whatever the machine offers, the data sets are those in the binary, and a panic would show its backtrace.
    command.env("LIMBECK_DATA", scratch().join("no data")).env("XDG_DATA_HOME", scratch().join("no data"));
    // Without a desktop session this is unset, and the graphics drivers' libraries print errors of their own.
    command.env("XDG_RUNTIME_DIR", scratch());
    command.env("HOME", scratch()).env("RUST_BACKTRACE", "1").current_dir(scratch());
    command.args(arguments).stdin(Stdio::null());
    command
}

pub fn limbeck<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    command(arguments).output().expect("limbeck can be started")
}

pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8 output")
}

/// Runs what must work; gives what it printed.
pub fn works(line: &str) -> String {
    let output = limbeck(&words(line));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "limbeck {line}:\n{out}\n{err}");
    for part in [&out, &err] {
        let control = part.chars().any(|c| c.is_control() && c != '\n');
        assert!(!control, "control codes in a pipe, limbeck {line}:\n{part:?}");
    }
    out
}

/// Runs what must fail with this exit code, one error line that has these parts, and nothing on standard output.
pub fn fails<S: AsRef<OsStr> + std::fmt::Debug>(code: i32, arguments: &[S], parts: &[&str]) {
    let output = limbeck(arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "limbeck {arguments:?}:\n{out}\n{err}");
    assert_eq!(out, "", "limbeck {arguments:?}");
    let errors = err.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "limbeck {arguments:?}:\n{err}");
    // Only the usage, and a command to run, come on lines of their own.
    let more = err.lines().skip(1).any(|line| !line.starts_with("  "));
    assert!(code == 2 || !more, "more than an error, limbeck {arguments:?}:\n{err}");
    for wrong in ["panicked", "backtrace", "RUST_", "\u{1b}", "Err(", "Some("] {
        assert!(!err.contains(wrong), "{wrong:?} in limbeck {arguments:?}:\n{err}");
    }
    for part in parts {
        assert!(err.contains(part), "no {part:?} in limbeck {arguments:?}:\n{err}");
    }
}

pub fn refused(line: &str, parts: &[&str]) {
    fails(1, &words(line), parts);
}

/// A folder with a small trained network.
pub fn teacher() -> &'static Path {
    static TEACHER: OnceLock<PathBuf> = OnceLock::new();
    TEACHER.get_or_init(|| {
        let out = works("train --epochs 1 --limit-train 256 --limit-test 100 --model cnn:4 --out teacher");
        assert!(out.contains("accuracy") && out.contains("wrote teacher/model.safetensors"), "{out}");
        scratch().join("teacher")
    })
}
