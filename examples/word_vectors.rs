//! A space of words made smaller: 4,000 words of GloVe in 50 numbers, and what fewer bytes keep of them.
//!
//!     cargo run --example word_vectors
//!
//! Expect 16 numbers that were trained to keep the neighbours to keep far more of them than 16 principal components, and more than
//! 25 of these; product codes to do so in a quarter of the bytes; and the words nearest to "music" before and after.

use std::path::Path;

use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::vectors::files::{ReadOptions, read};
use limbeck::vectors::measure::{nearest, neighbours_kept, similarity_error};
use limbeck::vectors::{Recipe, WordVectors};

/// 16 numbers that are trained; fewer words a step than usual, as there are few.
const LEARNED: &str = "neighbours:16,steps=150,batch=500";

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/glove-4k-50d.safetensors");
    let vectors = read(file, &ReadOptions::default())?.vectors;
    println!(
        "{} words of {} numbers: {} bytes as f32",
        vectors.len(),
        vectors.width(),
        4 * vectors.values().len()
    );
    println!("{:<38}{:>9}{:>17}{:>7}", "", "bytes", "neighbours kept", "error");
    for steps in ["pca:25", "pca:16", LEARNED, &format!("{LEARNED}+int8"), "codes:10x8"] {
        let recipe: Recipe = steps.parse()?;
        let small = recipe.apply(Some(&gpu), &vectors, 0)?;
        let kept = neighbours_kept(&vectors, &small.vectors, &Default::default())?.share;
        let error = similarity_error(&vectors, &small.vectors, &Default::default())?.error;
        println!("{steps:<38}{:>9}{kept:>17.3}{error:>7.3}", small.bytes());
        if steps.ends_with("int8") {
            println!("  nearest to music: {}", words_near("music", &small.vectors)?);
        }
    }
    println!("before, nearest to music: {}", words_near("music", &vectors)?);
    Ok(())
}

fn words_near(word: &str, vectors: &WordVectors) -> limbeck::Result<String> {
    let found = nearest(vectors, word, 5)?;
    Ok(found.iter().filter_map(|(row, _)| vectors.words().get(*row)).collect::<Vec<_>>().join(", "))
}
