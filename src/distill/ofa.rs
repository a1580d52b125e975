//! One-for-all (OFA-KD, Hao et al. 2310.19444): student and teacher of any kind meet in logits. Of the student's logits,
//! and of an exit at each of its tapped stages, the mean over labelled samples of
//! -sum_c ((p_t,c + [c = y])^eps - [c = y]) * log p_s,c, with p = softmax(z).
//!
//! An exit is a global average of the map and a linear layer, which are the method's own parameters. The authors' exits have
//! separable convolutions (or a transformer block) before that.

use super::logits::{LOGITS, Labels, at_least_two};
use super::{Family, Method, MethodSpec, Pair, Setting, TapNeed, features};
use crate::Result;
use crate::nn::{Forward, Linear, ParamBuilder};
use crate::tape::Tensor;

/// The list entry. The authors' eps is 1 for CIFAR-100 and 1.1 to 1.5 for some ImageNet pairs.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ofa",
    family: Family::Activation,
    about: "logits and exits of the student's stages learn the teacher's prediction, the label's share raised",
    formula: "sum over logits and exits of -mean of sum_c ((p_t,c + [c = y])^eps - [c = y]) * log p_s,c",
    paper: "Hao et al. 2310.19444. Their exits have separable convolutions or a transformer block, here a global average \
            and a linear layer",
    settings: &[
        Setting::positive("eps", 1.0, "raises the label's share above 1; theirs is 1 to 1.5"),
        LOGITS,
    ],
    taps: TapNeed::Stages,
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| Box::new(Ofa { eps: values.number("eps"), exits: Vec::new() }),
};

struct Ofa {
    eps: f32,
    exits: Vec<Linear>,
}

impl Method for Ofa {
    fn prepare(&mut self, pair: &Pair<'_>, mut at: ParamBuilder<'_>) -> Result<()> {
        let classes = pair.student_logits.dims()[1];
        for (index, (_, guided)) in pair.taps.iter().enumerate() {
            let channels = features::embedding(&pair.student.tap(guided)?)?.dims()[1];
            self.exits.push(Linear::new(at.sub(format!("exit{index}")), channels, classes, true));
        }
        Ok(())
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let classes = at_least_two("ofa", pair.student_logits)?;
        let labels = Labels::of(pair, classes)?;
        let targets = self.targets(pair.teacher_logits, &labels)?;
        let loss = |logits: &Tensor| {
            labels.mean(&targets.mul(&logits.log_softmax(1)?)?.sum(&[1], false)?)?.scale(-1.0)
        };
        let mut sum = loss(pair.student_logits)?;
        for ((_, guided), exit) in pair.taps.iter().zip(&self.exits) {
            let features = features::embedding(&pair.student.tap(guided)?)?;
            sum = sum.add(&loss(&exit.forward(own, &features)?)?)?;
        }
        Ok(sum)
    }
}

impl Ofa {
    /// (p + [c = y])^eps - [c = y], (N, C). Powers by logarithms: that of p comes from the logits, and can't be of 0.
    fn targets(&self, teacher: &Tensor, labels: &Labels) -> Result<Tensor> {
        let log = teacher.log_softmax(1)?;
        let other = log.scale(self.eps)?.exp()?.mul(&labels.others()?)?;
        let label = log.exp()?.add_scalar(1.0)?.log()?.scale(self.eps)?.exp()?.add_scalar(-1.0)?;
        other.add(&label.mul(&labels.hot)?)
    }
}
