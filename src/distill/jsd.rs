//! Generalised Jensen-Shannon divergence (Agarwal et al. 2306.13649), with p = softmax(z / T) and
//! m = beta * p_t + (1 - beta) * p_s: T^2 * (beta * KL(p_t || m) + (1 - beta) * KL(p_s || m)), batch-mean.
//!
//! At beta = 0 and 1 that is zero everywhere. Divided by beta it tends to KL(p_t || p_s), and by 1 - beta to KL(p_s || p_t);
//! there the loss is that forward and that reverse KL, as in public code.

use super::dkd::relative_entropy;
use super::logits::LOGITS;
use super::{Family, Method, MethodSpec, Pair, Setting, TapNeed, kd};
use crate::Result;
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry. The paper's loss sees no labels.
pub const SPEC: MethodSpec = MethodSpec {
    name: "jsd",
    family: Family::Activation,
    about: "generalised Jensen-Shannon divergence, from forward KL (beta 0) to reverse KL (beta 1)",
    formula: "T^2 * (beta * KL(p_t || m) + (1 - beta) * KL(p_s || m)), m = beta * p_t + (1 - beta) * p_s; \
              beta 0: T^2 * KL(p_t || p_s); beta 1: T^2 * KL(p_s || p_t)",
    paper: "Agarwal et al. 2306.13649, at T = 1; the T^2 is the convention here",
    settings: &[
        Setting::share("beta", 0.5, "the teacher's share of the mixture"),
        Setting::positive("temperature", 1.0, "softens both distributions"),
        LOGITS,
    ],
    taps: TapNeed::None,
    weight: 1.0,
    ce_weight: 0.0,
    build: |values| Box::new(Jsd { beta: values.number("beta"), temperature: values.number("temperature") }),
};

struct Jsd {
    beta: f32,
    temperature: f32,
}

impl Method for Jsd {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        if self.beta == 0.0 {
            return kd::soft_targets(pair, self.temperature);
        }
        let log = |z: &Tensor| z.scale(1.0 / self.temperature)?.log_softmax(1);
        let (student, teacher) = (log(pair.student_logits)?, log(pair.teacher_logits)?);
        let elements = if self.beta == 1.0 {
            relative_entropy(&student, &teacher)?
        } else {
            let mixture = self.mixture(&student, &teacher)?;
            let by_teacher = relative_entropy(&teacher, &mixture)?.scale(self.beta)?;
            by_teacher.add(&relative_entropy(&student, &mixture)?.scale(1.0 - self.beta)?)?
        };
        elements.sum(&[1], false)?.mean(&[0], false)?.scale(self.temperature.powi(2))
    }
}

impl Jsd {
    /// log(beta * p_t + (1 - beta) * p_s) from logarithms, (N, C).
    fn mixture(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let teacher = teacher.add_scalar(self.beta.ln())?;
        let student = student.add_scalar((1.0 - self.beta).ln())?;
        student.sub(&teacher)?.softplus()?.add(&teacher)
    }
}
