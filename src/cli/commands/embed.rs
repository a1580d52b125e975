//! `limbeck embed`: texts to vectors.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::run::subject::tokens::{tokenizer_in, tokenizer_of};
use crate::data::Split;
use crate::data::text::{TextOptions, TextSet, Texts, read};
use crate::files::{Metadata, StoredTensor, write_atomic, write_npy, write_safetensors};
use crate::gpu::Gpu;
use crate::models::InputSpec;
use crate::models::encoder::text_vectors;
use crate::models::saved::{self, Overrides};
use crate::report::count;
use crate::sentences::statics::StaticModel;
use crate::sentences::{Rows, encode};
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
    let (rows, seconds) = if is_static(&flags.model) {
        of_static(&flags.model, &texts)?
    } else {
        of_encoder(&adapter.open()?, flags, &texts)?
    };
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

/// Whether a folder is of a static model: encoders have sizes of layers in their config.json.
pub fn is_static(path: &Path) -> bool {
    let config = std::fs::read_to_string(path.join("config.json")).unwrap_or_default();
    let encoder = ["num_hidden_layers", "n_layers"].iter().any(|key| config.contains(key));
    let own = ["model.safetensors", "modules.json"].iter().any(|name| path.join(name).is_file());
    path.is_dir() && own && !encoder && !config.is_empty()
}

fn of_static(path: &Path, texts: &Texts) -> Result<(Rows, f64)> {
    let (model, tokenizer) = (StaticModel::open_folder(path)?, tokenizer_of(path)?);
    let start = Instant::now();
    let rows = model.encode_texts(texts.firsts(), |text| tokenizer.bare(text))?;
    Ok((rows, start.elapsed().as_secs_f64()))
}

fn of_encoder(gpu: &Gpu, flags: &EmbedFlags, texts: &Texts) -> Result<(Rows, f64)> {
    let saved = saved::open(&flags.model, &Overrides::default())?;
    let InputSpec::Tokens { longest, .. } = saved.network.input() else {
        let message = format!("it takes {}, not texts", saved.network.input());
        return Err(Error::file(&flags.model, message));
    };
    let tokenizer = tokenizer_in(&flags.model, &saved.metadata)?;
    let longest = flags.max_tokens.unwrap_or(longest).min(longest);
    let start = Instant::now();
    let set = Arc::new(TextSet::tokenized(texts, Split::Test, &tokenizer, longest)?);
    if set.cut() > 0 {
        log::warn!("{} texts have more than {longest} tokens and were cut", count(set.cut() as u64));
    }
    let rows = encode(gpu, &text_vectors(saved.network)?, &set)?;
    Ok((rows, start.elapsed().as_secs_f64()))
}
