//! `limbeck static`: an encoder of sentences into a table of token vectors.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::run::embedder::Table;
use crate::cli::run::quality::{self, Quality, measure};
use crate::cli::run::subject::tokens::tokenizer_for;
use crate::data::text::{TextOptions, TextSet, Tokenizer, read, read_texts};
use crate::data::{Source, Split};
use crate::gpu::Gpu;
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
  limbeck static all-MiniLM-L6-v2 --text sentences.txt --count-only --weights counts --scaling drop:8 --out compared
  limbeck static all-MiniLM-L6-v2 --measure stsb,sst2 --out small
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
    /// How much less frequent tokens count: zipf, by their place in the vocabulary; counts, by how often they are in --text; both; or
    /// none. With a share of its own, zipf:1e-4: that of a token that counts half [default: zipf:1e-4, with --text zipf:1e-3]
    #[arg(long, value_name = "KIND[:SHARE]")]
    weights: Option<Weights>,
    /// What becomes of the components: quarter-root, divided by the fourth root of their variance; none; or drop:8, without the 8 largest
    /// [default: quarter-root]
    #[arg(long, value_name = "KIND")]
    scaling: Option<Scaling>,
    /// Count tokens in --text for --weights only, and do not fit rows to the teacher's vectors of it
    #[arg(long, requires = "text")]
    count_only: bool,
    /// Measure the model on these data sets, such as stsb,sst2=DIR: what `limbeck eval` prints
    #[arg(long, value_name = "DATA[=DIR],..", value_delimiter = ',')]
    measure: Vec<String>,
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
enum StoreName {
    F16,
    F32,
    Int8,
}

impl StaticFlags {
    fn recipe(&self) -> Recipe {
        let recipe = match self.recipe {
            RecipeName::Limbeck if self.fits() => Recipe::for_sentences(self.dims),
            RecipeName::Limbeck => Recipe::new(self.dims),
            RecipeName::Model2vec => Recipe::model2vec(self.dims),
        };
        let (weights, scaling) =
            (self.weights.unwrap_or(recipe.weights), self.scaling.unwrap_or(recipe.scaling));
        Recipe { weights, scaling, ..recipe }
    }

    /// Whether rows are fitted to the teacher's vectors of sentences.
    fn fits(&self) -> bool {
        !self.text.is_empty() && !self.count_only
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
    let teacher = saved::open(&flags.teacher, &Overrides::default())?;
    let tokenizer = tokenizer_for(&flags.teacher, &teacher)?;
    let trimmed = Vocabulary::trim(&flags.teacher, tokenizer.json().as_bytes())?;
    let (recipe, plain) = (flags.recipe(), plain_means(&teacher.network)?);
    recipe.check(plain.head().width())?;
    if recipe.weights.counts() && flags.text.is_empty() {
        let message =
            format!("{} counts tokens in texts; name some with --text, or take zipf", recipe.weights);
        return Err(Error::config("--weights", message));
    }
    for (name, dir) in flags.measure.iter().map(|measured| named(measured)) {
        // What is missing is said before minutes of work.
        read_texts(name, dir, &TextOptions::default())?;
    }
    let gpu = adapter.open()?;
    let texts = sentences(flags, &teacher, &tokenizer)?;
    let targets = flags.fits().then(|| teacher_vectors(&gpu, &teacher, &texts)).transpose()?;
    let tokens = token_vectors(&gpu, &plain, &trimmed)?;
    log::info!("{} token vectors after {:.0} s", count(tokens.len() as u64), start.elapsed().as_secs_f64());
    let numbered = trimmed.renumber(texts.iter());
    let rows = match &targets {
        None if recipe.weights.counts() => build(&tokens, &recipe, Some(&numbered.counts(tokens.len())?))?,
        None => build(&tokens, &recipe, None)?,
        Some(targets) => fit(&numbered, targets, &tokens, &recipe, &FitOptions::default())?,
    };
    let model = StaticModel::new(rows, trimmed.vocabulary)?;
    let options = SaveOptions {
        store: flags.store(),
        base_model: flags.teacher.file_name().map(|name| name.to_string_lossy().into_owned()),
        sif_coefficient: recipe.weights.a(),
    };
    model.save_folder(&flags.out, &options)?;
    let of = targets.map_or(String::new(), |_| format!(", learned from {} sentences", texts.len()));
    say!("{} tokens of {} numbers{of}", count(model.rows().len() as u64), model.dims())?;
    say!("wrote {} in {:.0} s", flags.out.display(), start.elapsed().as_secs_f64())?;
    for measured in &flags.measure {
        let (name, dir) = named(measured);
        let Quality { texts, fitted_on, metrics, .. } = measure(&Table::open(&flags.out)?, name, dir)?;
        say!("\non {texts} test texts of {name}")?;
        quality::print(&metrics, fitted_on)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the teacher says of each token alone, with what it has around a sentence.
fn token_vectors(gpu: &Gpu, teacher: &Network, trimmed: &Trimmed) -> Result<Rows> {
    let alone = |token: &u32| [&trimmed.before[..], &[*token], &trimmed.after[..]].concat();
    let set = set_of("tokens", teacher, trimmed.kept.iter().map(alone))?;
    encode(gpu, teacher, &Arc::new(set))
}

/// The sentences of the files by the teacher's tokens.
fn sentences(flags: &StaticFlags, teacher: &Saved, tokenizer: &Tokenizer) -> Result<Sentences> {
    let column = |at: usize| flags.columns.get(at).map(|name| name.as_str().into());
    let options = TextOptions { text: column(0), second: column(1), ..Default::default() };
    let InputSpec::Tokens { longest, .. } = teacher.network.input() else {
        return Err(Error::file(&flags.teacher, "expected an encoder of texts"));
    };
    let mut texts = Sentences::default();
    for file in &flags.text {
        let read = read(file, &options)?.one_by_one();
        tokenizer.encode_all(&read, longest)?.into_iter().for_each(|encoded| texts.push(encoded.tokens));
    }
    Ok(texts)
}

/// What the teacher says of sentences.
fn teacher_vectors(gpu: &Gpu, teacher: &Saved, texts: &Sentences) -> Result<Rows> {
    let set = set_of("sentences", &teacher.network, texts.iter().map(<[u32]>::to_vec))?;
    log::info!("{} sentences of {} tokens", count(set.len() as u64), count(set.all_tokens().len() as u64));
    encode(gpu, &teacher.network, &Arc::new(set))
}

/// A data set and the directory it is in: `sst2`, `sst2=DIR`.
fn named(text: &str) -> (&str, Option<&Path>) {
    text.split_once('=').map_or((text, None), |(name, dir)| (name, Some(Path::new(dir))))
}

fn set_of(name: &str, network: &Network, lists: impl Iterator<Item = Vec<u32>>) -> Result<TextSet> {
    let InputSpec::Tokens { vocabulary, longest } = network.input() else {
        return Err(Error::config("model", "expected an encoder of texts"));
    };
    TextSet::new(name, Split::Train, [vocabulary, longest], lists)
}
