//! How lists of numbers go together: the cosine, Pearson's correlation, and Spearman's, which is that of ranks.

use super::stats::mean;

/// Ranks from 1, with the mean of their places for equal values.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let value = |at: usize| values.get(at).copied().unwrap_or_default();
    order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|a, b| value(*a) == value(*b)) {
        // The mean of first + 1 to first + n.
        let mean = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        first += equal.len();
        for at in equal {
            if let Some(rank) = ranks.get_mut(*at) {
                *rank = mean;
            }
        }
    }
    ranks
}

/// Spearman's correlation of two lists of one length; none below two values and where one list has but one value.
/// NaN has no rank: none then, too.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let ranked = !a.iter().chain(b).any(|value| value.is_nan());
    ranked.then(|| pearson(&ranks(a), &ranks(b)))?
}

/// Pearson's correlation of two lists of one length; none below two values and where one list has but one value.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let centred = |values: &[f64]| -> Option<Vec<f64>> {
        let mean = mean(values)?;
        Some(values.iter().map(|v| v - mean).collect())
    };
    let (a, b) = (centred(a)?, centred(b)?);
    let product = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let (aa, bb) = (product(&a, &a), product(&b, &b));
    (aa > 0.0 && bb > 0.0).then(|| (product(&a, &b) / (aa * bb).sqrt()).clamp(-1.0, 1.0))
}

/// The cosine of two vectors of one length; 0 where one is all zeros, and NaN where one has NaN.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let lengths = (product(a, a) * product(b, b)).sqrt();
    if lengths == 0.0 { 0.0 } else { product(a, b) / lengths }
}

/// The mean cosine of all pairs of different vectors of one length: near 1, they say the same of everything. `None` below two
/// vectors, and NaN where one has NaN. One of zeros has the cosine 0 with all.
///
/// Of n unit vectors with the sum s it is (s . s - sum of u . u) / (n (n - 1)).
pub fn mean_cosine<'v>(vectors: impl IntoIterator<Item = &'v [f32]>) -> Option<f64> {
    let (mut sum, mut own, mut count) = (Vec::new(), 0.0, 0.0);
    for vector in vectors {
        let squared: f64 = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        let length = if squared == 0.0 { 1.0 } else { squared.sqrt() };
        sum.resize(vector.len().max(sum.len()), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, v): (&mut f64, _)| *sum += f64::from(*v) / length);
        own += squared / (length * length);
        count += 1.0;
    }
    let all: f64 = sum.iter().map(|s| s * s).sum();
    (count > 1.0).then(|| (all - own) / (count * (count - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_of_zeros_and_nan() {
        assert!((cosine(&[3.0, 4.0], &[4.0, 3.0]) - 0.96).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[4.0, 3.0]), 0.0);
        assert!(cosine(&[f32::NAN, 0.0], &[4.0, 3.0]).is_nan());
    }

    #[test]
    fn the_mean_cosine_is_that_of_all_pairs() {
        let vectors = [[3.0f32, 4.0], [-1.0, 2.0], [0.0, 0.0], [5.0, 0.1]];
        let mut cosines = Vec::new();
        for a in 0..4 {
            cosines.extend((0..a).map(|b| cosine(&vectors[a], &vectors[b])));
        }
        let wanted = cosines.iter().sum::<f64>() / 6.0;
        let found = mean_cosine(vectors.iter().map(|v| &v[..])).unwrap();
        assert!((found - wanted).abs() < 1e-12, "{found}, not {wanted}");
        assert_eq!(mean_cosine([&[1.0f32][..]]), None);
        assert!(mean_cosine([&[f32::NAN][..], &[1.0]]).unwrap().is_nan());
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, -1.0, 3.0, 0.0, -0.0, 3.0]), [5.0, 1.0, 5.0, 2.5, 2.5, 5.0]);
    }

    /// By scipy.stats.spearmanr and pearsonr 1.17.1.
    #[test]
    fn correlations_are_those_of_scipy() {
        let a = [1.0, 2.0, 2.0, 5.0, 3.0, 0.5, 2.0];
        let b = [10.0, 9.0, 20.0, 30.0, 30.0, -5.0, 9.0];
        let rho = spearman(&a, &b).unwrap();
        assert!((rho - 0.811_465_207_803_627).abs() < 1e-12, "{rho}");
        let r = pearson(&a, &b).unwrap();
        assert!((r - 0.851525614766335).abs() < 1e-12, "{r}");
        assert_eq!(spearman(&[1.0, 2.0], &[4.0, 3.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0], &[4.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN, 3.0], &[4.0, 3.0, 5.0]), None);
        assert_eq!(pearson(&[1.0, f64::NAN, 3.0], &[4.0, 3.0, 5.0]), None);
        assert_eq!(spearman(&[1.0, 1.0], &[4.0, 3.0]), None);
    }
}
