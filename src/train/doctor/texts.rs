//! Texts: vectors that are all one, texts that are not read to their end, tokens of another model.

use super::{Figures, Finding, joined};

/// Mean cosines of any two texts above which vectors say the same of all. Encoders that were trained for sentences are below 0.3, plain
/// language models from 0.5 to 0.9.
const ALIKE: f64 = 0.9;
/// The same for a network of random weights, whose vectors have much in common at first.
const ALIKE_AT_FIRST: f64 = 0.99;
/// Share of texts that may be cut.
const CUT: f64 = 0.05;
/// Rows of a table behind the last token that only fill it up.
const FILLERS: usize = 128;

/// Vectors of any two texts that are all but one.
pub(super) fn collapsed(figures: &Figures) -> Option<Finding> {
    let mut parts = Vec::new();
    let mut tell = |who: &str, alike: Option<f64>, most: f64, advice: &str| {
        if let Some(alike) = alike.filter(|alike| *alike > most) {
            parts.push(format!("{who} vectors of any two texts have a mean cosine of {alike:.3} ({advice})"));
        }
    };
    for teacher in &figures.teachers {
        let advice = "look at its weights, at how its folder says that tokens are pooled, and whether it was trained for sentences";
        tell(&format!("{}'s", teacher.name), teacher.alike, ALIKE, advice);
    }
    if !figures.starts_as_student {
        let advice = "start it from trained layers with `init`";
        tell("before training the student's", figures.student_alike, ALIKE_AT_FIRST, advice);
    }
    let advice = "lower `learning_rate`, and learn what tells texts apart, as by `method = relational`";
    tell("after training the student's", figures.trained_alike, ALIKE, advice);
    joined(parts, "they say the same of every text, and nothing can be told or learned by them")
}

/// Training texts that are longer than the model is given.
pub(super) fn cut(figures: &Figures) -> Option<Finding> {
    let found = figures.cut?;
    let share = found.cut as f64 / found.texts.max(1) as f64;
    (share > CUT).then(|| Finding {
        message: format!(
            "{} of {} training texts ({:.0}%) have more than {} tokens, and their ends are left out: raise `max_tokens`, up to what \
             the teacher takes",
            found.cut,
            found.texts,
            100.0 * share,
            found.longest
        ),
    })
}

/// A tokenizer that has other tokens than a teacher has rows for.
pub(super) fn other_tokenizer(figures: &Figures) -> Option<Finding> {
    let tokens = figures.tokens?;
    let parts = figures.teachers.iter().filter_map(|teacher| {
        let rows = teacher.rows?;
        let few = tokens + FILLERS.max(rows / 100) < rows;
        (tokens > rows || few).then(|| {
            format!("the tokenizer has {tokens} tokens, and the table of {} {rows} rows", teacher.name)
        })
    });
    joined(
        parts.collect(),
        "that is the tokenizer of another model, whose numbers mean other words; name the teacher's with `tokenizer`",
    )
}

#[cfg(test)]
mod tests {
    use super::super::{CutFigure, TeacherFigure};
    use super::*;

    fn of(teacher: TeacherFigure) -> Figures {
        let teacher = TeacherFigure { name: "the teacher".into(), ..teacher };
        Figures { teachers: vec![teacher], ..Default::default() }
    }

    #[test]
    fn collapsed_vectors_are_told_with_their_cosine() {
        let told = |teacher, student, trained| {
            let figures = of(TeacherFigure { alike: teacher, ..Default::default() });
            let figures = Figures { student_alike: student, trained_alike: trained, ..figures };
            collapsed(&figures).map(|found| found.message)
        };
        assert_eq!(told(Some(0.85), Some(0.98), Some(0.5)), None);
        assert_eq!(told(None, None, None), None);
        let message = told(Some(0.97), None, None).unwrap();
        assert!(message.contains("the teacher's vectors") && message.contains("0.970"), "{message}");
        let message = told(None, Some(0.9999), None).unwrap();
        assert!(message.contains("before training the student") && message.contains("`init`"), "{message}");
        let message = told(None, None, Some(0.95)).unwrap();
        assert!(message.contains("after training") && message.contains("0.950"), "{message}");
        let average = Figures { student_alike: Some(1.0), starts_as_student: true, ..Default::default() };
        assert_eq!(collapsed(&average), None);
    }

    #[test]
    fn cut_texts_are_counted() {
        let told = |cut| {
            let cut = CutFigure { cut, texts: 200, longest: 16 };
            super::cut(&Figures { cut: Some(cut), ..Default::default() }).map(|found| found.message)
        };
        assert_eq!(told(10), None);
        let message = told(46).unwrap();
        assert!(
            message.contains("46 of 200 training texts (23%)") && message.contains("16 tokens"),
            "{message}"
        );
        assert!(message.contains("`max_tokens`"), "{message}");
        assert_eq!(super::cut(&Figures::default()), None);
    }

    #[test]
    fn a_tokenizer_of_another_model_is_told() {
        let told = |tokens, rows| {
            let figures = of(TeacherFigure { rows: Some(rows), ..Default::default() });
            other_tokenizer(&Figures { tokens: Some(tokens), ..figures }).map(|found| found.message)
        };
        assert_eq!((told(30_522, 30_522), told(30_522, 30_592), told(119_547, 120_000)), (None, None, None));
        let message = told(30_522, 119_547).unwrap();
        assert!(message.contains("30522 tokens") && message.contains("119547 rows"), "{message}");
        assert!(told(30_523, 30_522).is_some());
        assert_eq!(other_tokenizer(&of(TeacherFigure { rows: Some(5), ..Default::default() })), None);
    }
}
