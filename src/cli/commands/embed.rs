//! `limbeck embed`: texts to vectors.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::run::embedder;
use crate::data::text::{TextOptions, Texts, read};
use crate::files::{Metadata, StoredTensor, write_atomic, write_npy, write_safetensors};
use crate::report::count;
use crate::sentences::Rows;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck embed all-MiniLM-L6-v2 sentences.txt --out vectors.npy
  limbeck embed static-model reviews.csv --column text --out vectors.jsonl
  limbeck embed runs/student/model.safetensors sentences.txt --out vectors.safetensors";

/// Flags of `limbeck embed`.
#[derive(Debug, Args)]
pub struct EmbedFlags {
    /// A folder of transformers, sentence-transformers or model2vec, or a model that limbeck saved
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Texts: lines, .csv, .tsv or .jsonl
    #[arg(value_name = "FILE")]
    texts: PathBuf,
    /// Where the vectors go: .npy, .jsonl or .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Column of the text, by name or number from 0 [default: text, sentence, or the first]
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// Most tokens of a text; longer ones are cut [default: the model's]
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
}

/// What becomes of vectors.
#[derive(Clone, Copy)]
enum Form {
    Npy,
    JsonLines,
    Safetensors,
}

impl Form {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("npy") => Ok(Self::Npy),
            Some("jsonl") => Ok(Self::JsonLines),
            Some("safetensors") => Ok(Self::Safetensors),
            _ => {
                let message = format!("expected .npy, .jsonl or .safetensors, got {}", path.display());
                Err(Error::config("--out", message))
            }
        }
    }

    fn write(self, path: &Path, rows: &Rows, texts: &Texts) -> Result<()> {
        match self {
            Self::Npy => write_npy(path, rows.values(), rows.width()),
            Self::Safetensors => {
                let shape = vec![rows.len(), rows.width()];
                let tensor = StoredTensor::new("embeddings", shape, rows.values());
                write_safetensors(path, &[tensor], &Metadata::new())
            }
            Self::JsonLines => write_atomic(path, |to| {
                let mut both = texts.firsts().iter().zip(rows.iter());
                both.try_for_each(|(text, vector)| {
                    writeln!(to, "{}", serde_json::json!({ "text": text, "vector": vector }))
                })
            }),
        }
    }
}

/// Reads, runs and writes.
pub fn run(adapter: &AdapterFlags, flags: &EmbedFlags) -> Result<ExitCode> {
    let form = Form::of(&flags.out)?;
    let options = TextOptions { text: flags.column.as_deref().map(Into::into), ..Default::default() };
    let texts = read(&flags.texts, &options)?;
    let embedder = embedder::open(adapter, &flags.model, flags.max_tokens)?;
    let start = Instant::now();
    let rows = embedder.vectors(&texts)?;
    let seconds = start.elapsed().as_secs_f64();
    form.write(&flags.out, &rows, &texts)?;
    say!(
        "{} vectors of {} numbers: {:.0} texts a second, with tokenizing",
        count(rows.len() as u64),
        rows.width(),
        rows.len() as f64 / seconds
    )?;
    say!("wrote {}", flags.out.display())?;
    Ok(ExitCode::SUCCESS)
}
