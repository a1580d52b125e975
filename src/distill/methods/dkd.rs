//! Decoupled distillation (Zhao et al. 2203.08679): T^2 * (alpha * TCKD + beta * NCKD), the mean over labelled samples.
//!
//! With y the label and p = softmax(z / T): TCKD is the KL of the pair (p_y, 1 - p_y), NCKD the KL of the softmax over the
//! classes other than y. The mask is of the true label, not of the teacher's first class, as both paper and code have it.
//! The code takes log(p) of masked probabilities for TCKD; here log p_y and log(1 - p_y) come from logits, so that a sure
//! network gives no log(0).

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::rows::Labels;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TEMPERATURE, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "dkd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets in two parts: confidence in the label, distribution over other classes",
    formula: "T^2 * (alpha * KL((p_t,y, 1 - p_t,y) || (p_s,y, 1 - p_s,y)) \
              + beta * KL(softmax(z_t,c!=y / T) || softmax(z_s,c!=y / T)))",
    paper: "Zhao et al. 2203.08679. The class masked is the label, not the teacher's first; beta 2, 6 or 8 by pair; \
            the authors warm up over 20 of 240 epochs: warmup=0.083",
    settings: &[
        TEMPERATURE,
        Setting::from_zero("alpha", 1.0, "weight of the label's part (TCKD)"),
        Setting::from_zero("beta", 8.0, "weight of the other classes' part (NCKD)"),
        LOGITS,
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits, Need::Labels],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [temperature, alpha, beta] = values.numbers(["temperature", "alpha", "beta"])?;
        parameterless(Dkd { temperature, alpha, beta })
    },
};

/// What is taken from the label's logit to leave it out of a softmax.
const MASK: f32 = -1e4;

#[derive(Debug, Clone)]
struct Dkd {
    temperature: f32,
    alpha: f32,
    beta: f32,
}

/// One side's distributions, in logarithms.
struct LabelSplit {
    /// log p_y (N).
    label: Tensor,
    /// log(1 - p_y) (N).
    rest: Tensor,
    /// log softmax over the classes other than y (N, C); about [`MASK`] at y.
    others: Tensor,
}

impl LabelSplit {
    fn of(z: &Tensor, labels: &Labels) -> Result<Self> {
        let others = z.add(&labels.hot.scale(MASK)?)?.log_softmax(1)?;
        let all = z.log_softmax(1)?;
        // log p_c = log(1 - p_y) + log softmax over the others, for every other class: the mean of the difference.
        let gap = all.sub(&others)?.mul(&labels.others()?)?.sum(&[1], false)?;
        let rest = gap.scale(1.0 / (z.dims()[1] - 1) as f32)?;
        Ok(Self { label: labels.pick(&all)?, rest, others })
    }
}

impl Loss for Dkd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        let labels = Labels::of(rows, rows.classes("dkd")?)?;
        let split = |z: &Tensor| LabelSplit::of(&z.scale(1.0 / self.temperature)?, &labels);
        let (student, teacher) = (split(&rows.student)?, split(&rows.teacher)?);
        let tckd = relative_entropy(&teacher.label, &student.label)?
            .add(&relative_entropy(&teacher.rest, &student.rest)?)?;
        let nckd = relative_entropy(&teacher.others, &student.others)?.sum(&[1], false)?;
        let each = tckd.scale(self.alpha)?.add(&nckd.scale(self.beta)?)?;
        labels.mean(&each)?.scale(self.temperature.powi(2))
    }
}

/// exp(log_t) * (log_t - log_s), element by element.
pub(super) fn relative_entropy(log_t: &Tensor, log_s: &Tensor) -> Result<Tensor> {
    log_t.exp()?.mul(&log_t.sub(log_s)?)
}
