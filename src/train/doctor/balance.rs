//! Terms of the loss that drown others, or that move nothing.
//!
//! Compared are weight x loss and weight x |d loss / d student weights|_2, on the first batch.

use super::{Figures, Finding, TermFigure, joined};

/// Times by which one term may exceed another.
const MOST: f64 = 100.0;

/// Gradient norm, unweighted, that moves no weight of f32.
const LEAST_GRADIENT: f64 = 1e-9;

pub(super) fn unbalanced(figures: &Figures) -> Option<Finding> {
    let heeded: Vec<&TermFigure> = heeded(figures).filter(|t| !vanishes(t)).collect();
    let loss = extremes(&heeded, |t| Some(t.weight * t.loss.abs()), "loss");
    let gradient =
        extremes(&heeded, |t| t.gradient.map(|g| t.weight * g), "gradient on the student's weights");
    let parts = loss.into_iter().chain(gradient).collect();
    joined(
        parts,
        "the small one is not heeded; change the terms' weights (--method name:weight, --ce-weight)",
    )
}

pub(super) fn vanishing(figures: &Figures) -> Option<Finding> {
    let parts = heeded(figures).filter(|t| vanishes(t)).map(|t| {
        let gradient = t.gradient.unwrap_or_default();
        format!("{} is {:.2e}, and its gradient on the student's weights {gradient:.2e}", t.name, t.loss)
    });
    joined(parts.collect(), "it teaches nothing; look at its taps, its temperature and the teacher's outputs")
}

fn heeded(figures: &Figures) -> impl Iterator<Item = &TermFigure> {
    figures.terms.iter().filter(|t| t.weight > 0.0)
}

fn vanishes(term: &TermFigure) -> bool {
    term.gradient.is_some_and(|g| g < LEAST_GRADIENT)
}

/// The largest and the smallest term by a figure, in words, where they are too far apart.
fn extremes(terms: &[&TermFigure], of: impl Fn(&TermFigure) -> Option<f64>, what: &str) -> Option<String> {
    let figures = terms.iter().filter_map(|t| Some((of(t).filter(|v| *v > 0.0)?, *t)));
    let (small, small_term) = figures.clone().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let (large, large_term) = figures.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Weights are f32, and read best as such: 0.1, not 0.10000000149.
    (large > MOST * small).then(|| {
        format!(
            "the weighted {what} of {} ({large:.2e}, weight {}) is {:.0} times that of {} \
             ({small:.2e}, weight {})",
            large_term.name,
            large_term.weight as f32,
            large / small,
            small_term.name,
            small_term.weight as f32
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(terms: &[(f64, f64, f64)]) -> Figures {
        let term = |(index, (weight, loss, gradient)): (usize, &(f64, f64, f64))| TermFigure {
            name: format!("term{index}"),
            weight: *weight,
            loss: *loss,
            gradient: Some(*gradient),
            softened: None,
        };
        Figures { terms: terms.iter().enumerate().map(term).collect(), ..Default::default() }
    }

    #[test]
    fn a_hundred_times_another_is_told_with_both() {
        let found = unbalanced(&figures(&[(1.0, 2.0, 1.0), (300.0, 1.0, 0.1)])).unwrap().message;
        assert!(found.contains("loss of term1") && found.contains("150 times that of term0"), "{found}");
        assert!(!found.contains("gradient"), "{found}");
        let found = unbalanced(&figures(&[(1.0, 2.0, 1.0), (1.0, 1.0, 1e-3)])).unwrap().message;
        assert!(found.contains("gradient on the student's weights of term0"), "{found}");
        assert_eq!(unbalanced(&figures(&[(1.0, 2.0, 1.0), (99.0, 2.0, 1.0)])), None);
    }

    #[test]
    fn a_term_without_gradient_vanishes_and_is_told_once() {
        let gone = figures(&[(1.0, 2.0, 1.0), (1.0, 1e-12, 0.0)]);
        assert!(vanishing(&gone).unwrap().message.contains("term1 is 1.00e-12"));
        assert_eq!(unbalanced(&gone), None);
    }

    #[test]
    fn a_term_of_weight_nought_is_meant() {
        let unheeded = figures(&[(0.0, 2.0, 0.0), (1.0, 1.0, 1.0)]);
        assert_eq!((unbalanced(&unheeded), vanishing(&unheeded)), (None, None));
    }
}
