//! A very small WGSL preprocessor: constants, and unrolling by hand written once.
//!
//! Browsers' compilers do not unroll, and private arrays with a dynamic index are slow everywhere, so register tiles
//! are written as repeated lines:
//!
//! ```text
//! #repeat r TILE_ROWS
//!     acc{r} = fma(a{r}, b, acc{r});
//! #end
//! ```
//!
//! Blocks nest; the count is a number or the name of a constant. `#if NAME` ... `#else` ... `#end` keeps lines where the constant is not
//! zero. That is all: anything more belongs in WGSL itself.

use crate::{Error, Result};

/// Expands `#repeat` and `#if` blocks. `lookup` gives a constant's value by name; `place` names the source in errors.
pub fn expand(source: &str, place: &str, lookup: &dyn Fn(&str) -> Option<u32>) -> Result<String> {
    let lines: Vec<&str> = source.lines().collect();
    let mut out = String::with_capacity(source.len());
    let end = Expander { lines: &lines, place, lookup }.block(0, &mut out, true)?;
    match end.stop {
        Stop::Eof => Ok(out),
        _ => Err(fail(place, end.next, "#end or #else without its #repeat or #if")),
    }
}

struct Expander<'a> {
    lines: &'a [&'a str],
    place: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<u32>,
}

#[derive(PartialEq)]
enum Stop {
    Eof,
    Else,
    End,
}

struct BlockEnd {
    next: usize,
    stop: Stop,
}

impl Expander<'_> {
    /// Copies lines from `at` up to the end of the block, and says where it ended.
    fn block(&self, mut at: usize, out: &mut String, keep: bool) -> Result<BlockEnd> {
        while at < self.lines.len() {
            let words: Vec<&str> = self.lines[at].split_whitespace().collect();
            at = match words.as_slice() {
                ["#end"] => return Ok(BlockEnd { next: at + 1, stop: Stop::End }),
                ["#else"] => return Ok(BlockEnd { next: at + 1, stop: Stop::Else }),
                ["#repeat", name, count] => self.repeat(at, name, count, out, keep)?,
                ["#if", name] => self.branch(at, self.value(at, name)? != 0, out, keep)?,
                _ => {
                    if keep {
                        out.push_str(self.lines[at]);
                        out.push('\n');
                    }
                    at + 1
                }
            };
        }
        Ok(BlockEnd { next: at, stop: Stop::Eof })
    }

    fn repeat(&self, at: usize, name: &str, count: &str, out: &mut String, keep: bool) -> Result<usize> {
        let count = self.value(at, count)?;
        let mut body = String::new();
        let end = self.block(at + 1, &mut body, keep)?;
        if end.stop != Stop::End {
            return Err(fail(self.place, at + 1, "#repeat without #end"));
        }
        let pattern = format!("{{{name}}}");
        for i in 0..count {
            out.push_str(&body.replace(&pattern, &i.to_string()));
        }
        Ok(end.next)
    }

    fn branch(&self, at: usize, taken: bool, out: &mut String, keep: bool) -> Result<usize> {
        let mut end = self.block(at + 1, out, keep && taken)?;
        if end.stop == Stop::Else {
            end = self.block(end.next, out, keep && !taken)?;
        }
        if end.stop != Stop::End {
            return Err(fail(self.place, at + 1, "#if without #end"));
        }
        Ok(end.next)
    }

    fn value(&self, at: usize, word: &str) -> Result<u32> {
        word.parse()
            .ok()
            .or_else(|| (self.lookup)(word))
            .ok_or_else(|| fail(self.place, at + 1, &format!("unknown constant {word}")))
    }
}

fn fail(place: &str, line: usize, message: &str) -> Error {
    Error::Validation { place: place.into(), message: format!("line {line}: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str) -> Result<String> {
        expand(source, "test", &|name| match name {
            "TWO" => Some(2),
            "ZERO" => Some(0),
            _ => None,
        })
    }

    #[test]
    fn nested_blocks_expand() {
        let got =
            run("#repeat r TWO\n#repeat c 2\nx{r}{c}\n#end\n#end\n#if ZERO\na\n#else\nb\n#end").unwrap();
        assert_eq!(got.split_whitespace().collect::<Vec<_>>(), ["x00", "x01", "x10", "x11", "b"]);
    }

    #[test]
    fn unbalanced_blocks_name_the_line() {
        assert!(run("a\n#repeat r 2\nb").unwrap_err().to_string().contains("line 2"));
        assert!(run("#end").is_err());
        assert!(run("#if NOPE\n#end").unwrap_err().to_string().contains("NOPE"));
    }
}
