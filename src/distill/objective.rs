//! What a student learns: the task's own loss, and terms beside it.

use super::{Term, TermSchedule};
use crate::{Error, Result};

/// Terms, and the weight of the task's own loss beside them. [`super::parse`] reads one from text.
#[derive(Debug, Clone)]
pub struct Objective {
    /// The methods.
    pub terms: Vec<Term>,
    /// Weight of the task's own loss, a classifier's cross-entropy with the labels: the user's, or the first method's.
    pub ce_weight: f32,
    /// Its schedule.
    pub ce_schedule: TermSchedule,
}

impl Objective {
    /// These terms, beside a task's loss of weight 1.
    pub fn new(terms: Vec<Term>) -> Self {
        Self { terms, ce_weight: 1.0, ce_schedule: TermSchedule::default() }
    }

    /// These terms, beside a task's loss of this weight.
    pub fn with_ce_weight(self, ce_weight: f32) -> Self {
        Self { ce_weight, ..self }
    }

    /// Fails where nothing can be learned so, and says why.
    pub fn validate(&self) -> Result<()> {
        let weights = self.terms.iter().map(|term| (term.name, term.weight));
        for (name, weight) in weights.chain([("ce", self.ce_weight)]) {
            if !(weight.is_finite() && weight >= 0.0) {
                let message = format!("expected a weight from 0 for \"{name}\", got {weight}");
                return Err(Error::config("method", message));
            }
        }
        let mut names: Vec<&str> = self.terms.iter().map(|term| term.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            // Its parameters and its weight in the step would have one name.
            Some(pair) => Err(Error::config("method", format!("two terms are named \"{}\"", pair[0]))),
            None if names.is_empty() => Err(Error::config("method", "a teacher needs at least one method")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distill::{MethodConfig, parse};

    #[test]
    fn what_cannot_be_learned_is_named() {
        let kd = parse("kd", &MethodConfig::default()).unwrap();
        kd.validate().unwrap();
        let twice = Objective::new([kd.terms.clone(), kd.terms.clone()].concat());
        let refused = [
            (Objective::new(Vec::new()), "at least one method"),
            (twice, "two terms are named \"kd\""),
            (kd.clone().with_ce_weight(f32::NAN), "for \"ce\", got NaN"),
            (kd.with_ce_weight(-1.0), "for \"ce\", got -1"),
        ];
        for (objective, part) in refused {
            let message = objective.validate().unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
