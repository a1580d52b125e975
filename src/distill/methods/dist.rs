//! Relations of predictions (DIST, Huang et al. 2205.10536), with p = softmax(z / T) and rho Pearson's correlation:
//! T^2 * (beta * (1 - mean over samples of rho(p_s,i, p_t,i)) + gamma * (1 - mean over classes of rho(p_s,.c, p_t,.c))).

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{
    Family, Knowledge, LogitRows, Loss, MethodContext, MethodSpec, Need, Setting, TEMPERATURE, TapNeed,
    parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry; for ImageNet the paper has T = 1.
pub const SPEC: MethodSpec = MethodSpec {
    name: "dist",
    family: Family::Activation,
    knowledge: Knowledge::Relation,
    about: "correlation of predictions, between classes of a sample and samples of a class",
    formula: "T^2 * (beta * (1 - mean_i rho(p_s,i, p_t,i)) + gamma * (1 - mean_c rho(p_s,.c, p_t,.c))), rho Pearson",
    paper: "Huang et al. 2205.10536; T is 1 for ImageNet. Their code adds 1e-8 to the product of the norms, here each \
            norm is at least 1e-8",
    settings: &[
        TEMPERATURE,
        Setting::from_zero("beta", 2.0, "weight of the relation between classes"),
        Setting::from_zero("gamma", 2.0, "weight of the relation between samples"),
        LOGITS,
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [temperature, beta, gamma] = values.numbers(["temperature", "beta", "gamma"])?;
        parameterless(Dist { temperature, beta, gamma })
    },
};

#[derive(Debug, Clone)]
struct Dist {
    temperature: f32,
    beta: f32,
    gamma: f32,
}

impl Loss for Dist {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        let probabilities = |z: &Tensor| z.scale(1.0 / self.temperature)?.softmax(1);
        let (student, teacher) = (probabilities(&rows.student)?, probabilities(&rows.teacher)?);
        let between_classes = by_rows(rows, &student, &teacher)?;
        let between_samples = by_columns(rows, &student, &teacher)?;
        let sum = between_classes.scale(self.beta)?.add(&between_samples.scale(self.gamma)?)?;
        sum.scale(self.temperature.powi(2))
    }
}

/// 1 - the mean of the rows' correlations: the cosine loss of centred rows.
fn by_rows(rows: &LogitRows, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (a, b) = (centred(a)?, centred(b)?);
    if rows.weights.is_none() {
        return a.cosine_loss(&b);
    }
    let correlations = a.normalize()?.mul(&b.normalize()?)?.sum(&[1], false)?;
    rows.mean(&correlations.scale(-1.0)?.add_scalar(1.0)?)
}

/// 1 - the mean of the columns' correlations, in which a row counts by its weight.
fn by_columns(rows: &LogitRows, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (a, b) = (a.transpose(0, 1)?, b.transpose(0, 1)?);
    let (Some(weights), Some(total)) = (&rows.weights, rows.total()?) else {
        return centred(&a)?.cosine_loss(&centred(&b)?);
    };
    let weights = weights.reshape([1, weights.dims()[0]])?;
    let scaled = |x: &Tensor| {
        let mean = x.mul(&weights)?.sum(&[1], true)?.div(&total)?;
        x.sub(&mean)?.mul(&weights.sqrt()?)
    };
    scaled(&a)?.cosine_loss(&scaled(&b)?)
}

/// Rows less their mean.
fn centred(x: &Tensor) -> Result<Tensor> {
    x.sub(&x.mean(&[1], true)?)
}
