//! A virtual teacher that is always right (TfKD_reg, Yuan et al. 1909.11723): KL(u || softmax(z_s)), batch-mean, with
//! u = softmax(p / T) over classes, p = a for the label and (1 - a) / (C - 1) for the others. As in the authors' code T
//! softens the virtual teacher alone; its defaults are T 20, a .99.
//!
//! u is what label smoothing makes of the label, so the loss is a smoothed cross-entropy less the entropy of u. It reads
//! nothing of a teacher.

use crate::data::IGNORE_LABEL;
use crate::distill::{Family, Method, MethodSpec, Pair, Setting, TapNeed};
use crate::nn::Forward;
use crate::ops::cross_entropy::CrossEntropy;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "tf-kd",
    family: Family::Activation,
    about: "soft targets of a virtual teacher that is always right; needs no teacher",
    formula: "KL(softmax(p / T) || softmax(z_s)), p = correct for the label, the rest spread evenly",
    paper: "Yuan et al. 1909.11723",
    settings: &[
        Setting::positive("temperature", 20.0, "softens the virtual teacher"),
        Setting::within("correct", 0.99, [0.0, 1.0], "what the virtual teacher gives the label"),
    ],
    taps: TapNeed::None,
    weight: 0.95,
    ce_weight: 0.05,
    build: |values| {
        Box::new(Virtual { temperature: values.number("temperature"), correct: values.number("correct") })
    },
};

struct Virtual {
    temperature: f32,
    correct: f32,
}

impl Method for Virtual {
    fn needs_teacher(&self) -> bool {
        false
    }

    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let classes = pair.student_logits.dims()[1] as f64;
        let correct = f64::from(self.correct);
        let gap = (correct - (1.0 - correct) / (classes - 1.0)) / f64::from(self.temperature);
        // softmax of `gap` for the label and 0 for the others.
        let other = 1.0 / (gap.exp() + classes - 1.0);
        let label = 1.0 - other * (classes - 1.0);
        if classes < 2.0 || label < other {
            let message = format!("expected more than 1 / classes ({:.4}), got {correct}", 1.0 / classes);
            return Err(Error::config("correct", message));
        }
        let smoothing = (classes * other) as f32;
        let settings = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: smoothing };
        let entropy = -(label * label.ln() + (classes - 1.0) * other * other.ln());
        pair.student_logits.cross_entropy(pair.labels()?, &settings)?.add_scalar(-entropy as f32)
    }
}
