//! A teacher of more, or fewer, classes than the data set.

use super::{Figures, Finding, TeacherFigure, joined};
use crate::report::printable;

/// Names that a message lists.
const SHOWN: usize = 3;

pub(super) fn counts(figures: &Figures) -> Option<Finding> {
    let ours = &figures.classes;
    let unlike = |t: &&TeacherFigure| {
        ![&t.classes, ours].iter().any(|classes| classes.is_empty()) && t.classes.len() != ours.len()
    };
    let differ = figures.teachers.iter().filter(unlike);
    let parts = differ.map(|t| {
        let counts = format!("{} has {} classes, the data set {}", t.name, t.classes.len(), ours.len());
        let only = [(&t.classes, ours, "teacher"), (ours, &t.classes, "data set")];
        let only = only.iter().filter_map(|(all, others, whose)| only_in(all, others, whose));
        std::iter::once(counts).chain(only).collect::<Vec<_>>().join(", ")
    });
    joined(parts.collect(), "its logits can't be compared; use a teacher that was trained on these classes")
}

/// The first classes of `all` that are not among `others`.
fn only_in(all: &[String], others: &[String], whose: &str) -> Option<String> {
    let only: Vec<String> =
        all.iter().filter(|c| !others.contains(c)).map(|c| format!("\"{}\"", printable(c))).collect();
    let more = if only.len() > SHOWN { format!(" and {} more", only.len() - SHOWN) } else { String::new() };
    let shown = only.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    (!only.is_empty()).then(|| format!("only the {whose} has {shown}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(teacher: &[&str], data: &[&str]) -> Figures {
        let names = |all: &[&str]| all.iter().map(|c| c.to_string()).collect::<Vec<_>>();
        let teacher = TeacherFigure { name: "teacher".into(), classes: names(teacher), ..Default::default() };
        Figures { classes: names(data), teachers: vec![teacher], ..Default::default() }
    }

    #[test]
    fn counts_are_told_with_the_names() {
        let found = counts(&figures(&["cat", "dog", "owl"], &["cat", "dog"])).unwrap().message;
        assert!(found.contains("teacher has 3 classes, the data set 2"), "{found}");
        assert!(found.contains("only the teacher has \"owl\""), "{found}");
        assert!(!found.contains("only the data set"), "{found}");
    }

    #[test]
    fn equal_or_unknown_counts_are_no_finding() {
        assert_eq!(counts(&figures(&["a", "b"], &["b", "a"])), None);
        assert_eq!(counts(&figures(&[], &["a"])), None);
        // Sentences have no classes, and a teacher of vectors has names for their numbers.
        assert_eq!(counts(&figures(&["0", "1"], &[])), None);
    }
}
