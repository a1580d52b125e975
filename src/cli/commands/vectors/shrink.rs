//! `limbeck vectors shrink`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::measured::Questions;
use super::{QuestionFlags, ReadFlags};
use crate::cli::AdapterFlags;
use crate::vectors::Recipe;
use crate::vectors::files::{Format, IN_FOLDER, Read, expect_writable, write};
use crate::vectors::shrink::Small;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck vectors shrink glove.6B.50d.txt --to neighbours:16 --out small.vec
  limbeck vectors shrink glove.6B.50d.txt --words 20000 --to pca:16 --to neighbours:16+int8 --to codes:10x8 --out small

Steps, joined by +:
  words:N          the first N words
  pca:K            K directions of most variance
  cosines:K        the best linear map for cosines
  ppa:N            the mean and the N directions of most variance taken out; as wide as before
  similarities:K   K numbers trained to keep all similarities
  neighbours:K     K numbers trained to keep the nearest words
  f16, int8        fewer bytes a number; last
  codes:PxB        product codes, P parts of B bits, of directions and not of lengths; last
Trained ones have settings: neighbours:16,steps=400,temperature=0.07,batch=1024,near=32,lr=0.005.

Files: with one --to the file's ending says the format (.vec, .txt, .bin hold plain numbers, .safetensors what is stored);
else --out is a folder.";

/// Flags of `limbeck vectors shrink`.
#[derive(Debug, Args)]
pub struct ShrinkFlags {
    /// A table of words: GloVe or word2vec text, fastText .vec, word2vec .bin, safetensors
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is made smaller, such as pca:16 or words:10000+neighbours:16+int8; may be repeated
    #[arg(long, value_name = "STEPS", required = true)]
    to: Vec<Recipe>,
    /// Where the smaller ones go; without it they are measured and not written
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    questions: QuestionFlags,
}

/// Shrinks, writes and prints.
pub fn run(adapter: &AdapterFlags, flags: &ShrinkFlags) -> Result<()> {
    let questions = Questions::read(&flags.questions)?;
    let mut seen = HashSet::new();
    let places: Vec<Option<Place>> =
        flags.to.iter().map(|recipe| flags.place(recipe)).collect::<Result<_>>()?;
    if let Some(twice) = places.iter().flatten().find(|place| !seen.insert(place.path.clone())) {
        return Err(Error::config(
            "--out",
            format!("two of --to would be written to {}", twice.path.display()),
        ));
    }
    let Read { vectors, bytes, .. } = flags.read.read(&flags.file)?;
    // What can be known to fail is not found out after a training.
    for (recipe, place) in flags.to.iter().zip(&places) {
        recipe.check(vectors.len(), vectors.width())?;
        if let Some(format) = place.as_ref().and_then(|place| place.format) {
            expect_writable(&vectors, format)?;
        }
    }
    let gpu = flags.to.iter().any(Recipe::trains).then(|| adapter.open()).transpose()?;
    let mut rows = vec![questions.ask("as it is".into(), bytes, &vectors, None)?];
    for (recipe, place) in flags.to.iter().zip(places) {
        let start = Instant::now();
        let small = recipe.apply(gpu.as_ref(), &vectors, flags.questions.seed)?;
        let seconds = start.elapsed().as_secs_f64();
        if let Some(place) = place {
            place.write(&small)?;
            log::info!("wrote {}", place.path.display());
        }
        let mut row = questions.ask(recipe.to_string(), small.bytes(), &vectors, Some(&small.vectors))?;
        row.seconds = Some(seconds);
        rows.push(row);
    }
    questions.print(&rows)
}

/// Where a table goes, and as what: `None` is what it is stored as.
struct Place {
    path: PathBuf,
    format: Option<Format>,
}

impl ShrinkFlags {
    fn place(&self, recipe: &Recipe) -> Result<Option<Place>> {
        let Some(out) = &self.out else { return Ok(None) };
        let refuse = |message: String| Err(Error::config("--out", message));
        let place = match Format::of_name(out) {
            Some(_) if self.to.len() > 1 => {
                return refuse("names a file, and there are several --to; give a folder".into());
            }
            Some(format) => {
                Place { path: out.clone(), format: Some(format).filter(|f| *f != Format::Safetensors) }
            }
            None if !out.is_dir() && (out.exists() || out.extension().is_some()) => {
                let message =
                    "expected a folder, or a file that ends in .txt, .vec, .bin or .safetensors, got";
                return refuse(format!("{message} {}", out.display()));
            }
            None => {
                let letter = |c: char| if c.is_ascii_alphanumeric() || "+.".contains(c) { c } else { '-' };
                let name: String = recipe.to_string().chars().map(letter).collect();
                Place { path: out.join(format!("{name}.safetensors")), format: None }
            }
        };
        let read = if self.file.is_dir() { self.file.join(IN_FOLDER) } else { self.file.clone() };
        let same = |a: &Path, b: &Path| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
        if same(&place.path, &read) == Some(true) {
            return refuse(format!("{} is the table that is read; give another place", place.path.display()));
        }
        Ok(Some(place))
    }
}

impl Place {
    fn write(&self, small: &Small) -> Result<()> {
        if let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new("")) {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        match self.format {
            Some(format) => write(&self.path, &small.vectors, format),
            None => small.write(&self.path),
        }
    }
}
