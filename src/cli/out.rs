//! Standard output that may be a pipe: `limbeck models | head -1` closes it early, where `println!` would panic.

use std::fmt;
use std::io::{ErrorKind, Write, stdout};

use crate::{Error, Result};

/// `println!` that returns an error instead of panicking.
macro_rules! say {
    () => { $crate::cli::out::line(format_args!("")) };
    ($($arg:tt)*) => { $crate::cli::out::line(format_args!($($arg)*)) };
}
pub(in crate::cli) use say;

/// Writes a line. A reader that has left is no error: it has seen what it wanted.
pub fn line(text: fmt::Arguments<'_>) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_fmt(text).and_then(|()| out.write_all(b"\n")) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::config("standard output", format!("can't be written: {e}")))
        }
        _ => Ok(()),
    }
}

/// Writes a value as JSON over several lines.
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::config("--json", e))?;
    say!("{}", escaped(&text))
}

/// JSON may hold U+007F to U+009F as they are, but terminals obey some of them.
fn escaped(json: &str) -> String {
    let escape = |c: char| match c {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    json.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_without_control_codes() {
        assert_eq!(escaped("\"\u{9b}31m\u{7f}é\"\n"), "\"\\u009b31m\\u007fé\"\n");
    }
}
