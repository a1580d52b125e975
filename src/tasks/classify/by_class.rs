//! How often each class was taken for each: what `limbeck eval` shows of a classifier.

use serde::Serialize;

use super::accuracy;
use crate::tasks::{Metric, Rows};

/// Counts over images, by label and by answer.
#[derive(Debug, Clone)]
pub struct ClassCounts {
    /// By label, then by answer.
    taken: Vec<Vec<usize>>,
    /// By label.
    images: Vec<usize>,
    not_finite: usize,
}

/// What [`ClassCounts`] come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByClass {
    /// Images that were counted.
    pub images: usize,
    /// Those whose answer is their label.
    pub correct: usize,
    /// Their share of the images, 0 to 1.
    pub top1_accuracy: f64,
    /// Images with a NaN or infinite logit; they count as wrong.
    pub not_finite: usize,
    /// One a class, in their order.
    pub classes: Vec<ClassResult>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassResult {
    /// Its name.
    pub class: String,
    /// Images of it.
    pub images: usize,
    /// Those for which it was the answer.
    pub correct: usize,
    /// Images of any class for which it was the answer.
    pub answered: usize,
    /// The wrong answer that images of it got most often.
    pub mostly_taken_for: Option<TakenFor>,
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TakenFor {
    /// The class that was answered.
    pub class: String,
    /// How many images got it.
    pub images: usize,
}

impl ByClass {
    /// The share that was right, as the task's metric.
    pub fn top1(&self) -> Metric {
        accuracy(self.top1_accuracy)
    }
}

impl ClassCounts {
    /// None yet, of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { taken: vec![vec![0; classes]; classes], images: vec![0; classes], not_finite: 0 }
    }

    /// Counts an image by its label and its logits (C). A label that is no class counts nothing, an answer that is none is
    /// wrong.
    pub fn add(&mut self, label: i32, logits: &[f32]) {
        let Some(label) = usize::try_from(label).ok().filter(|l| *l < self.images.len()) else { return };
        self.images[label] += 1;
        // No answer is a wrong answer.
        match Rows::answer(logits) {
            None => self.not_finite += 1,
            Some(answer) => {
                if let Some(count) = self.taken[label].get_mut(answer) {
                    *count += 1;
                }
            }
        }
    }

    /// The figures, by the classes' names; a class without one is called by its number.
    pub fn by_class(&self, names: &[String]) -> ByClass {
        let images: usize = self.images.iter().sum();
        let correct: usize = (0..self.images.len()).map(|c| self.taken[c][c]).sum();
        ByClass {
            images,
            correct,
            top1_accuracy: correct as f64 / images.max(1) as f64,
            not_finite: self.not_finite,
            classes: (0..self.images.len()).map(|c| self.class(c, names)).collect(),
        }
    }

    fn class(&self, c: usize, names: &[String]) -> ClassResult {
        let row = &self.taken[c];
        let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
        let wrong = (0..row.len()).filter(|&other| other != c && row[other] > 0);
        let taken_for = wrong.max_by_key(|&other| (row[other], std::cmp::Reverse(other)));
        ClassResult {
            class: name(c),
            images: self.images[c],
            correct: row[c],
            answered: self.taken.iter().map(|row| row[c]).sum(),
            mostly_taken_for: taken_for.map(|other| TakenFor { class: name(other), images: row[other] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting() {
        let mut counts = ClassCounts::new(2);
        counts.add(0, &[1.0, 1.0]);
        counts.add(0, &[0.0, 1.0]);
        counts.add(1, &[f32::NAN, 1.0]);
        counts.add(-100, &[0.0, 1.0]);
        let found = counts.by_class(&["a".into(), "b".into()]);
        assert_eq!((found.images, found.correct, found.not_finite), (3, 1, 1));
        assert_eq!(found.top1_accuracy, 1.0 / 3.0);
        let classes = found.classes;
        assert_eq!(classes[0].mostly_taken_for, Some(TakenFor { class: "b".into(), images: 1 }));
        assert_eq!((classes[1].images, classes[1].correct, classes[1].answered), (1, 0, 1));
        // More logits than classes, and fewer names.
        counts.add(1, &[0.0, 0.0, 1.0]);
        let found = counts.by_class(&["a".into()]);
        assert_eq!((found.images, found.classes[1].class.as_str(), found.classes[1].images), (4, "1", 2));
    }
}
