//! `limbeck vectors`: tables of words made smaller, measured, and looked into.

mod eval;
pub(super) mod measured;
mod nearest;
mod shrink;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::Result;
use crate::cli::AdapterFlags;
use crate::vectors::files::{Format, Read, ReadOptions, read};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck vectors shrink glove.6B.50d.txt --words 20000 --to pca:16 --to neighbours:16 --to codes:10x8 --out small
  limbeck vectors eval glove.6B.50d.txt small/neighbours-16.safetensors --pairs wordsim353.csv,simlex999.txt
  limbeck vectors nearest small/neighbours-16.safetensors frog lawyer";

/// Flags of `limbeck vectors`.
#[derive(Debug, Args)]
pub struct VectorsFlags {
    #[command(subcommand)]
    command: VectorsCommand,
}

#[derive(Debug, Subcommand)]
enum VectorsCommand {
    /// Make smaller tables, and tabulate what each keeps for its bytes
    #[command(after_help = shrink::EXAMPLES)]
    Shrink(shrink::ShrinkFlags),
    /// Measure tables: word pairs, analogies, and what smaller ones keep of the first
    Eval(eval::EvalFlags),
    /// List the nearest words of some words
    Nearest(nearest::NearestFlags),
}

/// How tables are read.
#[derive(Debug, Args)]
struct ReadFlags {
    /// Read the first N words only; files have the most frequent first
    #[arg(long, value_name = "N")]
    words: Option<usize>,
    /// glove, vec, word2vec or safetensors, where the first file does not tell
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

impl ReadFlags {
    /// Reads the first table, and says what is odd about it.
    fn read(&self, path: &Path) -> Result<Read> {
        self.read_as(path, self.format)
    }

    /// Reads a table of this format, or of what it is told to be by its content.
    fn read_as(&self, path: &Path, format: Option<Format>) -> Result<Read> {
        let found = read(path, &ReadOptions { format, most_words: self.words })?;
        for note in &found.notes {
            log::warn!("{}: {note}", path.display());
        }
        Ok(found)
    }
}

/// What tables are asked.
#[derive(Debug, Args)]
struct QuestionFlags {
    /// Files of word pairs with people's scores: `word word score` a line
    #[arg(long, value_name = "FILE,..", value_delimiter = ',')]
    pairs: Vec<PathBuf>,
    /// Files of analogies: four words a line, as in questions-words.txt
    #[arg(long, value_name = "FILE,..", value_delimiter = ',')]
    analogies: Vec<PathBuf>,
    /// Keys which words are asked for
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shrinks, measures or lists.
pub fn run(adapter: &AdapterFlags, flags: &VectorsFlags) -> Result<ExitCode> {
    match &flags.command {
        VectorsCommand::Shrink(flags) => shrink::run(adapter, flags)?,
        VectorsCommand::Eval(flags) => eval::run(flags)?,
        VectorsCommand::Nearest(flags) => nearest::run(flags)?,
    }
    Ok(ExitCode::SUCCESS)
}
