//! Words, whose vectors are made smaller: what PCA keeps of 4,000 words of GloVe, and what training keeps.

use std::time::Instant;

use super::DemoFlags;
use crate::cli::commands::vectors::measured::Questions;
use crate::cli::out::say;
use crate::files::write_atomic;
use crate::gpu::Gpu;
use crate::vectors::files::{Read, ReadOptions, read};
use crate::vectors::measure::nearest;
use crate::vectors::{Recipe, WordVectors};
use crate::{Error, Result};

/// The most frequent words of GloVe 6B, public domain by the PDDL 1.0: see the README beside it.
const GLOVE: &[u8] = include_bytes!("../../../../examples/data/glove-4k-50d.safetensors");
const NAME: &str = "glove-4k-50d.safetensors";

/// As few numbers by PCA and by training, and codes.
const RECIPES: [&str; 4] =
    ["pca:16", "neighbours:16,steps=150,batch=500", "neighbours:16,steps=150,batch=500+int8", "codes:10x8"];
/// Of which the neighbours are shown.
const WORD: &str = "music";

/// Writes the vectors as a user has them, shrinks them, and prints what is left.
pub fn run(gpu: &Gpu, flags: &DemoFlags) -> Result<()> {
    let start = Instant::now();
    if flags.epochs.is_some() || flags.seeds.is_some() {
        let message = "the demo of words has neither epochs nor seeds; leave --epochs and --seeds out";
        return Err(Error::config("--task", message));
    }
    let file = flags.out.join(NAME);
    write_atomic(&file, |to| to.write_all(GLOVE))?;
    let Read { vectors, bytes, .. } = read(&file, &ReadOptions::default())?;
    say!("{} words of {} numbers: {}\n", vectors.len(), vectors.width(), file.display())?;
    let questions = Questions::of_neighbours();
    let mut rows = vec![questions.ask("as it is".into(), bytes, &vectors, None)?];
    let mut near = vec![(String::from("as it is"), words_near(&vectors)?)];
    for steps in RECIPES {
        let (begun, recipe): (_, Recipe) = (Instant::now(), steps.parse()?);
        let small = recipe.apply(Some(gpu), &vectors, 0)?;
        let seconds = begun.elapsed().as_secs_f64();
        let place = flags.out.join(format!("{}.safetensors", steps.replace([':', ',', '='], "-")));
        small.write(&place)?;
        let mut row = questions.ask(steps.into(), small.bytes(), &vectors, Some(&small.vectors))?;
        row.seconds = Some(seconds);
        rows.push(row);
        near.push((steps.into(), words_near(&small.vectors)?));
    }
    questions.print(&rows)?;
    say!("\nnearest to \"{WORD}\":")?;
    near.iter().try_for_each(|(table, words)| say!("  {table:<40} {words}"))?;
    say!("\nthe tables are in {}; it took {:.0} s", flags.out.display(), start.elapsed().as_secs_f64())
}

fn words_near(vectors: &WordVectors) -> Result<String> {
    let found = nearest(vectors, WORD, 5)?;
    Ok(found.iter().filter_map(|(row, _)| vectors.words().get(*row)).collect::<Vec<_>>().join(", "))
}
