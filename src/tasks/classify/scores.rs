//! What counts of classes come to besides accuracy: F1 and Matthews' correlation, as scikit-learn has them.

use super::ByClass;
use crate::tasks::Metric;

impl ByClass {
    /// F1 of each class, 2 correct / (answered + of it): the harmonic mean of its precision and its recall. 0 of one that was never
    /// answered or of which there was nothing, `None` of one without either.
    pub fn f1(&self) -> impl Iterator<Item = Option<f64>> {
        self.classes.iter().map(|class| match class.answered + class.images {
            0 => None,
            both => Some(2.0 * class.correct as f64 / both as f64),
        })
    }

    /// The mean of [`ByClass::f1`] over the classes that have one; 0 where none has.
    pub fn macro_f1(&self) -> f64 {
        let all: Vec<f64> = self.f1().flatten().collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }

    /// Matthews' correlation of answers and labels, -1 to 1, for any number of classes (Gorodkin 2004): 0 for answers by chance, and
    /// where there is but one class or one answer. No answer is as an answer of a class of its own.
    pub fn matthews(&self) -> f64 {
        let (samples, correct) = (self.images as f64, self.correct as f64);
        let pairs = self.classes.iter().map(|class| (class.images as f64, class.answered as f64));
        let answered: f64 = self.classes.iter().map(|class| class.answered as f64).sum();
        let unanswered = samples - answered;
        let (mut both, mut labels, mut answers) = (0.0, 0.0, unanswered * unanswered);
        for (label, answer) in pairs {
            both += label * answer;
            labels += label * label;
            answers += answer * answer;
        }
        let spread = (samples * samples - answers) * (samples * samples - labels);
        if spread > 0.0 { (correct * samples - both) / spread.sqrt() } else { 0.0 }
    }

    /// Accuracy, F1 of the second class where there are two (the positive one, as a rule), the mean F1 of all, and Matthews'
    /// correlation.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut all = vec![self.top1()];
        if let [_, positive] = &self.classes[..] {
            let f1 = self.f1().last().flatten().unwrap_or(0.0);
            all.push(Metric::share(format!("f1 of {}", positive.class), f1));
        }
        all.push(Metric::share("macro f1", self.macro_f1()));
        all.push(Metric::correlation("matthews", self.matthews()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClassCounts;
    use super::*;

    /// As scikit-learn counts them (tests/fixtures/textscores.py).
    const FIXTURE: &str = include_str!("../../../tests/fixtures/textscores.json");

    fn counted(case: &serde_json::Value) -> ByClass {
        let numbers = |key: &str| -> Vec<usize> { serde_json::from_value(case[key].clone()).unwrap() };
        let classes = case["classes"].as_u64().unwrap() as usize;
        let mut counts = ClassCounts::new(classes);
        for (label, answer) in numbers("labels").into_iter().zip(numbers("answers")) {
            let mut logits = vec![0.0; classes];
            match logits.get_mut(answer) {
                Some(logit) => *logit = 1.0,
                None => logits[0] = f32::NAN,
            }
            counts.add(label as i32, &logits);
        }
        let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        counts.by_class(&names)
    }

    #[test]
    fn scores_are_those_of_scikit_learn() {
        let fixture: serde_json::Value = serde_json::from_str(FIXTURE).unwrap();
        let cases = fixture["scores"].as_array().unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let found = counted(case);
            let wanted = |key: &str| case[key].as_f64();
            let same = |found: f64, key: &str| {
                let wanted = wanted(key).unwrap();
                assert!((found - wanted).abs() < 1e-12, "{key}: {found}, not {wanted}: {case}");
            };
            same(found.top1_accuracy, "accuracy");
            same(found.macro_f1(), "macro_f1");
            same(found.matthews(), "matthews");
            let metrics = found.metrics();
            let positive = metrics.iter().find(|metric| metric.name == "f1 of class 1");
            assert_eq!(positive.is_some(), wanted("f1").is_some(), "{case}");
            positive.into_iter().for_each(|metric| same(metric.value, "f1"));
        }
    }

    #[test]
    fn nothing_counted_is_nothing_right() {
        let none = ClassCounts::new(3).by_class(&[]);
        assert_eq!((none.macro_f1(), none.matthews()), (0.0, 0.0));
    }
}
