//! For which tasks a method is: those that offer all it reads.

use super::MethodSpec;
use crate::tasks::{Need, TASKS};

/// The names of the tasks that have everything the method reads.
pub fn tasks(spec: &MethodSpec) -> Vec<&'static str> {
    TASKS.iter().filter(|task| task.offers_all(spec.reads)).map(|task| task.name).collect()
}

/// What a need is, in words.
pub(super) fn in_words(need: Need) -> &'static str {
    match need {
        Need::Logits => "logits",
        Need::Numbers => "rows of numbers, logits or not",
        Need::Labels => "labels",
        Need::Boxes => "boxes",
        Need::Truths => "the boxes that are there",
        Need::Taps => "features",
        Need::Weights => "the teacher's weights",
        Need::Tokens => "tokens of texts",
        Need::Vectors => "a vector of each sample",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distill::{METHODS, find};

    #[test]
    fn every_method_reads_something_and_fits_a_classifier_or_a_detector() {
        for spec in METHODS {
            assert!(!spec.reads.is_empty(), "{} reads nothing", spec.name);
            let fits = tasks(spec);
            assert!(fits.iter().any(|task| ["classify", "detect"].contains(task)), "{}", spec.name);
        }
    }

    /// A regression has no classes: soft targets mean nothing there, and distances do.
    #[test]
    fn a_regression_takes_no_soft_targets() {
        let regress = |name: &str| tasks(find(name).unwrap()).contains(&"regress");
        assert!(["logit-mse", "feature", "rkd"].into_iter().all(regress));
        assert!(!["kd", "dkd", "binary-kd", "weights", "activation"].into_iter().any(regress));
    }
}
