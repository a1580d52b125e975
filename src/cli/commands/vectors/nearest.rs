//! `limbeck vectors nearest`.

use std::path::PathBuf;

use clap::Args;

use super::ReadFlags;
use crate::Result;
use crate::cli::out::say;
use crate::report::printable;
use crate::vectors::measure::nearest;

/// Flags of `limbeck vectors nearest`.
#[derive(Debug, Args)]
pub struct NearestFlags {
    /// A table of words
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Words whose nearest are listed
    #[arg(value_name = "WORD", required = true)]
    of: Vec<String>,
    /// How many
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    #[command(flatten)]
    read: ReadFlags,
}

/// Finds and prints.
pub fn run(flags: &NearestFlags) -> Result<()> {
    let vectors = flags.read.read(&flags.file)?.vectors;
    let mut lines = Vec::new();
    for word in &flags.of {
        let found = nearest(&vectors, word, flags.count as usize)?;
        let words = found.iter().map(|(row, cosine)| {
            format!("{} {cosine:.3}", printable(vectors.words().get(*row).unwrap_or_default()))
        });
        lines.push(format!("{}: {}", printable(word), words.collect::<Vec<_>>().join(", ")));
    }
    say!("{}", lines.join("\n"))
}
