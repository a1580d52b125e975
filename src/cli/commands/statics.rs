//! `limbeck static`: an encoder of sentences into a table of token vectors.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::run::subject::tokens::tokenizer_in;
use crate::data::text::{TextOptions, TextSet, Tokenizer, read};
use crate::data::{Source, Split};
use crate::gpu::Gpu;
use crate::models::encoder::text_vectors;
use crate::models::saved::{self, Overrides, Saved};
use crate::models::{InputSpec, Network};
use crate::report::count;
use crate::sentences::statics::{
    FitOptions, Recipe, SaveOptions, Scaling, StaticModel, Store, Trimmed, Vocabulary, Weights, build, fit,
};
use crate::sentences::{Rows, Sentences, encode, plain_means};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck static all-MiniLM-L6-v2 --out small
  limbeck static all-MiniLM-L6-v2 --dims 64 --text sentences.txt,reviews.csv --out small
  limbeck static all-MiniLM-L6-v2 --recipe model2vec --out as-model2vec";

/// Flags of `limbeck static`.
#[derive(Debug, Args)]
pub struct StaticFlags {
    /// The teacher: a folder of sentence-transformers or transformers, or an encoder that limbeck saved
    #[arg(value_name = "TEACHER")]
    teacher: PathBuf,
    /// The folder to write, which model2vec and sentence-transformers open
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Numbers of a vector
    #[arg(long, value_name = "N", default_value_t = 256)]
    dims: usize,
    /// Sentences to learn from: lines, .csv, .tsv or .jsonl, as the texts that the model is for; some thousands
    #[arg(long, value_name = "FILE,..", value_delimiter = ',')]
    text: Vec<PathBuf>,
    /// Columns of the sentences in tables, by name or number from 0 [default: text, sentence, or the first]
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    columns: Vec<String>,
    /// limbeck, or model2vec for exactly what that makes
    #[arg(long, value_name = "NAME", default_value = "limbeck", conflicts_with = "text")]
    recipe: RecipeName,
    /// How much frequent tokens count less: zipf by their place in the vocabulary, none [default: zipf]
    #[arg(long, value_name = "KIND")]
    weights: Option<WeightsName>,
    /// f16, f32 or int8
    #[arg(long, value_name = "TYPE", default_value = "f16")]
    store: StoreName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RecipeName {
    Limbeck,
    Model2vec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightsName {
    Zipf,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreName {
    F16,
    F32,
    Int8,
}

impl StaticFlags {
    fn recipe(&self) -> Recipe {
        let plain =
            if self.text.is_empty() { Recipe::new(self.dims) } else { Recipe::for_sentences(self.dims) };
        let recipe = match self.recipe {
            RecipeName::Limbeck => plain,
            RecipeName::Model2vec => Recipe { scaling: Scaling::None, ..Recipe::model2vec(self.dims) },
        };
        match self.weights {
            Some(WeightsName::None) => Recipe { weights: Weights::None, ..recipe },
            _ => recipe,
        }
    }

    fn store(&self) -> Store {
        match self.store {
            StoreName::F16 => Store::F16,
            StoreName::F32 => Store::F32,
            StoreName::Int8 => Store::I8,
        }
    }
}

/// Asks the teacher, makes the table and writes the folder.
pub fn run(adapter: &AdapterFlags, flags: &StaticFlags) -> Result<ExitCode> {
    let start = Instant::now();
    let Saved { network, metadata } = saved::open(&flags.teacher, &Overrides::default())?;
    let teacher = Saved { network: text_vectors(network)?, metadata };
    let tokenizer = tokenizer_in(&flags.teacher, &teacher.metadata)?;
    let trimmed = Vocabulary::trim(&flags.teacher, tokenizer.json().as_bytes())?;
    let (recipe, plain) = (flags.recipe(), plain_means(&teacher.network)?);
    recipe.check(plain.head().width())?;
    let gpu = adapter.open()?;
    let learned = match &flags.text[..] {
        [] => None,
        files => Some(sentences(&gpu, flags, files, &teacher, &tokenizer)?),
    };
    let tokens = token_vectors(&gpu, &plain, &trimmed)?;
    log::info!("{} token vectors after {:.0} s", count(tokens.len() as u64), start.elapsed().as_secs_f64());
    let rows = match &learned {
        None => build(&tokens, &recipe, None)?,
        Some((texts, targets)) => {
            fit(&trimmed.renumber(texts.iter()), targets, &tokens, &recipe, &FitOptions::default())?
        }
    };
    let model = StaticModel::new(rows, trimmed.vocabulary)?;
    let options = SaveOptions {
        store: flags.store(),
        base_model: flags.teacher.file_name().map(|name| name.to_string_lossy().into_owned()),
        sif_coefficient: recipe.weights.a(),
    };
    model.save_folder(&flags.out, &options)?;
    let of = learned.map_or(String::new(), |(texts, _)| format!(", learned from {} sentences", texts.len()));
    say!("{} tokens of {} numbers{of}", count(model.rows().len() as u64), model.dims())?;
    say!("wrote {} in {:.0} s", flags.out.display(), start.elapsed().as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

/// What the teacher says of each token alone, with what it has around a sentence.
fn token_vectors(gpu: &Gpu, teacher: &Network, trimmed: &Trimmed) -> Result<Rows> {
    let alone = |token: &u32| [&trimmed.before[..], &[*token], &trimmed.after[..]].concat();
    let set = set_of("tokens", teacher, trimmed.kept.iter().map(alone))?;
    encode(gpu, teacher, &Arc::new(set))
}

/// The sentences of the files by the teacher's tokens, and its vectors of them.
fn sentences(
    gpu: &Gpu,
    flags: &StaticFlags,
    files: &[PathBuf],
    teacher: &Saved,
    tokenizer: &Tokenizer,
) -> Result<(Sentences, Rows)> {
    let column = |at: usize| flags.columns.get(at).map(|name| name.as_str().into());
    let options = TextOptions { text: column(0), second: column(1), ..Default::default() };
    let InputSpec::Tokens { longest, .. } = teacher.network.input() else {
        return Err(Error::file(&flags.teacher, "expected an encoder of texts"));
    };
    let mut lists = Vec::new();
    for file in files {
        let texts = read(file, &options)?.one_by_one();
        lists.extend(tokenizer.encode_all(&texts, longest)?.into_iter().map(|encoded| encoded.tokens));
    }
    let mut texts = Sentences::default();
    lists.iter().for_each(|list| texts.push(list.iter().copied()));
    let set = Arc::new(set_of("sentences", &teacher.network, lists.into_iter())?);
    log::info!("{} sentences of {} tokens", count(set.len() as u64), count(set.all_tokens().len() as u64));
    Ok((texts, encode(gpu, &teacher.network, &set)?))
}

fn set_of(name: &str, network: &Network, lists: impl Iterator<Item = Vec<u32>>) -> Result<TextSet> {
    let InputSpec::Tokens { vocabulary, longest } = network.input() else {
        return Err(Error::config("model", "expected an encoder of texts"));
    };
    TextSet::new(name, Split::Train, [vocabulary, longest], lists)
}
