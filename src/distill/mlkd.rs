//! Multi-level logit distillation (Jin et al., CVPR 2023): for each temperature of a pool, with p = softmax(z / T), soft
//! targets by sample, the samples' relations p p^T (N, N) and the classes' p^T p (C, C):
//! T^2 * KL(p_t || p_s) + |p_s p_s^T - p_t p_t^T|^2 / N + |p_s^T p_s - p_t^T p_t|^2 / C.
//!
//! The authors' code also trains on a second, strongly augmented view of the batch, and leaves out samples and classes that
//! the teacher is sure of; the paper's losses, as here, have neither.

use super::logits::LOGITS;
use super::{Family, Method, MethodSpec, Pair, Setting, TapNeed, kd, sum_of};
use crate::nn::Forward;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "mlkd",
    family: Family::Activation,
    about: "soft targets at several temperatures, with the relations of samples and of classes",
    formula: "sum over T of T^2 * KL(p_t || p_s) + ||p_s p_s' - p_t p_t'||^2 / N + ||p_s' p_s - p_t' p_t||^2 / C",
    paper: "Jin et al., CVPR 2023. Their code adds a strongly augmented view and leaves out samples and classes that the \
            teacher is sure of",
    settings: &[
        Setting::count("lowest", 2, [1, 100], "lowest temperature of the pool"),
        Setting::count(
            "highest",
            6,
            [1, 100],
            "highest temperature; the pool has every whole number between",
        ),
        LOGITS,
    ],
    taps: TapNeed::None,
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| Box::new(Mlkd { lowest: values.count("lowest"), highest: values.count("highest") }),
};

struct Mlkd {
    lowest: usize,
    highest: usize,
}

impl Method for Mlkd {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        if self.highest < self.lowest {
            let message =
                format!("expected at least lowest, {}, for mlkd, got {}", self.lowest, self.highest);
            return Err(Error::config("highest", message));
        }
        sum_of((self.lowest..=self.highest).map(|temperature| levels(pair, temperature as f32)))
    }
}

/// The three levels at one temperature.
fn levels(pair: &Pair<'_>, temperature: f32) -> Result<Tensor> {
    let probabilities = |z: &Tensor| z.scale(1.0 / temperature)?.softmax(1);
    let (student, teacher) = (probabilities(pair.student_logits)?, probabilities(pair.teacher_logits)?);
    let samples = relation(&student, &teacher, |p| p.gemm(p, false, true))?;
    let classes = relation(&student, &teacher, |p| p.gemm(p, true, false))?;
    kd::soft_targets(pair, temperature)?.add(&samples)?.add(&classes)
}

/// The squared distance of two square matrices, divided by their size.
fn relation(
    student: &Tensor,
    teacher: &Tensor,
    matrix: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let student = matrix(student)?;
    let size = student.dims()[0];
    student.mse_loss(&matrix(teacher)?)?.scale(size as f32)
}
