//! A teacher at chance, or worse than its student, on the training images.
//!
//! Both allow for three standard errors of a share over so few images, sqrt(p (1 - p) / N).

use super::{Agreement, Figures, Finding, TeacherFigure, joined};

/// Standard errors that are no finding.
const NOISE: f64 = 3.0;

/// How much more often two images of one class must get the same answer than two of different classes, for
/// the teacher to tell classes apart.
const TELLS_APART: f64 = 0.25;

pub(super) fn at_chance(figures: &Figures) -> Option<Finding> {
    let chance = chance(figures)?;
    let limit = chance + NOISE * variance(chance, figures).sqrt();
    let parts = figures.teachers.iter().filter(|t| t.right <= limit).map(|t| {
        format!(
            "{} has {:.1}% of {} training images right, where guessing has {:.1}%{}",
            t.name,
            t.right * 100.0,
            figures.samples,
            chance * 100.0,
            reason(t.agreement, figures)
        )
    });
    joined(parts.collect(), "its soft targets mislead the student")
}

pub(super) fn worse_than_student(figures: &Figures) -> Option<Finding> {
    let chance = chance(figures)?;
    let student = figures.student_right;
    let worse = |t: &&TeacherFigure| {
        // One at chance is told of already.
        let noise = NOISE * (variance(t.right, figures) + variance(student, figures)).sqrt();
        t.right + noise < student && t.right > chance + NOISE * variance(chance, figures).sqrt()
    };
    let parts = figures.teachers.iter().filter(worse).map(|t| {
        let (teacher, student) = (t.right * 100.0, student * 100.0);
        format!(
            "{} has {teacher:.1}% of {} training images right and the student {student:.1}% before \
             training{}",
            t.name,
            figures.samples,
            reason(t.agreement, figures)
        )
    });
    joined(parts.collect(), "a teacher that knows less holds the student back")
}

/// `None` where shares of right answers tell nothing.
fn chance(figures: &Figures) -> Option<f64> {
    let measured = figures.samples > 0 && !figures.starts_as_student;
    (measured && figures.classes.len() > 1).then(|| 1.0 / figures.classes.len() as f64)
}

fn variance(share: f64, figures: &Figures) -> f64 {
    share * (1.0 - share) / figures.samples as f64
}

/// What to look at.
fn reason(agreement: Option<Agreement>, figures: &Figures) -> String {
    let (mean, std) = &figures.normalisation;
    let normalisation = format!("the normalisation (`mean = {mean:?}`, `std = {std:?}`)");
    match agreement {
        None => format!(" (look at the order of its classes and at {normalisation})"),
        Some(Agreement { within, between }) => {
            let shares = format!(
                "two images of one class get the same answer in {:.0}% of all pairs, two of \
                 different classes in {:.0}%",
                within * 100.0,
                between * 100.0
            );
            if within - between > TELLS_APART {
                format!(" ({shares}: it tells classes apart, so look at the order of its classes)")
            } else {
                format!(
                    " ({shares}: it does not tell classes apart, so look at {normalisation} and its weights)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(teacher: f64, student: f64, agreement: Option<Agreement>) -> Figures {
        let teacher =
            TeacherFigure { name: "teacher".into(), right: teacher, agreement, ..Default::default() };
        Figures {
            samples: 128,
            classes: (0..10).map(|c| c.to_string()).collect(),
            normalisation: (vec![0.5], vec![0.25]),
            student_right: student,
            teachers: vec![teacher],
            ..Default::default()
        }
    }

    #[test]
    fn a_teacher_at_chance_is_told_with_what_to_look_at() {
        let message = |agreement| at_chance(&figures(0.1, 0.1, agreement)).unwrap().message;
        let order = message(Some(Agreement { within: 0.9, between: 0.01 }));
        assert!(order.contains("10.0% of 128") && order.contains("order of its classes"), "{order}");
        assert!(!order.contains("`mean = "), "{order}");
        let normalisation = message(Some(Agreement { within: 0.4, between: 0.38 }));
        assert!(normalisation.contains("`mean = [0.5]`"), "{normalisation}");
        assert!(!normalisation.contains("order of its classes"), "{normalisation}");
        let both = message(None);
        assert!(both.contains("`mean = ") && both.contains("order of its classes"), "{both}");
    }

    #[test]
    fn noise_is_no_finding() {
        // Three standard errors of a tenth over 128 images are 0.080.
        assert!(at_chance(&figures(0.17, 0.1, None)).is_some());
        assert!(at_chance(&figures(0.19, 0.1, None)).is_none());
        // And of the difference of 0.5 and 0.68, 0.181.
        assert!(worse_than_student(&figures(0.5, 0.68, None)).is_none());
        assert!(worse_than_student(&figures(0.5, 0.69, None)).is_some());
    }

    #[test]
    fn what_was_not_measured_is_no_finding() {
        let unmeasured = Figures { samples: 0, ..figures(0.0, 1.0, None) };
        assert_eq!((at_chance(&unmeasured), worse_than_student(&unmeasured)), (None, None));
        let average = Figures { starts_as_student: true, ..figures(0.1, 0.9, None) };
        assert_eq!((at_chance(&average), worse_than_student(&average)), (None, None));
    }
}
