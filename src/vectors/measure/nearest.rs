//! The nearest words of a word or a vector.

use super::super::WordVectors;
use super::super::lines::shown;
use super::look_up;
use crate::report::cosine;
use crate::{Error, Result};

/// The `count` rows nearest to a word, itself left out, and their cosines: the largest first, of equal ones the lower row.
///
/// # Errors
/// [`Error::Config`] for a word that is not in the table.
pub fn nearest(vectors: &WordVectors, word: &str, count: usize) -> Result<Vec<(usize, f64)>> {
    let row = look_up(vectors, word);
    let Some((row, vector)) = row.and_then(|row| Some((row, vectors.row(row)?))) else {
        let message = format!(
            "expected one of the table's {} words, got {}; check its spelling",
            vectors.len(),
            shown(word)
        );
        return Err(Error::config("word", message));
    };
    Ok(sorted(vectors, vector, count, Some(row)))
}

/// [`nearest`] for a vector of the table's width, with no word left out.
///
/// # Errors
/// [`Error::Shape`] for a vector of another width.
pub fn nearest_to(vectors: &WordVectors, vector: &[f32], count: usize) -> Result<Vec<(usize, f64)>> {
    if vector.len() != vectors.width() {
        let expected = format!("a vector of {} numbers", vectors.width());
        return Err(Error::shape("nearest words", expected, format!("one of {}", vector.len())));
    }
    Ok(sorted(vectors, vector, count, None))
}

fn sorted(vectors: &WordVectors, vector: &[f32], count: usize, except: Option<usize>) -> Vec<(usize, f64)> {
    let rows = vectors.values().chunks_exact(vectors.width()).enumerate();
    let mut all: Vec<_> = rows
        .filter(|(row, _)| Some(*row) != except)
        .map(|(row, values)| (row, cosine(vector, values)))
        .collect();
    // Stable: equal ones stay in the order of the rows.
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_cosines_are_in_the_order_of_rows() {
        let words = ["right", "up", "far right", "zero", "left", "down"].into_iter().collect();
        let values = vec![1.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, -1.0];
        let vectors = WordVectors::new(words, 2, values).unwrap();
        let all = [(2, 1.0), (1, 0.0), (3, 0.0), (5, 0.0), (4, -1.0)];
        assert_eq!(nearest(&vectors, "right", 9).unwrap(), all);
        assert_eq!(nearest(&vectors, "Right", 2).unwrap(), all[..2]);
        assert_eq!(nearest_to(&vectors, &[0.5, 0.0], 2).unwrap(), [(0, 1.0), (2, 1.0)]);
        assert!(nearest(&vectors, "no\nword", 1).unwrap_err().to_string().contains(r#"got "no\nword""#));
        assert!(nearest_to(&vectors, &[0.5], 2).unwrap_err().to_string().contains("one of 1"));
    }
}
