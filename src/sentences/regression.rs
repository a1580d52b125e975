//! Logistic regression on vectors that stay as they are: what is known of classes from them by one linear layer.
//!
//! Of rows x_i (D) with classes y_i, weights W (K, D) and b (K) minimise
//!
//! ```text
//! sum_i -log softmax(W x_i + b)[y_i]  +  |W|^2 / (2 C)
//! ```
//!
//! and of two classes w (D), b the same with the logits (0, w x_i + b), as scikit-learn's `LogisticRegression(C=C)` does. In f64 on the
//! host, by L-BFGS (Liu and Nocedal 1989) from 0; sums go over the same parts in the same order on any number of cores, so that
//! the bits are the same every time.

use super::Rows;
use crate::platform::parallel::{Cost, in_parallel};
use crate::{Error, Result};

mod lbfgs;

/// Rows that a core sums at once.
const PART: usize = 256;
/// Largest part of the gradient, divided by the number of rows, at which the minimum is reached.
const SMALL: f64 = 1e-9;

/// A linear layer over vectors, and the classes it tells apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    classes: usize,
    /// The classes that there were rows of.
    known: Vec<usize>,
    /// A row (D + 1) for each logit, the bias last.
    layers: Vec<Vec<f64>>,
}

impl Regression {
    /// Learns to tell rows (N, D) of `classes` classes by their labels (N). `c` is the inverse of what is put on large weights, 1 in
    /// scikit-learn. A class without rows is never answered.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of labels than of rows; [`Error::Config`] for a label that is no class, rows of fewer than two classes,
    /// and a `c` that is not above 0.
    pub fn fit(rows: &Rows, labels: &[u32], classes: usize, c: f64) -> Result<Self> {
        let fail = |message: String| Err(Error::config("logistic regression", message));
        if rows.len() != labels.len() {
            return Err(Error::shape(
                "logistic regression",
                format!("a label for each of {} rows", rows.len()),
                labels.len().to_string(),
            ));
        }
        if !(c > 0.0 && c.is_finite()) {
            return fail(format!("expected a c above 0, got {c}"));
        }
        if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
            return fail(format!("label {label} is none of {classes} classes"));
        }
        let known: Vec<usize> = (0..classes).filter(|class| labels.contains(&(*class as u32))).collect();
        if known.len() < 2 {
            return fail(format!("expected texts of two classes at least, got {}", known.len()));
        }
        let place = |label: &u32| known.iter().position(|class| *class == *label as usize).unwrap_or(0);
        let problem = Problem {
            rows,
            labels: labels.iter().map(place).collect(),
            logits: if known.len() == 2 { 1 } else { known.len() },
            penalty: 1.0 / c,
        };
        let width = rows.width() + 1;
        let start = vec![0.0; problem.logits * width];
        let found = lbfgs::minimise(start, SMALL * rows.len() as f64, |at| problem.value(at));
        let layers = found.chunks(width).map(<[f64]>::to_vec).collect();
        Ok(Self { classes, known, layers })
    }

    /// A logit for each class; of a class that was never seen, the least number there is.
    ///
    /// # Errors
    /// [`Error::Shape`] for a row of another width.
    pub fn logits(&self, row: &[f32]) -> Result<Vec<f32>> {
        let width = self.layers.first().map_or(0, |layer| layer.len().saturating_sub(1));
        if row.len() != width {
            return Err(Error::shape(
                "logistic regression",
                format!("{width} numbers"),
                row.len().to_string(),
            ));
        }
        let mut all = vec![f32::MIN; self.classes];
        let values = self.layers.iter().map(|layer| linear(layer, row));
        // Of two classes the first has the logit 0.
        let zero = (self.layers.len() < self.known.len()).then_some(0.0);
        for (class, value) in self.known.iter().zip(zero.into_iter().chain(values)) {
            if let Some(logit) = all.get_mut(*class) {
                *logit = value as f32;
            }
        }
        Ok(all)
    }
}

/// w x + b, the bias behind the weights.
fn linear(layer: &[f64], row: &[f32]) -> f64 {
    let bias = layer.last().copied().unwrap_or(0.0);
    layer.iter().zip(row).map(|(w, x)| w * f64::from(*x)).sum::<f64>() + bias
}

/// What is minimised.
struct Problem<'a> {
    rows: &'a Rows,
    /// Places among the classes that there are rows of.
    labels: Vec<usize>,
    /// 1 for two classes, or one for each.
    logits: usize,
    penalty: f64,
}

impl Problem<'_> {
    /// The value and its gradient for layers one behind the other.
    fn value(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let firsts: Vec<usize> = (0..self.rows.len()).step_by(PART).collect();
        let parts = in_parallel(Cost::Large, &firsts, |first| self.part(at, *first));
        let (mut value, mut gradient) = (0.0, vec![0.0; at.len()]);
        for (loss, part) in parts {
            value += loss;
            gradient.iter_mut().zip(part).for_each(|(sum, g)| *sum += g);
        }
        let width = self.rows.width() + 1;
        for (place, (w, g)) in at.iter().zip(&mut gradient).enumerate() {
            // The bias is free.
            if place % width != width - 1 {
                value += 0.5 * self.penalty * w * w;
                *g += self.penalty * w;
            }
        }
        (value, gradient)
    }

    /// The losses of the rows from `first` on, and their gradient.
    fn part(&self, at: &[f64], first: usize) -> (f64, Vec<f64>) {
        let width = self.rows.width() + 1;
        let (mut value, mut gradient) = (0.0, vec![0.0; at.len()]);
        let rows = self.rows.iter().zip(&self.labels).skip(first).take(PART);
        for (row, label) in rows {
            let mut logits: Vec<f64> = at.chunks(width).map(|layer| linear(layer, row)).collect();
            // d loss / d logit, in their place.
            value +=
                if self.logits == 1 { of_two(&mut logits, *label) } else { of_many(&mut logits, *label) };
            for (slope, gradient) in logits.iter().zip(gradient.chunks_mut(width)) {
                gradient.iter_mut().zip(row).for_each(|(g, x)| *g += slope * f64::from(*x));
                if let Some(bias) = gradient.last_mut() {
                    *bias += slope;
                }
            }
        }
        (value, gradient)
    }
}

/// -log softmax(0, z)[label], and z becomes its slope.
fn of_two(logits: &mut [f64], label: usize) -> f64 {
    let Some(z) = logits.first_mut() else { return 0.0 };
    let sign = if label == 1 { 1.0 } else { -1.0 };
    let wrong = -sign * *z;
    // log(1 + e^wrong), of which no exponential overflows.
    let loss = wrong.max(0.0) + (-wrong.abs()).exp().ln_1p();
    *z = -sign / (1.0 + (-wrong).exp());
    loss
}

/// -log softmax(z)[label], and z become its slopes.
fn of_many(logits: &mut [f64], label: usize) -> f64 {
    let most = logits.iter().fold(f64::NEG_INFINITY, |most, z| most.max(*z));
    let sum: f64 = logits.iter().map(|z| (z - most).exp()).sum();
    let own = logits.get(label).copied().unwrap_or(most);
    for (class, z) in logits.iter_mut().enumerate() {
        *z = (*z - most).exp() / sum - f64::from(u8::from(class == label));
    }
    sum.ln() + most - own
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By scikit-learn's LogisticRegression with `tol=1e-12` (tests/fixtures/textscores.py).
    #[test]
    fn weights_are_those_of_scikit_learn() {
        let fixture = include_str!("../../tests/fixtures/textscores.json");
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        let cases = fixture["regression"].as_array().unwrap();
        assert!(cases.len() >= 3);
        for case in cases {
            let values: Vec<Vec<f32>> = serde_json::from_value(case["rows"].clone()).unwrap();
            let labels: Vec<u32> = serde_json::from_value(case["labels"].clone()).unwrap();
            let (classes, c) = (case["classes"].as_u64().unwrap() as usize, case["c"].as_f64().unwrap());
            let rows = Rows::new(values[0].len(), values.concat()).unwrap();
            let found = Regression::fit(&rows, &labels, classes, c).unwrap();
            let layers: Vec<Vec<f64>> = serde_json::from_value(case["layers"].clone()).unwrap();
            assert_eq!(found.layers.len(), layers.len());
            for (found, wanted) in found.layers.iter().flatten().zip(layers.iter().flatten()) {
                assert!((found - wanted).abs() <= 1e-5 * wanted.abs().max(1.0), "{found}, not {wanted}");
            }
            let answers: Vec<usize> = serde_json::from_value(case["answers"].clone()).unwrap();
            for (row, answer) in rows.iter().zip(answers) {
                assert_eq!(crate::tasks::Rows::answer(&found.logits(row).unwrap()), Some(answer));
            }
            assert_eq!(found, Regression::fit(&rows, &labels, classes, c).unwrap());
        }
    }

    #[test]
    fn a_class_without_texts_is_never_answered() {
        let rows = Rows::new(1, vec![-1.0, -2.0, 1.0, 2.0]).unwrap();
        let found = Regression::fit(&rows, &[0, 0, 2, 2], 3, 1.0).unwrap();
        let logits = found.logits(&[0.5]).unwrap();
        assert!(logits[2] > logits[0] && logits[1] == f32::MIN, "{logits:?}");
        assert!(found.logits(&[1.0, 2.0]).is_err());
    }

    #[test]
    fn what_can_t_be_told_apart_is_said() {
        let rows = Rows::new(1, vec![1.0, 2.0]).unwrap();
        let message = |labels: &[u32], c| Regression::fit(&rows, labels, 2, c).unwrap_err().to_string();
        assert!(message(&[1, 1], 1.0).contains("two classes at least, got 1"));
        assert!(message(&[0, 2], 1.0).contains("label 2 is none of 2 classes"));
        assert!(message(&[0, 1], 0.0).contains("a c above 0"));
        assert!(message(&[0], 1.0).contains("each of 2 rows"));
    }
}
