//! L-BFGS (Liu and Nocedal 1989): Newton's method with what the last steps say of the curvature.

use std::collections::VecDeque;

/// Steps that the curvature is made of.
const MEMORY: usize = 12;
/// Most steps.
const STEPS: usize = 2000;
/// Share of the promised descent that a step has to bring.
const ENOUGH: f64 = 1e-4;
/// Halvings of a step before rounding is all that is left.
const HALVINGS: usize = 40;

/// A step and what the gradient changed by.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    product: f64,
}

/// From `at` to where no part of the gradient is above `small`, or rounding lets nothing descend. `value` gives a convex function and its gradient.
pub(super) fn minimise(mut at: Vec<f64>, small: f64, value: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    let (mut now, mut gradient) = value(&at);
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    for _ in 0..STEPS {
        if gradient.iter().all(|g| g.abs() <= small) {
            break;
        }
        let direction = direction(&gradient, &pairs);
        let slope = dot(&direction, &gradient);
        let first = if pairs.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let lengths = (0..HALVINGS).map(|halvings| first * 0.5f64.powi(halvings as i32));
        let mut tried = lengths.map(|length| {
            let there: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (then, gradient) = value(&there);
            (length, there, then, gradient)
        });
        let enough =
            |(length, _, then, _): &(f64, Vec<f64>, f64, Vec<f64>)| *then <= now + ENOUGH * length * slope;
        let Some((_, there, then, steeper)) = tried.find(enough) else {
            break;
        };
        let step: Vec<f64> = there.iter().zip(&at).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = steeper.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let product = dot(&step, &change);
        if product > 0.0 {
            pairs.push_back(Pair { step, change, product });
            if pairs.len() > MEMORY {
                pairs.pop_front();
            }
        }
        (at, now, gradient) = (there, then, steeper);
    }
    at
}

/// Minus the inverse curvature times the gradient, by the two loops.
fn direction(gradient: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let factor = dot(&pair.step, &q) / pair.product;
        q.iter_mut().zip(&pair.change).for_each(|(q, y)| *q -= factor * y);
        factors.push(factor);
    }
    if let Some(last) = pairs.back() {
        let scale = last.product / dot(&last.change, &last.change);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, factor) in pairs.iter().zip(factors.iter().rev()) {
        let back = dot(&pair.change, &q) / pair.product;
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (factor - back) * s);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_valley_is_walked_to_its_end() {
        // sum k (x_k - k)^2, from curvature 1 to 1000.
        let weight = |k: usize| if k == 0 { 1000.0 } else { k as f64 };
        let value = |at: &[f64]| {
            let gaps: Vec<f64> = at.iter().enumerate().map(|(k, x)| x - k as f64).collect();
            let value = gaps.iter().enumerate().map(|(k, gap)| weight(k) * gap * gap).sum();
            (value, gaps.iter().enumerate().map(|(k, gap)| 2.0 * weight(k) * gap).collect())
        };
        let found = minimise(vec![-3.0; 20], 1e-9, value);
        assert!(found.iter().enumerate().all(|(k, x)| (x - k as f64).abs() < 1e-9), "{found:?}");
    }
}
