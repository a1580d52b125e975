//! Weighted soft labels (Zhou et al. 2102.00650): T^2 * mean over labelled samples of
//! (1 - exp(-CE(z_s, y) / CE(z_t, y))) * -sum_c p_t,c log p_s,c, with p = softmax(z / T). The weight, of plain logits, has
//! no gradient; it is small where the student is surer of the label than the teacher.

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::rows::Labels;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "wsld",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets, weighted down where the student is surer of the label than the teacher",
    formula: "T^2 * mean of (1 - exp(-CE(z_s, y) / CE(z_t, y))) * -sum_c p_t,c log p_s,c, p = softmax(z / T)",
    paper: "Zhou et al. 2102.00650. The denominator has 1e-7 more, as in the authors' code, which takes the cross-entropy \
            of the soft labels where the paper writes of KL: the gradient is the same",
    settings: &[Setting::positive("temperature", 2.0, "softens both distributions"), LOGITS],
    taps: TapNeed::None,
    reads: &[Need::Logits, Need::Labels],
    weight: 2.5,
    ce_weight: 1.0,
    build: |values| parameterless(Wsld { temperature: values.number("temperature")? }),
};

#[derive(Debug, Clone)]
struct Wsld {
    temperature: f32,
}

impl Loss for Wsld {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        let labels = Labels::of(rows, rows.classes("wsld")?)?;
        let student = cross_entropy(&rows.student.detach()?, &labels)?;
        let teacher = cross_entropy(&rows.teacher, &labels)?.add_scalar(1e-7)?;
        let weight = student.div(&teacher)?.scale(-1.0)?.exp()?.scale(-1.0)?.add_scalar(1.0)?;
        let cooled = |z: &Tensor| z.scale(1.0 / self.temperature);
        let targets = cooled(&rows.teacher)?.softmax(1)?;
        let each = targets.mul(&cooled(&rows.student)?.log_softmax(1)?)?.sum(&[1], false)?;
        labels.mean(&each.mul(&weight)?)?.scale(-self.temperature.powi(2))
    }
}

/// -log p_y by row, (N), as log(1 + (1 - p_y) / p_y): the ratio of two of them must be right also where p_y is nearly 1.
fn cross_entropy(z: &Tensor, labels: &Labels) -> Result<Tensor> {
    let log = z.log_softmax(1)?;
    let rest = log.exp()?.mul(&labels.others()?)?.sum(&[1], false)?;
    rest.add_scalar(1e-30)?.log()?.sub(&labels.pick(&log)?)?.softplus()
}
