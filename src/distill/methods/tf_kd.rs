//! A virtual teacher that is always right (TfKD_reg, Yuan et al. 1909.11723): KL(u || softmax(z_s)), batch-mean, with
//! u = softmax(p / T) over classes, p = a for the label and (1 - a) / (C - 1) for the others. As in the authors' code T
//! softens the virtual teacher alone; its defaults are T 20, a .99.
//!
//! u is what label smoothing makes of the label, so the loss is a smoothed cross-entropy less the entropy of u. It reads
//! nothing of a teacher.

use crate::distill::{Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed};
use crate::nn::{Forward, ParamBuilder};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "tf-kd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets of a virtual teacher that is always right; needs no teacher",
    formula: "KL(softmax(p / T) || softmax(z_s)), p = correct for the label, the rest spread evenly",
    paper: "Yuan et al. 1909.11723",
    settings: &[
        Setting::positive("temperature", 20.0, "softens the virtual teacher"),
        Setting::within("correct", 0.99, [0.0, 1.0], "probability that the virtual teacher gives the label"),
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits, Need::Labels],
    weight: 0.95,
    ce_weight: 0.05,
    build: |values| {
        let [temperature, correct] = values.numbers(["temperature", "correct"])?;
        Ok(Box::new(Virtual { temperature, correct }))
    },
};

#[derive(Debug, Clone)]
struct Virtual {
    temperature: f32,
    correct: f32,
}

impl Method for Virtual {
    fn needs_teacher(&self) -> bool {
        false
    }

    fn prepare(&self, _: &MethodContext<'_>, _: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.clone()))
    }
}

impl Loss for Virtual {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        let classes = rows.student.dims()[1] as f64;
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
        let entropy = -(label * label.ln() + (classes - 1.0) * other * other.ln());
        rows.cross_entropy(smoothing)?.add_scalar(-entropy as f32)
    }
}
