//! Narrower vectors by a linear map that is known in closed form: principal components, all-but-the-top, and the map that keeps
//! products of unit vectors best.
//!
//! Covariances and components are f64 on the host; a component points to where its largest projection is positive, so that
//! the same table gives the same vectors.

use crate::algebra::components::{self, Components};
use crate::vectors::WordVectors;
use crate::{Error, Result};

/// The mean of all rows, subtracted, and projections on the `width` directions of most variance.
pub(super) fn pca(vectors: &WordVectors, width: usize) -> Result<WordVectors> {
    let mean = mean(vectors);
    project(vectors, vectors.values(), mean, width)
}

/// The best linear map for cosines: projections of the unit rows on the `width` directions of most squared length, the mean
/// left in. No table of this width has products closer to the cosines of all pairs, in the sum of squares (Eckart and Young
/// 1936).
pub(super) fn cosines(vectors: &WordVectors, width: usize) -> Result<WordVectors> {
    project(vectors, &vectors.unit(), vec![0.0; vectors.width()], width)
}

/// All but the top (Mu and Viswanath 1702.01417): the mean, and the `top` directions of most variance, taken out of every row.
pub(super) fn all_but_the_top(vectors: &WordVectors, top: usize) -> Result<WordVectors> {
    let width = vectors.width();
    if top >= width {
        return Err(Error::config(
            "ppa",
            format!("expected fewer directions than the {width} there are, got {top}"),
        ));
    }
    expect_width(width)?;
    let mean = mean(vectors);
    let components = Components::of(vectors.values(), mean.clone(), 0, top).directions();
    let mut values = Vec::with_capacity(vectors.values().len());
    for row in vectors.values().chunks_exact(width) {
        let centred: Vec<f64> = row.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect();
        let along: Vec<f64> = components.iter().map(|component| dot(component, &centred)).collect();
        values.extend((0..width).map(|c| {
            let taken: f64 = components.iter().zip(&along).map(|(component, a)| component[c] * a).sum();
            (centred[c] - taken) as f32
        }));
    }
    vectors.with_values(width, values)
}

/// Widest vectors that components are computed of: the work grows with the cube.
const MOST_WIDTH: usize = 4096;

/// Fails for vectors that are too wide.
fn expect_width(width: usize) -> Result<()> {
    if width <= MOST_WIDTH {
        return Ok(());
    }
    Err(Error::config(
        "width",
        format!("components are of vectors of at most {MOST_WIDTH} numbers, these have {width}"),
    ))
}

/// Rows minus `mean` on the first `width` directions of the rest.
fn project(vectors: &WordVectors, rows: &[f32], mean: Vec<f64>, width: usize) -> Result<WordVectors> {
    let from = vectors.width();
    if !(1..=from).contains(&width) {
        return Err(Error::config(
            "width",
            format!("expected 1 to the {from} numbers of a vector, got {width}"),
        ));
    }
    expect_width(from)?;
    let values = Components::of(rows, mean, 0, width).project(rows, &vec![1.0; width]);
    vectors.with_values(width, values)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(vectors: &WordVectors) -> Vec<f64> {
    components::mean(vectors.width(), vectors.values())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn table(words: usize, width: usize) -> WordVectors {
        let mut stream = Stream::new(3, "vectors");
        let names: Vec<String> = (0..words).map(|n| n.to_string()).collect();
        let values = (0..words * width).map(|i| (stream.normal() * (1 + i % width) as f64 + 2.0) as f32);
        WordVectors::new(names.iter().map(String::as_str).collect(), width, values.collect()).unwrap()
    }

    /// Projections are uncorrelated, of falling variance, and as many as there are numbers keep every distance.
    #[test]
    fn components_are_those_of_most_variance() {
        let vectors = table(500, 6);
        let narrow = pca(&vectors, 6).unwrap();
        let column = |table: &WordVectors, c: usize| -> Vec<f64> {
            table.values().iter().skip(c).step_by(6).map(|v| f64::from(*v)).collect()
        };
        let variance: Vec<f64> = (0..6).map(|c| dot(&column(&narrow, c), &column(&narrow, c))).collect();
        assert!(variance.windows(2).all(|pair| pair[0] > pair[1]), "{variance:?}");
        for c in 1..6 {
            assert!(dot(&column(&narrow, 0), &column(&narrow, c)).abs() < 1e-4 * variance[0]);
            assert!(column(&narrow, c).iter().sum::<f64>().abs() < 1e-3);
        }
        let distance = |table: &WordVectors| -> f64 {
            let (a, b) = (table.row(3).unwrap(), table.row(77).unwrap());
            a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        assert!((distance(&narrow) - distance(&vectors)).abs() < 1e-4 * distance(&vectors));
        // The first of three are the first of six.
        let three = pca(&vectors, 3).unwrap();
        assert_eq!(three.row(9), narrow.row(9).map(|row| &row[..3]));
        assert!(pca(&vectors, 7).unwrap_err().to_string().contains("1 to the 6"));
        assert!(pca(&vectors, 0).is_err());
    }

    #[test]
    fn what_is_taken_out_is_gone() {
        let vectors = table(400, 5);
        let rest = all_but_the_top(&vectors, 2).unwrap();
        let kept = pca(&rest, 5).unwrap();
        let length = |c: usize| kept.values().iter().skip(c).step_by(5).map(|v| v.abs()).fold(0.0, f32::max);
        assert!(length(2) > 0.5 && length(3) < 1e-4 && length(4) < 1e-4);
        assert!(all_but_the_top(&vectors, 5).is_err());
    }

    #[test]
    fn cosines_are_kept_by_all_directions() {
        let vectors = table(60, 4);
        let (unit, same) = (vectors.unit(), cosines(&vectors, 4).unwrap());
        let product = |values: &[f32]| {
            dot(
                &values[0..4].iter().map(|v| f64::from(*v)).collect::<Vec<_>>(),
                &values[40..44].iter().map(|v| f64::from(*v)).collect::<Vec<_>>(),
            )
        };
        assert!((product(&unit) - product(same.values())).abs() < 1e-6);
    }
}
