//! Eigenvalues and eigenvectors of a symmetric matrix: Householder's reflections make it tridiagonal, QL steps with Wilkinson's
//! shift make that diagonal (Wilkinson and Reinsch 1971). About 10 n^3 operations, a tenth of Jacobi's.

/// QL steps for one eigenvalue after which it is taken as it is; two are enough in practice.
const MOST_STEPS: usize = 80;

/// Eigenvalues and unit eigenvectors of a symmetric matrix (n, n) of finite numbers, the largest value first.
pub(crate) fn spectrum(n: usize, mut matrix: Vec<f64>) -> Vec<(f64, Vec<f64>)> {
    // Within the range of numbers whose squares are numbers.
    let largest = matrix.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    matrix.iter_mut().for_each(|v| *v /= scale);
    let mut three = tridiagonal(n, &mut matrix);
    for first in 0..n {
        settle(&mut three, first);
    }
    let mut found: Vec<_> = three.diagonal.iter().map(|v| v * scale).zip(three.vectors).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}

/// A tridiagonal matrix T, and rows Q with `matrix` = Q^T T Q.
struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Of each row what is right of the diagonal; 0 in the last.
    beside: Vec<f64>,
    vectors: Vec<Vec<f64>>,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Reflects one column after the other onto its first number below the diagonal. `matrix` holds nothing of use afterwards.
fn tridiagonal(n: usize, matrix: &mut [f64]) -> Tridiagonal {
    let mut beside = vec![0.0; n];
    let mut mirrors: Vec<Vec<f64>> = Vec::new();
    for k in 0..n.saturating_sub(1) {
        let rest = n - k - 1;
        let mut mirror: Vec<f64> = matrix[k * n + k + 1..(k + 1) * n].to_vec();
        let length = dot(&mirror, &mirror).sqrt();
        let onto = if mirror[0] > 0.0 { -length } else { length };
        beside[k] = onto;
        mirror[0] -= onto;
        let squares = dot(&mirror, &mirror);
        if squares == 0.0 {
            mirrors.push(Vec::new());
            continue;
        }
        // 2 v v^T / (v . v) = v v^T of this length.
        let factor = (2.0 / squares).sqrt();
        mirror.iter_mut().for_each(|v| *v *= factor);
        let row = |i: usize| (k + 1 + i) * n + k + 1;
        let mut along: Vec<f64> = (0..rest).map(|i| dot(&matrix[row(i)..row(i) + rest], &mirror)).collect();
        let half = dot(&along, &mirror) / 2.0;
        along.iter_mut().zip(&mirror).for_each(|(p, v)| *p -= half * v);
        for i in 0..rest {
            let (v, w) = (mirror[i], along[i]);
            let line = matrix[row(i)..row(i) + rest].iter_mut();
            line.zip(&along).zip(&mirror).for_each(|((a, p), m)| *a -= v * p + w * m);
        }
        mirrors.push(mirror);
    }
    let diagonal = (0..n).map(|k| matrix[k * n + k]).collect();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
    for (k, mirror) in mirrors.iter().enumerate().rev().filter(|(_, mirror)| !mirror.is_empty()) {
        for row in &mut vectors[k + 1..] {
            let part = &mut row[k + 1..];
            let along = dot(part, mirror);
            part.iter_mut().zip(mirror).for_each(|(q, v)| *q -= along * v);
        }
    }
    Tridiagonal { diagonal, beside, vectors }
}

/// QL steps until the number beside the diagonal at `first` is nothing.
fn settle(three: &mut Tridiagonal, first: usize) {
    for _ in 0..MOST_STEPS {
        let (diagonal, beside) = (&three.diagonal, &three.beside);
        let small = |k: &usize| {
            let around = diagonal[*k].abs() + diagonal[k + 1].abs();
            beside[*k].abs() <= f64::EPSILON * around
        };
        let last = (first..diagonal.len() - 1).find(small).unwrap_or(diagonal.len() - 1);
        if last == first {
            return;
        }
        step(three, first, last);
    }
}

/// One implicit QL step of rows `first` to `last`.
fn step(three: &mut Tridiagonal, first: usize, last: usize) {
    let Tridiagonal { diagonal, beside, vectors } = three;
    let length = |a: f64, b: f64| (a * a + b * b).sqrt();
    let half = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
    let root = length(half, 1.0);
    let shift = beside[first] / (half + if half < 0.0 { -root } else { root });
    let mut ahead = diagonal[last] - diagonal[first] + shift;
    let (mut sine, mut cosine, mut taken) = (1.0, 1.0, 0.0);
    for i in (first..last).rev() {
        let (f, b) = (sine * beside[i], cosine * beside[i]);
        let r = length(f, ahead);
        beside[i + 1] = r;
        if r == 0.0 {
            diagonal[i + 1] -= taken;
            beside[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, ahead / r);
        let below = diagonal[i + 1] - taken;
        let turned = (diagonal[i] - below) * sine + 2.0 * cosine * b;
        taken = sine * turned;
        diagonal[i + 1] = below + taken;
        ahead = cosine * turned - b;
        let (before, after) = vectors.split_at_mut(i + 1);
        for (low, high) in before[i].iter_mut().zip(&mut after[0]) {
            (*low, *high) = (cosine * *low - sine * *high, sine * *low + cosine * *high);
        }
    }
    diagonal[first] -= taken;
    beside[first] = ahead;
    beside[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// A v = value v, and vectors that are orthogonal and of length 1.
    fn check(n: usize, matrix: &[f64]) -> Vec<f64> {
        let found = spectrum(n, matrix.to_vec());
        let largest = matrix.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        let bound = 1e-13 * (n as f64) * largest.max(1e-300);
        assert!(found.windows(2).all(|pair| pair[0].0 >= pair[1].0));
        for (k, (value, vector)) in found.iter().enumerate() {
            for (row, v) in matrix.chunks_exact(n).zip(vector) {
                assert!((dot(row, vector) - value * v).abs() <= bound, "n {n}, vector {k}");
            }
            for (other, (_, with)) in found.iter().enumerate() {
                assert!((dot(vector, with) - f64::from(k == other)).abs() < 1e-13 * (n + 10) as f64);
            }
        }
        found.into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn vectors_are_those_of_the_matrix() {
        let mut stream = Stream::new(2, "symmetric");
        for n in [1, 2, 3, 4, 7, 30, 61] {
            for size in [1.0, 1e-150, 1e150] {
                let mut matrix = vec![0.0; n * n];
                for (i, j) in (0..n).flat_map(|i| (i..n).map(move |j| (i, j))) {
                    let value = stream.normal() * size;
                    (matrix[i * n + j], matrix[j * n + i]) = (value, value);
                }
                let values = check(n, &matrix);
                let trace: f64 = (0..n).map(|i| matrix[i * n + i]).sum();
                assert!((values.iter().sum::<f64>() - trace).abs() < 1e-12 * n as f64 * size * 4.0);
            }
        }
    }

    #[test]
    fn matrices_that_are_special() {
        assert_eq!(check(3, &[0.0; 9]), [0.0; 3]);
        assert_eq!(check(3, &[1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 2.0]), [3.0, 2.0, 1.0]);
        let equal = check(4, &[1.0; 16]);
        assert!((equal[0] - 4.0).abs() < 1e-14 && equal[1..].iter().all(|v| v.abs() < 1e-14));
        assert_eq!(check(2, &[2.0, 1.0, 1.0, 2.0]).iter().map(|v| v.round()).collect::<Vec<_>>(), [3.0, 1.0]);
        assert!(spectrum(0, Vec::new()).is_empty());
    }
}
