//! What a smaller table keeps of a larger one.
//!
//! Both have the same words, or the smaller one has fewer, as after leaving out rare words: only words of both are compared,
//! and what is near is looked for among them.

use super::super::WordVectors;
use super::scan::{Query, best_rows};
use crate::report::cosine;
use crate::rng::Stream;
use crate::{Error, Result};

/// How [`neighbours_kept`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourOptions {
    /// Nearest words that are looked at, of each word asked for.
    pub count: usize,
    /// Words asked for, drawn without repetition; all where there are fewer.
    pub queries: usize,
    /// What they are drawn by.
    pub seed: u64,
}

impl Default for NeighbourOptions {
    fn default() -> Self {
        Self { count: 10, queries: 500, seed: 0 }
    }
}

/// What [`neighbours_kept`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbours {
    /// The share of nearest words that are the same in both tables, 0 to 1.
    pub share: f64,
    /// Nearest words of each: what was asked for, or all other words where those are fewer.
    pub count: usize,
    /// Words that were asked for.
    pub queries: usize,
    /// Words of both tables.
    pub words: usize,
}

/// How [`similarity_error`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimilarityOptions {
    /// Pairs that are compared.
    pub pairs: usize,
    /// What they are drawn by.
    pub seed: u64,
}

impl Default for SimilarityOptions {
    fn default() -> Self {
        Self { pairs: 100_000, seed: 0 }
    }
}

/// What [`similarity_error`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimilarityError {
    /// The root mean square of the differences of cosines.
    pub error: f64,
    /// Pairs that were compared.
    pub pairs: usize,
    /// Words of both tables.
    pub words: usize,
}

/// Rows of the words that both tables have, (in `original`, in `small`), in the order of `original`.
fn common(original: &WordVectors, small: &WordVectors) -> Result<Vec<(usize, usize)>> {
    let words = original.words().iter().enumerate();
    let rows: Vec<_> = words.filter_map(|(row, word)| Some((row, small.find(word)?))).collect();
    if rows.len() < 2 {
        let expected = "two words at least that both tables have".to_string();
        let got = format!("{} of {} and {} words", rows.len(), original.len(), small.len());
        return Err(Error::shape("comparing word vectors", expected, got));
    }
    Ok(rows)
}

/// Rows of these numbers at length 1.
fn unit(vectors: &WordVectors, rows: impl ExactSizeIterator<Item = usize> + Clone) -> Vec<f32> {
    let unit = vectors.unit();
    let width = vectors.width();
    if rows.len() == vectors.len() && rows.clone().eq(0..vectors.len()) {
        return unit;
    }
    rows.flat_map(|row| unit.chunks_exact(width).nth(row).unwrap_or_default()).copied().collect()
}

/// The share of a word's nearest words in `original` (by cosine, itself left out, of equal ones the lower row) that are among
/// as many nearest in `small`, on average over words drawn by [`Stream`].
///
/// # Errors
/// [`Error::Config`] for a count or a number of queries of 0, [`Error::Shape`] for tables with fewer than two words in common.
pub fn neighbours_kept(
    original: &WordVectors,
    small: &WordVectors,
    options: &NeighbourOptions,
) -> Result<Neighbours> {
    for (name, value) in [("count", options.count), ("queries", options.queries)] {
        if value == 0 {
            return Err(Error::config(name, "expected at least 1, got 0"));
        }
    }
    let rows = common(original, small)?;
    let mut queries = Stream::new(options.seed, "neighbours kept").permutation(rows.len());
    queries.truncate(options.queries);
    let count = options.count.min(rows.len() - 1);
    let nearest = |table: Vec<f32>, width: usize| {
        let row = |at: usize| table.chunks_exact(width).nth(at).unwrap_or_default().to_vec();
        let queries: Vec<_> =
            queries.iter().map(|at| Query { vector: row(*at), except: vec![*at] }).collect();
        best_rows(&table, width, &queries, count)
    };
    let before = nearest(unit(original, rows.iter().map(|(row, _)| *row)), original.width());
    let after = nearest(unit(small, rows.iter().map(|(_, row)| *row)), small.width());
    let kept =
        |(before, after): (&Vec<usize>, &Vec<usize>)| before.iter().filter(|row| after.contains(row)).count();
    let kept: usize = before.iter().zip(&after).map(kept).sum();
    let share = kept as f64 / (count * queries.len()) as f64;
    Ok(Neighbours { share, count, queries: queries.len(), words: rows.len() })
}

/// The root mean square of how far the cosine of two different words in `small` is from that in `original`, over pairs
/// drawn by [`Stream`], each by itself, so that a pair may come again.
///
/// # Errors
/// [`Error::Config`] for 0 pairs, [`Error::Shape`] for tables with fewer than two words in common.
pub fn similarity_error(
    original: &WordVectors,
    small: &WordVectors,
    options: &SimilarityOptions,
) -> Result<SimilarityError> {
    if options.pairs == 0 {
        return Err(Error::config("pairs", "expected at least 1, got 0"));
    }
    let rows = common(original, small)?;
    let mut stream = Stream::new(options.seed, "similarity error");
    let mut sum = 0.0;
    for _ in 0..options.pairs {
        let (a, b) = (stream.below(rows.len()), stream.below(rows.len() - 1));
        // Any but a.
        let b = b + usize::from(b >= a);
        let (Some(a), Some(b)) = (rows.get(a), rows.get(b)) else { continue };
        let of = |vectors: &WordVectors, a, b| {
            cosine(vectors.row(a).unwrap_or_default(), vectors.row(b).unwrap_or_default())
        };
        sum += (of(small, a.1, b.1) - of(original, a.0, b.0)).powi(2);
    }
    let error = (sum / options.pairs as f64).sqrt();
    Ok(SimilarityError { error, pairs: options.pairs, words: rows.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(words: usize, width: usize) -> WordVectors {
        let mut stream = Stream::new(3, "words");
        let names: Vec<String> = (0..words).map(|k| format!("w{k}")).collect();
        let values = (0..words * width).map(|_| stream.normal() as f32).collect();
        WordVectors::new(names.iter().map(String::as_str).collect(), width, values).unwrap()
    }

    #[test]
    fn a_table_keeps_all_of_itself() {
        let table = random(60, 5);
        let kept = neighbours_kept(&table, &table, &NeighbourOptions::default()).unwrap();
        assert_eq!((kept.share, kept.count, kept.queries, kept.words), (1.0, 10, 60, 60));
        let options = NeighbourOptions { count: 100, queries: 7, seed: 1 };
        let kept = neighbours_kept(&table, &table, &options).unwrap();
        assert_eq!((kept.count, kept.queries), (59, 7));
        let error = similarity_error(&table, &table, &SimilarityOptions::default()).unwrap();
        assert_eq!((error.error, error.pairs, error.words), (0.0, 100_000, 60));
        // Lengths do not count, directions do.
        let twice = table.with_values(5, table.values().iter().map(|v| v * 2.0).collect()).unwrap();
        assert_eq!(neighbours_kept(&table, &twice, &NeighbourOptions::default()).unwrap().share, 1.0);
        let turned = random(60, 7);
        assert!(neighbours_kept(&table, &turned, &NeighbourOptions::default()).unwrap().share < 0.5);
    }

    /// Words that were left out, and an order of its own.
    #[test]
    fn words_of_both_are_compared() {
        let table = random(40, 4);
        let rows: Vec<usize> = (0..40).rev().filter(|row| row % 3 > 0).collect();
        let words = rows.iter().filter_map(|row| table.words().get(*row)).chain(["new"]).collect();
        let mut values: Vec<f32> = rows.iter().flat_map(|row| table.row(*row).unwrap()).copied().collect();
        values.extend([1.0; 4]);
        let small = WordVectors::new(words, 4, values).unwrap();
        let kept = neighbours_kept(&table, &small, &NeighbourOptions::default()).unwrap();
        assert_eq!((kept.share, kept.words), (1.0, 26));
        let error = similarity_error(&table, &small, &SimilarityOptions { pairs: 500, seed: 2 }).unwrap();
        assert_eq!((error.error, error.words), (0.0, 26));
    }

    #[test]
    fn the_error_of_opposite_vectors() {
        let of = |values: [f32; 4]| {
            WordVectors::new(["a", "b"].into_iter().collect(), 2, values.to_vec()).unwrap()
        };
        let (same, opposite) = (of([1.0, 0.0, 2.0, 0.0]), of([1.0, 0.0, -1.0, 0.0]));
        let error = similarity_error(&same, &opposite, &SimilarityOptions { pairs: 9, seed: 0 }).unwrap();
        assert_eq!(error.error, 2.0);
    }

    #[test]
    fn what_can_not_be_compared_is_refused() {
        let table = random(5, 2);
        let other = WordVectors::new(["w1", "x"].into_iter().collect(), 1, vec![1.0, 2.0]).unwrap();
        let message = neighbours_kept(&table, &other, &NeighbourOptions::default()).unwrap_err().to_string();
        assert!(message.contains("got 1 of 5 and 2 words"), "{message}");
        assert!(similarity_error(&table, &other, &SimilarityOptions::default()).is_err());
        for options in [
            NeighbourOptions { count: 0, ..Default::default() },
            NeighbourOptions { queries: 0, ..Default::default() },
        ] {
            assert!(neighbours_kept(&table, &table, &options).is_err());
        }
        assert!(similarity_error(&table, &table, &SimilarityOptions { pairs: 0, seed: 0 }).is_err());
    }
}
