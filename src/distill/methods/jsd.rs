//! Generalised Jensen-Shannon divergence (Agarwal et al. 2306.13649), with p = softmax(z / T) and
//! m = beta * p_t + (1 - beta) * p_s: T^2 * (beta * KL(p_t || m) + (1 - beta) * KL(p_s || m)), batch-mean.
//!
//! At beta = 0 and 1 that is zero everywhere. Divided by beta it tends to KL(p_t || p_s), and by 1 - beta to KL(p_s || p_t);
//! there the loss is that forward and that reverse KL, as in public code.

use super::kd;
use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry. The paper's loss sees no labels.
pub const SPEC: MethodSpec = MethodSpec {
    name: "jsd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "generalised Jensen-Shannon divergence, forward KL (beta 0) to reverse KL (beta 1)",
    formula: "T^2 * (beta * KL(p_t || m) + (1 - beta) * KL(p_s || m)), m = beta * p_t + (1 - beta) * p_s; \
              beta 0: T^2 * KL(p_t || p_s); beta 1: T^2 * KL(p_s || p_t)",
    paper: "Agarwal et al. 2306.13649, at T = 1; the T^2 is the convention here",
    settings: &[
        Setting::share("beta", 0.5, "the teacher's share of the mixture"),
        Setting::positive("temperature", 1.0, "softens both distributions"),
        LOGITS,
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 1.0,
    ce_weight: 0.0,
    build: |values| {
        parameterless(Jsd { beta: values.number("beta")?, temperature: values.number("temperature")? })
    },
};

#[derive(Debug, Clone)]
struct Jsd {
    beta: f32,
    temperature: f32,
}

impl Loss for Jsd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        if self.beta == 0.0 {
            return kd::soft_targets(seen, self.temperature);
        }
        let log = |z: &Tensor| z.scale(1.0 / self.temperature)?.log_softmax(1);
        let rows = seen.rows()?;
        let (student, teacher) = (log(&rows.student)?, log(&rows.teacher)?);
        let (ratio, share, by_teacher) = if self.beta == 1.0 {
            (student.sub(&teacher)?, 1.0, None)
        } else {
            let by_teacher = teacher.exp()?.mul(&to_mixture(&teacher, &student, self.beta)?)?;
            (to_mixture(&student, &teacher, 1.0 - self.beta)?, 1.0 - self.beta, Some(by_teacher))
        };
        let mut elements = student.exp()?.mul(&ratio)?.scale(share)?;
        if let Some(by_teacher) = by_teacher {
            elements = elements.add(&by_teacher.scale(self.beta)?)?;
        }
        // The value of the divergence, with the gradient of its slope.
        let slope = slope(&student, &ratio)?.scale(share)?;
        let elements = elements.detach()?.add(&slope.sub(&slope.detach()?)?)?;
        rows.mean(&elements.sum(&[1], false)?)?.scale(self.temperature.powi(2))
    }
}

/// log(p / (share * p + (1 - share) * q)) from log p and log q, (N, C): exact also where one is far above the other.
fn to_mixture(log_p: &Tensor, log_q: &Tensor, share: f32) -> Result<Tensor> {
    let odds = ((1.0 - share) / share).ln();
    log_q.sub(log_p)?.add_scalar(odds)?.softplus()?.scale(-1.0)?.add_scalar(-share.ln())
}

/// What has the gradient of the whole divergence over p_s, but for its share: p_s (r - r_top), with r = log(p_s / m) as a
/// constant, since what r's own gradients add up to is zero. Where a student is sure, r_top may be -100, and the gradient a
/// small difference of such numbers; a shift of a row's r by a constant leaves it, as p_s sums to 1.
fn slope(student: &Tensor, ratio: &Tensor) -> Result<Tensor> {
    let ratio = ratio.detach()?;
    let top = student.argmax(1)?.one_hot(student.dims()[1])?;
    let shift = top.mul(&ratio)?.sum(&[1], true)?;
    student.exp()?.mul(&ratio.sub(&shift)?)
}
