//! Terms of the loss that drown others, or that move nothing.
//!
//! Compared are weight x loss and weight x |d loss / d weights|_2, on the first batch, where the weights are those of the
//! network that learns: the student's, or a peer's.

use super::{Figures, Finding, TermFigure, joined};

/// Times by which one term may exceed another.
const MOST: f64 = 100.0;

/// Gradient norm, unweighted, that moves no weight of f32.
const LEAST_GRADIENT: f64 = 1e-9;

pub(super) fn unbalanced(figures: &Figures) -> Option<Finding> {
    let active: Vec<&TermFigure> = active(figures).filter(|t| !vanishes(t)).collect();
    let own = figures.starts_as_student;
    let loss = extremes(&active, own, |t| Some(t.weight * t.loss.abs()), "loss");
    let gradient =
        extremes(&active, own, |t| t.gradient.map(|g| t.weight * g), "gradient on the trained weights");
    let parts = loss.into_iter().chain(gradient).collect();
    joined(parts, "the small one is ignored; change the terms' weights (`method = name:weight`, `ce_weight`)")
}

pub(super) fn vanishing(figures: &Figures) -> Option<Finding> {
    // What a student learns from its own average is nothing at first.
    if figures.starts_as_student {
        return None;
    }
    let parts = active(figures).filter(|t| vanishes(t)).map(|t| {
        let gradient = t.gradient.unwrap_or_default();
        format!("{} is {:.2e}, and its gradient on the trained weights {gradient:.2e}", t.name, t.loss)
    });
    joined(parts.collect(), "it teaches nothing; look at its taps, its temperature and the teacher's outputs")
}

fn active(figures: &Figures) -> impl Iterator<Item = &TermFigure> {
    figures.terms.iter().filter(|t| t.weight > 0.0)
}

fn vanishes(term: &TermFigure) -> bool {
    term.gradient.is_some_and(|g| g < LEAST_GRADIENT)
}

/// The largest and the smallest term by a figure, in words, where they are too far apart. Terms that grow from nothing are
/// small at first, and that is no finding.
fn extremes(
    terms: &[&TermFigure],
    grow: bool,
    of: impl Fn(&TermFigure) -> Option<f64>,
    what: &str,
) -> Option<String> {
    let figures = terms.iter().filter_map(|t| Some((of(t).filter(|v| *v > 0.0)?, *t)));
    let (small, small_term) = figures.clone().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let (large, large_term) = figures.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Weights are f32, and read best as such: 0.1, not 0.10000000149.
    let meant = grow && !small_term.of_task;
    (large > MOST * small && !meant).then(|| {
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
            of_task: false,
        };
        Figures { terms: terms.iter().enumerate().map(term).collect(), ..Default::default() }
    }

    #[test]
    fn a_hundred_times_another_is_told_with_both() {
        let found = unbalanced(&figures(&[(1.0, 2.0, 1.0), (300.0, 1.0, 0.1)])).unwrap().message;
        assert!(found.contains("loss of term1") && found.contains("150 times that of term0"), "{found}");
        assert!(!found.contains("gradient"), "{found}");
        let found = unbalanced(&figures(&[(1.0, 2.0, 1.0), (1.0, 1.0, 1e-3)])).unwrap().message;
        assert!(found.contains("gradient on the trained weights of term0"), "{found}");
        assert_eq!(unbalanced(&figures(&[(1.0, 2.0, 1.0), (99.0, 2.0, 1.0)])), None);
    }

    #[test]
    fn a_term_without_gradient_vanishes_and_is_told_once() {
        let gone = figures(&[(1.0, 2.0, 1.0), (1.0, 1e-12, 0.0)]);
        assert!(vanishing(&gone).unwrap().message.contains("term1 is 1.00e-12"));
        assert_eq!(unbalanced(&gone), None);
    }

    #[test]
    fn what_grows_from_nothing_may_be_small_but_not_large() {
        let mut average = figures(&[(1.0, 2.0, 1.0), (1.0, 1e-4, 1e-4)]);
        average.starts_as_student = true;
        (average.terms[0].of_task, average.terms[0].name) = (true, "ce".into());
        assert_eq!(unbalanced(&average), None);
        average.terms[1].gradient = Some(0.0);
        assert_eq!(vanishing(&average), None);
        average.terms[1] = TermFigure { weight: 1e9, gradient: Some(1e-4), ..average.terms[1].clone() };
        assert!(unbalanced(&average).unwrap().message.contains("that of ce"));
    }

    #[test]
    fn a_term_of_weight_zero_is_meant() {
        let inactive = figures(&[(0.0, 2.0, 0.0), (1.0, 1.0, 1.0)]);
        assert_eq!((unbalanced(&inactive), vanishing(&inactive)), (None, None));
    }
}
