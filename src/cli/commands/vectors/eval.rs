//! `limbeck vectors eval`.

use std::path::PathBuf;

use clap::Args;

use super::measured::Questions;
use super::{QuestionFlags, ReadFlags};
use crate::Result;

/// Flags of `limbeck vectors eval`.
#[derive(Debug, Args)]
pub struct EvalFlags {
    /// The table that others are compared with
    #[arg(value_name = "FILE")]
    original: PathBuf,
    /// Tables made of it
    #[arg(value_name = "SMALL")]
    small: Vec<PathBuf>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    questions: QuestionFlags,
}

/// Measures and prints.
pub fn run(flags: &EvalFlags) -> Result<()> {
    let questions = Questions::read(&flags.questions)?;
    let original = flags.read.read(&flags.original)?;
    let name = |path: &PathBuf| path.display().to_string();
    let mut rows = vec![questions.ask(name(&flags.original), original.bytes, &original.vectors, None)?];
    for path in &flags.small {
        let small = flags.read.read_as(path, None)?;
        rows.push(questions.ask(name(path), small.bytes, &original.vectors, Some(&small.vectors))?);
    }
    questions.print(&rows)
}
