//! Whether a teacher tells classes apart, whatever it calls them.
//!
//! Over pairs of images: how often two of the same class get the same answer, and how often two of different
//! classes do. A good teacher whose labels are in another order agrees within classes and not between them;
//! one that sees images of another normalisation answers alike for both.

use std::collections::HashMap;

/// Pairs of images of one class that are enough to judge by.
const ENOUGH: f64 = 30.0;

/// Shares of the pairs of images that get the same answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    /// Of pairs of one class.
    pub within: f64,
    /// Of pairs of two classes.
    pub between: f64,
}

/// How `answers` (N) go with `labels` (N); `None` where too few images share a class.
pub fn agreement(answers: &[usize], labels: &[i32]) -> Option<Agreement> {
    let pairs = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
    let (mut by_label, mut by_answer, mut by_both) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (answer, label) in answers.iter().zip(labels) {
        *by_label.entry(*label).or_insert(0) += 1;
        *by_answer.entry(*answer).or_insert(0) += 1;
        *by_both.entry((*answer, *label)).or_insert(0) += 1;
    }
    let of_one: f64 = by_label.values().map(|n| pairs(*n)).sum();
    let same: f64 = by_answer.values().map(|n| pairs(*n)).sum();
    let both: f64 = by_both.values().map(|n| pairs(*n)).sum();
    let of_two = pairs(answers.len().min(labels.len())) - of_one;
    (of_one >= ENOUGH && of_two >= ENOUGH)
        .then(|| Agreement { within: both / of_one, between: (same - both) / of_two })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_order_agrees_within_classes_only() {
        let labels: Vec<i32> = (0..40).map(|i| i % 4).collect();
        let moved: Vec<usize> = labels.iter().map(|l| (*l as usize + 1) % 4).collect();
        assert_eq!(agreement(&moved, &labels), Some(Agreement { within: 1.0, between: 0.0 }));
        assert_eq!(agreement(&[2; 40], &labels), Some(Agreement { within: 1.0, between: 1.0 }));
    }

    #[test]
    fn pairs_are_counted_as_by_hand() {
        let labels: Vec<i32> = (0..30).map(|i| i / 10).collect();
        let answers: Vec<usize> = (0..30).map(|i| (i * i + i / 7) % 3).collect();
        let mut counts = [[0usize; 2]; 2];
        for a in 0..30 {
            for b in 0..a {
                counts[usize::from(labels[a] == labels[b])][usize::from(answers[a] == answers[b])] += 1;
            }
        }
        let share = |[no, yes]: [usize; 2]| yes as f64 / (no + yes) as f64;
        let found = agreement(&answers, &labels).unwrap();
        assert!((found.within - share(counts[1])).abs() < 1e-12);
        assert!((found.between - share(counts[0])).abs() < 1e-12);
    }

    #[test]
    fn few_pairs_tell_nothing() {
        assert_eq!(agreement(&[0, 1, 2, 3], &[0, 1, 2, 3]), None);
        assert_eq!(agreement(&[], &[]), None);
    }
}
