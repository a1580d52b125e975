//! A very small WGSL preprocessor: constants, shared parts by name, and unrolling by hand written once.
//!
//! Browsers' compilers do not unroll, and private arrays with a dynamic index are slow everywhere, so register tiles
//! are written as repeated lines:
//!
//! ```text
//! #import rows
//! #repeat r TILE_ROWS
//!     acc{r} = fma(a{r}, b, acc{r});
//! #end
//! ```
//!
//! Blocks nest; the count is a number or the name of a constant. `#if NAME` ... `#elif OTHER` ... `#else` ... `#end` keeps
//! the lines of the first constant that is not zero. `#import NAME` stands for the text of a part ([`PARTS`]), once in a
//! kernel however often it is asked for. That is all: anything more belongs in WGSL itself.

use super::parts::PARTS;
use crate::{Error, Result};

/// Names and texts.
type Parts = &'static [(&'static str, &'static str)];

/// Expands the text of one kernel, file by file: a part that one file imported is not imported again.
pub struct Expander<'a> {
    kernel: &'a str,
    parts: Parts,
    lookup: &'a dyn Fn(&str) -> Option<u32>,
    imported: Vec<&'static str>,
    out: String,
}

impl<'a> Expander<'a> {
    /// `lookup` gives a constant's value by name; `kernel` names the kernel in errors; `start` is text that comes first.
    pub fn new(kernel: &'a str, lookup: &'a dyn Fn(&str) -> Option<u32>, start: String) -> Self {
        Self { kernel, parts: PARTS, lookup, imported: Vec::new(), out: start }
    }

    /// Adds a kernel's own file.
    pub fn add(&mut self, source: &str) -> Result<()> {
        let mut out = std::mem::take(&mut self.out);
        self.file(source, None, &mut out)?;
        self.out = out;
        Ok(())
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.out
    }

    fn file(&mut self, source: &str, part: Option<&'static str>, out: &mut String) -> Result<()> {
        let lines: Vec<&str> = source.lines().collect();
        let file = File { lines: &lines, part };
        let end = self.block(&file, 0, out, Lines::Kept)?;
        match end.stop {
            Stop::Eof => Ok(()),
            _ => Err(self.fail(&file, end.next, "#end, #elif or #else without its #repeat or #if")),
        }
    }

    /// Copies lines from `at` up to the end of the block, and says where it ended.
    fn block(&mut self, file: &File<'_>, mut at: usize, out: &mut String, lines: Lines) -> Result<BlockEnd> {
        while at < file.lines.len() {
            let words: Vec<&str> = file.lines[at].split_whitespace().collect();
            let stop = |stop| Ok(BlockEnd { next: at + 1, stop });
            at = match words.as_slice() {
                ["#end"] => return stop(Stop::End),
                ["#else"] => return stop(Stop::Else),
                ["#elif", name] => return stop(Stop::Elif(self.value(file, at, name)? != 0)),
                ["#repeat", name, count] => self.repeat(file, at, [*name, *count], out, lines)?,
                ["#if", name] => {
                    let holds = self.value(file, at, name)? != 0;
                    self.branch(file, at, holds, out, lines)?
                }
                ["#import", name] => {
                    self.import(file, at, name, out, lines)?;
                    at + 1
                }
                [word, ..] if word.starts_with('#') => {
                    return Err(self.fail(
                        file,
                        at + 1,
                        &format!("unknown directive {}", file.lines[at].trim()),
                    ));
                }
                _ => {
                    if lines != Lines::Dropped {
                        out.push_str(file.lines[at]);
                        out.push('\n');
                    }
                    at + 1
                }
            };
        }
        Ok(BlockEnd { next: at, stop: Stop::Eof })
    }

    fn repeat(
        &mut self,
        file: &File<'_>,
        at: usize,
        [name, count]: [&str; 2],
        out: &mut String,
        lines: Lines,
    ) -> Result<usize> {
        let count = self.value(file, at, count)?;
        let mut body = String::new();
        let lines = if lines == Lines::Dropped { lines } else { Lines::Repeated };
        let end = self.block(file, at + 1, &mut body, lines)?;
        if end.stop != Stop::End {
            return Err(self.fail(file, at + 1, "#repeat without #end"));
        }
        let pattern = format!("{{{name}}}");
        for i in 0..count {
            out.push_str(&body.replace(&pattern, &i.to_string()));
        }
        Ok(end.next)
    }

    fn branch(
        &mut self,
        file: &File<'_>,
        at: usize,
        mut holds: bool,
        out: &mut String,
        lines: Lines,
    ) -> Result<usize> {
        let (mut next, mut taken, mut last) = (at + 1, false, false);
        loop {
            let kept = if holds && !taken { lines } else { Lines::Dropped };
            taken |= holds;
            let end = self.block(file, next, out, kept)?;
            next = end.next;
            holds = match end.stop {
                Stop::End => return Ok(next),
                Stop::Elif(value) if !last => value,
                Stop::Else if !last => {
                    last = true;
                    true
                }
                _ => {
                    return Err(self.fail(
                        file,
                        at + 1,
                        "#if without #end, or with a branch after its #else",
                    ));
                }
            };
        }
    }

    fn import(
        &mut self,
        file: &File<'_>,
        at: usize,
        name: &str,
        out: &mut String,
        lines: Lines,
    ) -> Result<()> {
        let Some(&(name, source)) = self.parts.iter().find(|(part, _)| *part == name) else {
            let known: Vec<&str> = self.parts.iter().map(|(part, _)| *part).collect();
            let message = format!("unknown part {name} to #import; there are {}", known.join(", "));
            return Err(self.fail(file, at + 1, &message));
        };
        match lines {
            Lines::Repeated => Err(self.fail(file, at + 1, "#import inside #repeat; move it out")),
            // Noted before its text is read, so that two parts may import each other.
            Lines::Kept if !self.imported.contains(&name) => {
                self.imported.push(name);
                self.file(source, Some(name), out)
            }
            _ => Ok(()),
        }
    }

    fn value(&self, file: &File<'_>, at: usize, word: &str) -> Result<u32> {
        word.parse()
            .ok()
            .or_else(|| (self.lookup)(word))
            .ok_or_else(|| self.fail(file, at + 1, &format!("unknown constant {word}")))
    }

    fn fail(&self, file: &File<'_>, line: usize, message: &str) -> Error {
        let part = file.part.map_or(String::new(), |name| format!("imported part {name}, "));
        Error::Validation { place: self.kernel.into(), message: format!("{part}line {line}: {message}") }
    }
}

/// The files themselves and all parts that they may import, whatever the constants are.
pub fn with_imports(sources: &[&'static str]) -> Vec<&'static str> {
    let mut all = sources.to_vec();
    let mut at = 0;
    while let Some(&text) = all.get(at) {
        at += 1;
        for name in text.lines().filter_map(|line| line.trim_start().strip_prefix("#import ")) {
            let part = PARTS.iter().find(|(part, _)| *part == name.trim()).map(|(_, text)| *text);
            all.extend(part.filter(|text| !all.contains(text)));
        }
    }
    all
}

/// The lines of one file, and the part's name where it is one.
struct File<'a> {
    lines: &'a [&'a str],
    part: Option<&'static str>,
}

/// What becomes of a block's lines.
#[derive(Clone, Copy, PartialEq)]
enum Lines {
    Kept,
    /// Kept, several times over.
    Repeated,
    Dropped,
}

#[derive(PartialEq)]
enum Stop {
    Eof,
    Elif(bool),
    Else,
    End,
}

struct BlockEnd {
    next: usize,
    stop: Stop,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str) -> Result<String> {
        let lookup = |name: &str| match name {
            "TWO" => Some(2),
            "ZERO" => Some(0),
            _ => None,
        };
        let mut expander = Expander::new("test", &lookup, String::new());
        expander.add(source)?;
        Ok(expander.finish())
    }

    fn words(source: &str) -> Vec<String> {
        run(source).unwrap().split_whitespace().map(String::from).collect()
    }

    fn message(source: &str) -> String {
        run(source).unwrap_err().to_string()
    }

    #[test]
    fn nested_blocks_expand() {
        let got = words("#repeat r TWO\n#repeat c 2\nx{r}{c}\n#end\n#end\n#if ZERO\na\n#else\nb\n#end");
        assert_eq!(got, ["x00", "x01", "x10", "x11", "b"]);
    }

    #[test]
    fn the_first_branch_that_holds_is_kept() {
        let branches = |a, b| words(&format!("#if {a}\na\n#elif {b}\nb\n#elif TWO\nc\n#else\nd\n#end"));
        assert_eq!(branches("TWO", "TWO"), ["a"]);
        assert_eq!(branches("ZERO", "TWO"), ["b"]);
        assert_eq!(branches("ZERO", "ZERO"), ["c"]);
        assert_eq!(words("#if ZERO\na\n#elif ZERO\nb\n#else\nc\n#end\nd"), ["c", "d"]);
        // Nothing within a branch that is not kept counts.
        assert_eq!(words("#if ZERO\n#if TWO\na\n#elif TWO\nb\n#else\nc\n#end\n#else\nd\n#end"), ["d"]);
    }

    #[test]
    fn unbalanced_blocks_name_the_line() {
        assert!(message("a\n#repeat r 2\nb").contains("line 2"));
        assert!(run("#end").is_err());
        assert!(run("#elif TWO\n#end").is_err());
        assert!(message("a\n#if ZERO\n#else\n#elif TWO\n#end").contains("line 2"));
        assert!(run("#if ZERO\n#else\n#else\n#end").is_err());
        assert!(message("#if NOPE\n#end").contains("NOPE"));
        assert!(message("a\n#inport rows").contains("line 2: unknown directive #inport rows"));
    }

    #[test]
    fn a_part_is_imported_once() {
        let once = run("#import norm_fold\nmine").unwrap();
        assert!(once.contains("fn norm_scale") && once.ends_with("mine\n"));
        assert_eq!(run("#import norm_fold\n#import norm_fold\nmine").unwrap(), once);
        assert_eq!(words("#if ZERO\n#import rows\n#end\na"), ["a"]);
        // In a branch that is dropped it counts for nothing.
        let later = run("#if ZERO\n#import norm_fold\n#end\n#import norm_fold").unwrap();
        assert!(later.contains("fn norm_scale"));
    }

    #[test]
    fn parts_may_import_each_other() {
        let lookup = |_: &str| None;
        let mut expander = Expander::new("test", &lookup, String::new());
        expander.parts = &[("a", "#import b\nfrom a"), ("b", "#import a\n#import b\nfrom b")];
        expander.add("#import a\nmine").unwrap();
        expander.add("#import b\nsecond").unwrap();
        assert_eq!(expander.finish(), "from b\nfrom a\nmine\nsecond\n");
    }

    #[test]
    fn a_wrong_import_names_the_line() {
        let unknown = message("a\n#import nope");
        assert!(unknown.contains("line 2: unknown part nope") && unknown.contains("row_loss"), "{unknown}");
        assert!(message("#repeat i TWO\n#import rows\n#end").contains("line 2: #import inside #repeat"));
        // A fault of the part names the part: rows needs VECTOR.
        let inside = message("a\n#import rows");
        assert!(inside.contains("imported part rows, line") && inside.contains("VECTOR"), "{inside}");
    }

    /// Every name is one part, and every part imports only parts.
    #[test]
    fn the_parts_are_sound() {
        for (i, (name, text)) in PARTS.iter().enumerate() {
            assert!(PARTS[..i].iter().all(|(other, _)| other != name), "{name} twice");
            let imports = text.lines().filter_map(|line| line.trim_start().strip_prefix("#import "));
            for import in imports {
                assert!(PARTS.iter().any(|(part, _)| *part == import.trim()), "{name} imports {import}");
            }
        }
    }

    #[test]
    fn all_imports_of_a_kernel_are_found() {
        let found = with_imports(&["#if ZERO\n    #import row_loss\n#end"]);
        assert_eq!(found.len(), 3, "the file, row_loss, and the rows that it imports");
    }
}
