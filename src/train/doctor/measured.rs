//! A teacher that was measured before the student's training, and came to nothing.

use super::{Figures, Finding, joined};
use crate::tasks::{Metric, Unit};

/// A share below which a teacher knows nothing: a detector's average precision, which has no chance level to hold it against.
const NOTHING: f64 = 0.01;

/// Answers that are right or wrong are judged by their chance level instead.
pub(super) fn knows_nothing(figures: &Figures) -> Option<Finding> {
    let nothing = |metric: &&Metric| {
        let share = metric.unit == Unit::Share && metric.higher_is_better;
        share && figures.samples == 0 && metric.value < NOTHING
    };
    let parts = figures.teachers.iter().filter_map(|teacher| {
        let metric = teacher.measured.as_ref().filter(nothing)?;
        let (name, percent) = (&teacher.name, 100.0 * metric.value);
        Some(format!("{name} has an {} of {percent:.2} % on the images that it is measured on", metric.name))
    });
    let advice = "it teaches nothing; look at its weights, at the size its images are brought to and whether with their \
                  proportions (`letterbox`), and at the names of its classes";
    joined(parts.collect(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::doctor::TeacherFigure;

    #[test]
    fn a_teacher_that_finds_nothing_is_told_and_one_that_finds_little_is_not() {
        let told = |metric, samples| {
            let teacher =
                TeacherFigure { name: "yolov4".into(), measured: Some(metric), ..Default::default() };
            knows_nothing(&Figures { teachers: vec![teacher], samples, ..Default::default() })
        };
        let message = told(Metric::share("ap", 0.004), 0).expect("a finding").message;
        assert!(
            message.contains("yolov4 has an ap of 0.40 %") && message.contains("`letterbox`"),
            "{message}"
        );
        assert_eq!(told(Metric::share("ap", 0.05), 0), None);
        assert_eq!(told(Metric::share("accuracy", 0.004), 128), None);
        assert_eq!(told(Metric::error("rmse", 0.004), 0), None);
    }
}
