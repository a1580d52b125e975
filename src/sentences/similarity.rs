//! How well cosines of vectors agree with people's scores of pairs: what STS-B and its like are measured by.

use super::Rows;
use crate::report::{cosine, pearson, spearman};
use crate::{Error, Result};

/// How cosines and scores of pairs go together, each -1 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Correlation of their ranks, equal values at their mean rank. The usual figure.
    pub spearman: f64,
    /// Correlation of the values.
    pub pearson: f64,
}

/// Of pairs (row of `a`, row of `b`) the agreement of cosines, in f64, with `scores`. A row of zeros has the cosine 0. None where
/// there are fewer than two pairs, or all cosines or all scores are equal.
///
/// # Errors
/// [`Error::Shape`] where there are not as many rows in `a` and `b` as scores, or not of one width, [`Error::Config`] for a score
/// that is not finite.
pub fn agreement(a: &Rows, b: &Rows, scores: &[f64]) -> Result<Option<Agreement>> {
    if a.width() != b.width() || a.len() != scores.len() || b.len() != scores.len() {
        let got = format!("({}, {}) and ({}, {})", a.len(), a.width(), b.len(), b.width());
        return Err(Error::shape(
            "similarity",
            format!("two vectors of one width for each of {} scores", scores.len()),
            got,
        ));
    }
    if let Some((at, score)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        return Err(Error::config("scores", format!("pair {at} has {score}: expected finite numbers")));
    }
    let cosines: Vec<f64> = a.iter().zip(b.iter()).map(|(a, b)| cosine(a, b)).collect();
    let both = spearman(&cosines, scores).zip(pearson(&cosines, scores));
    Ok(both.map(|(spearman, pearson)| Agreement { spearman, pearson }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By scipy.stats.spearmanr and pearsonr 1.17.1.
    #[test]
    fn agreements_are_those_of_scipy() {
        let a = Rows::new(2, vec![1.0, 0.0, 1.0, 1.0, 0.0, 2.0, 1.0, 2.0, -1.0, 0.5]).unwrap();
        let b = Rows::new(2, vec![2.0, 0.0, 1.0, 0.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0]).unwrap();
        let found = agreement(&a, &b, &[5.0, 3.0, 3.5, 0.5, 1.0]).unwrap().unwrap();
        assert!((found.spearman - 0.974_679_434_480_896_3).abs() < 1e-12, "{found:?}");
        assert!((found.pearson - 0.963_379_434_880_811_3).abs() < 1e-12, "{found:?}");
        assert_eq!(agreement(&a, &b, &[1.0; 5]).unwrap(), None);
        assert!(agreement(&a, &b, &[1.0; 4]).is_err());
        assert!(
            agreement(&a, &b, &[1.0, 2.0, f64::NAN, 3.0, 4.0])
                .unwrap_err()
                .to_string()
                .contains("pair 2 has NaN")
        );
    }
}
