//! Classes by their probability.

use serde::Serialize;

use crate::Result;
use crate::cli::out::say;
use crate::report::printable;

/// What is said where [`likeliest`] finds none.
pub const NOT_FINITE: &str = "the network's outputs for it are NaN or infinite; check the model, and the normalisation that it was \
                              trained with";

/// A class and its share of the softmax.
#[derive(Debug, Serialize)]
pub struct Probability<'a> {
    class: &'a str,
    probability: f64,
}

impl Probability<'_> {
    /// Prints a line.
    pub fn show(&self) -> Result<()> {
        say!("  {:>6.2} %  {}", 100.0 * self.probability, printable(self.class))
    }
}

/// The `n` likeliest of the classes called `names` by their logits, the likeliest first, the first of equals first; `None` where a
/// logit is NaN or infinite.
pub fn likeliest<'a>(logits: &[f32], names: &'a [String], n: usize) -> Option<Vec<Probability<'a>>> {
    if !logits.iter().all(|v| v.is_finite()) {
        return None;
    }
    // Softmax does not change when all logits shift; from the largest down no exponential overflows.
    let most = logits.iter().fold(f32::NEG_INFINITY, |most, &v| most.max(v));
    let exponentials: Vec<f64> = logits.iter().map(|&v| f64::from(v - most).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let mut order: Vec<usize> = (0..logits.len().min(names.len())).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let probability =
        |class: usize| Probability { class: &names[class], probability: exponentials[class] / sum };
    Some(order.into_iter().take(n).map(probability).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_of_large_logits() {
        let names = ["a", "b", "c", "d"].map(String::from);
        let best = likeliest(&[1000.0, 1000.0, -1000.0, 999.0], &names, 3).unwrap();
        assert_eq!(best.iter().map(|b| b.class).collect::<Vec<_>>(), ["a", "b", "d"]);
        let e = std::f64::consts::E;
        assert!((best[0].probability - e / (2.0 * e + 1.0)).abs() < 1e-12, "{best:?}");
        assert!(likeliest(&[0.0, f32::NAN], &names, 1).is_none());
    }
}
