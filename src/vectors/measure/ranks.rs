//! Correlations: of values, and of ranks (Spearman's).

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

/// The correlation of the ranks of two lists of one length; none below two values and where one list has but one value.
pub(crate) fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    correlation(&ranks(a), &ranks(b))
}

/// The correlation of two lists of one length (Pearson's); none below two values and where one list has but one value.
pub(crate) fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let varies = |values: &[f64]| values.windows(2).any(|pair| pair[0] != pair[1]);
    if !varies(a) || !varies(b) {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means = (mean(a), mean(b));
    let product = |(a, mean_a): (&[f64], f64), (b, mean_b): (&[f64], f64)| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum()
    };
    let (a, b) = ((a, means.0), (b, means.1));
    let (aa, bb) = (product(a, a), product(b, b));
    (aa > 0.0 && bb > 0.0).then(|| (product(a, b) / (aa * bb).sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, -1.0, 3.0, 0.0, -0.0, 3.0]), [5.0, 1.0, 5.0, 2.5, 2.5, 5.0]);
    }

    /// By scipy.stats.spearmanr 1.17.1.
    #[test]
    fn correlations_are_those_of_scipy() {
        let a = [1.0, 2.0, 2.0, 5.0, 3.0, 0.5, 2.0];
        let b = [10.0, 9.0, 20.0, 30.0, 30.0, -5.0, 9.0];
        let rho = rank_correlation(&a, &b).unwrap();
        assert!((rho - 0.811_465_207_803_627).abs() < 1e-12, "{rho}");
        assert_eq!(rank_correlation(&[1.0, 2.0], &[4.0, 3.0]), Some(-1.0));
        assert_eq!(rank_correlation(&[1.0], &[4.0]), None);
        assert_eq!(rank_correlation(&[1.0, 1.0], &[4.0, 3.0]), None);
    }
}
