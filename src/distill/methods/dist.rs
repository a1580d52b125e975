//! Relations of predictions (DIST, Huang et al. 2205.10536), with p = softmax(z / T) and rho Pearson's correlation:
//! T^2 * (beta * (1 - mean over samples of rho(p_s,i, p_t,i)) + gamma * (1 - mean over classes of rho(p_s,.c, p_t,.c))).

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{Family, Method, MethodSpec, Pair, Setting, TEMPERATURE, TapNeed};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry; for ImageNet the paper has T = 1.
pub const SPEC: MethodSpec = MethodSpec {
    name: "dist",
    family: Family::Activation,
    about: "correlation of predictions, between the classes of a sample and between the samples of a class",
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
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [temperature, beta, gamma] = ["temperature", "beta", "gamma"].map(|name| values.number(name));
        Box::new(Dist { temperature, beta, gamma })
    },
};

struct Dist {
    temperature: f32,
    beta: f32,
    gamma: f32,
}

impl Method for Dist {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let probabilities = |z: &Tensor| z.scale(1.0 / self.temperature)?.softmax(1);
        let (student, teacher) = (probabilities(pair.student_logits)?, probabilities(pair.teacher_logits)?);
        let between_classes = uncorrelated(&student, &teacher)?;
        let between_samples = uncorrelated(&student.transpose(0, 1)?, &teacher.transpose(0, 1)?)?;
        let sum = between_classes.scale(self.beta)?.add(&between_samples.scale(self.gamma)?)?;
        sum.scale(self.temperature.powi(2))
    }
}

/// 1 - the mean of the rows' correlations: the cosine loss of centred rows.
fn uncorrelated(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let centred = |x: &Tensor| x.sub(&x.mean(&[1], true)?);
    centred(a)?.cosine_loss(&centred(b)?)
}
