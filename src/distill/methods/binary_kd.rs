//! A yes or no for each label: T^2 * the mean over samples and labels of BCE(sigmoid(z_s / T), sigmoid(z_t / T)), for
//! networks of several labels and for detection heads.

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{Family, Method, MethodSpec, Pair, Setting, TapNeed};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "binary-kd",
    family: Family::Activation,
    about: "soft targets of each label by itself, by sigmoid: several labels an image, detection heads",
    formula: "T^2 * mean over N and C of BCE(sigmoid(z_s / T), sigmoid(z_t / T))",
    paper: "Yang et al. 2308.06453 at T = 1, who sum KL over labels: the mean of BCE has its gradient divided by C",
    settings: &[Setting::positive("temperature", 1.0, "softens both sides' answers"), LOGITS],
    taps: TapNeed::None,
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| Box::new(BinaryKd { temperature: values.number("temperature") }),
};

struct BinaryKd {
    temperature: f32,
}

impl Method for BinaryKd {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let targets = pair.teacher_logits.scale(1.0 / self.temperature)?.sigmoid()?;
        let student = pair.student_logits.scale(1.0 / self.temperature)?;
        student.bce_with_logits(&targets)?.scale(self.temperature.powi(2))
    }
}
