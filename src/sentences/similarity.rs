//! How well cosines of vectors agree with people's scores of pairs, what STS-B and its like are measured by; and how often they find
//! the text that belongs to another.

use super::Rows;
use crate::platform::parallel::{Cost, in_parallel};
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
    paired(a, b, scores.len())?;
    if let Some((at, score)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        return Err(Error::config("scores", format!("pair {at} has {score}: expected finite numbers")));
    }
    let cosines: Vec<f64> = a.iter().zip(b.iter()).map(|(a, b)| cosine(a, b)).collect();
    let both = spearman(&cosines, scores).zip(pearson(&cosines, scores));
    Ok(both.map(|(spearman, pearson)| Agreement { spearman, pearson }))
}

/// Fails where there are not as many rows in `a` and `b` as pairs, or not of one width.
fn paired(a: &Rows, b: &Rows, pairs: usize) -> Result<()> {
    if a.width() == b.width() && a.len() == pairs && b.len() == pairs {
        return Ok(());
    }
    let got = format!("({}, {}) and ({}, {})", a.len(), a.width(), b.len(), b.width());
    Err(Error::shape("similarity", format!("two vectors of one width for each of {pairs} pairs"), got))
}

/// Rows of length 1, or of zeros.
fn unit(rows: &Rows) -> Vec<Vec<f64>> {
    let unit = |row: &[f32]| {
        let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        let length = product(&row, &row).sqrt();
        let scale = if length == 0.0 { 0.0 } else { 1.0 / length };
        row.iter().map(|v| v * scale).collect()
    };
    rows.iter().map(unit).collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Shares of the pairs (row of `a`, row of `b`) whose first finds its second among all seconds: recall at each of `most`. The seconds
/// are ordered by their cosine with the first, in f64, equal ones as they come, and the own one has to be among the first `most`.
/// Chance is `most` / pairs. Every pair counts, whatever its texts have to do with each other. All 0 without pairs.
///
/// # Errors
/// [`Error::Shape`] where there are not as many rows in `b` as in `a`, or not of one width.
pub fn retrieval<const K: usize>(a: &Rows, b: &Rows, most: [usize; K]) -> Result<[f64; K]> {
    paired(a, b, a.len())?;
    let (a, b) = (unit(a), unit(b));
    let places: Vec<usize> = (0..a.len()).collect();
    let ranks = in_parallel(Cost::Large, &places, |&own| {
        let cosines: Vec<f64> = b.iter().map(|b| product(&a[own], b)).collect();
        let target = cosines[own];
        let before = |&other: &usize| cosines[other] > target || (cosines[other] == target && other < own);
        places.iter().filter(|other| before(other)).count()
    });
    Ok(most.map(|most| ranks.iter().filter(|rank| **rank < most).count() as f64 / ranks.len().max(1) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By numpy's stable argsort (tests/fixtures/textscores.py).
    #[test]
    fn seconds_are_found_as_by_numpy() {
        let fixture = include_str!("../../tests/fixtures/textscores.json");
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        let case = &fixture["retrieval"];
        let rows = |key: &str| {
            let values: Vec<Vec<f32>> = serde_json::from_value(case[key].clone()).unwrap();
            Rows::new(values[0].len(), values.concat()).unwrap()
        };
        let (a, b) = (rows("a"), rows("b"));
        let wanted: Vec<f64> = serde_json::from_value(case["recall"].clone()).unwrap();
        let found = retrieval(&a, &b, [1, 5, 10]).unwrap();
        assert!(found.iter().zip(&wanted).all(|(f, w)| (f - w).abs() < 1e-12), "{found:?}, not {wanted:?}");
        assert!(wanted[0] > 0.0 && wanted[0] < wanted[1] && wanted[1] < wanted[2] && wanted[2] < 1.0);
        // Vectors that are all one find by chance.
        let one = Rows::new(2, vec![1.0; 40]).unwrap();
        assert_eq!(retrieval(&one, &one, [1, 5]).unwrap(), [0.05, 0.25]);
        assert!(retrieval(&a, &one, [1]).is_err());
    }

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
