//! What a table knows, and what a smaller one keeps of it.
//!
//! | measure | of | asks |
//! |---|---|---|
//! | [`spearman`] | one table | whether people's judgement of how alike two words are orders pairs as cosines do |
//! | [`Analogies::answer`] | one table | whether b - a + c is nearest to d |
//! | [`neighbours_kept`] | two tables | how many of a word's nearest words are still its nearest |
//! | [`similarity_error`] | two tables | how far cosines are from what they were |
//!
//! The first two say how good a table is, the last two how faithful a small one is to a large one. The one may get better
//! while the other gets worse, so both are worth a look.
//!
//! A word of a question is looked up as it is written, then in lower case. Cosines that are given are computed in f64; orders
//! of rows rest on products of unit rows in f32, summed in the same order on every machine. A row of zeros has the cosine 0
//! with all others.

mod analogies;
mod kept;
mod nearest;
mod pairs;
mod scan;

#[cfg(test)]
mod damaged_tests;

pub use analogies::{Analogies, Answered, Answers};
pub use kept::{
    NeighbourOptions, Neighbours, SimilarityError, SimilarityOptions, neighbours_kept, similarity_error,
};
pub use nearest::{nearest, nearest_to};
pub use pairs::{Similarity, WordPairs, spearman};
pub(in crate::vectors) use scan::{Query, best_rows};

use super::WordVectors;

/// The row of a word as it is written, or in lower case.
fn look_up(vectors: &WordVectors, word: &str) -> Option<usize> {
    vectors.find(word).or_else(|| vectors.find(&word.to_lowercase()))
}
