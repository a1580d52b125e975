//! `limbeck methods`: which distillation methods there are, and what one of them computes.

use std::process::ExitCode;

use clap::Args;

use crate::Result;
use crate::cli::out::say;
use crate::distill::pages;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck methods
  limbeck methods dkd
  limbeck methods --markdown > docs/methods.md";

/// Flags of `limbeck methods`.
#[derive(Debug, Args)]
pub struct MethodsFlags {
    /// Show this method: its loss, paper, taps, weights and settings
    name: Option<String>,
    /// Print all of them as a Markdown page
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

/// Lists or shows. Needs no adapter.
pub fn run(flags: &MethodsFlags) -> Result<ExitCode> {
    match &flags.name {
        Some(name) => say!("{}", pages::page(name)?.trim_end())?,
        None if flags.markdown => say!("{}", pages::markdown().trim_end())?,
        None => {
            say!("{}", pages::list())?;
            say!(
                "`limbeck methods NAME` shows loss, paper, tasks, taps and settings; terms combine: --method kd+dkd:1"
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
