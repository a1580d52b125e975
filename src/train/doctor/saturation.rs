//! Softened teacher outputs that are labels again, or nothing.
//!
//! H = -sum_c p_c log p_c of p = softmax(z / T), its mean over the batch: 0 for a one-hot p, log C for a
//! uniform one.

use super::{Figures, Finding, TermFigure, joined};

/// Shares of log C below which all dark knowledge is gone, and above which nothing is told apart.
const BOUNDS: [f64; 2] = [0.01, 0.998];

pub(super) fn sharp(figures: &Figures) -> Option<Finding> {
    let parts = softened(figures, |share| share < BOUNDS[0]);
    joined(parts, "these are hard labels again; a higher `temperature` tells how classes relate")
}

pub(super) fn flat(figures: &Figures) -> Option<Finding> {
    // An untrained student is all but uniform; its average grows out of that with it.
    if figures.starts_as_student {
        return None;
    }
    let parts = softened(figures, |share| share > BOUNDS[1]);
    joined(parts, "these are all but uniform and teach nothing; lower `temperature`, or look at the teacher")
}

fn softened(figures: &Figures, wrong: impl Fn(f64) -> bool) -> Vec<String> {
    let most = (figures.classes.len() as f64).ln();
    let part = |term: &TermFigure| {
        let (temperature, entropy) = term.softened.filter(|_| term.weight > 0.0 && most > 0.0)?;
        let temperature = temperature as f32;
        wrong(entropy / most).then(|| {
            format!(
                "{} softens the teacher at temperature {temperature} to a mean entropy of {entropy:.2e} \
                 of at most {most:.2} nats",
                term.name
            )
        })
    };
    figures.terms.iter().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(entropy: f64) -> Figures {
        let term = TermFigure {
            name: "kd".into(),
            weight: 0.9,
            softened: Some((4.0, entropy)),
            ..Default::default()
        };
        Figures { classes: (0..10).map(|c| c.to_string()).collect(), terms: vec![term], ..Default::default() }
    }

    #[test]
    fn both_ends_are_told() {
        let (low, high) = (figures(0.02), figures(2.3));
        let found = sharp(&low).unwrap().message;
        assert!(found.contains("2.00e-2") && found.contains("2.30 nats"), "{found}");
        assert!(flat(&high).unwrap().message.contains("temperature 4 "));
        assert_eq!((flat(&low), sharp(&high)), (None, None));
        assert_eq!((flat(&figures(1.0)), sharp(&figures(1.0))), (None, None));
        let average = |entropy| Figures { starts_as_student: true, ..figures(entropy) };
        assert!(flat(&average(2.3)).is_none() && sharp(&average(0.02)).is_some());
    }

    #[test]
    fn an_inactive_term_is_no_finding() {
        let mut figures = figures(0.0);
        figures.terms[0].weight = 0.0;
        assert_eq!(sharp(&figures), None);
    }
}
