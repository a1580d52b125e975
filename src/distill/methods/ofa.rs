//! One-for-all (OFA-KD, Hao et al. 2310.19444): student and teacher of any kind meet in logits. Of the
//! student's logits, and of an exit at each of its tapped stages, the mean over labelled samples of -sum_c
//! ((p_t,c + [c = y])^eps - [c = y]) * log p_s,c, with p = softmax(z / T).
//!
//! An exit is, as in the authors' code, a separable convolution of stride 2 for each stage that follows (each
//! doubles the channels, up to the larger width of both networks' deepest stages, which the last one has), or
//! for the deepest stage a 1x1 convolution to that width, then the mean over pixels and a linear layer. Flat
//! features, (N, C), have a linear layer alone; the authors' transformer blocks are for students that limbeck
//! does not have. Exits are the method's own parameters.

use crate::Result;
use crate::distill::features::channels;
use crate::distill::logits::LOGITS;
use crate::distill::rows::Labels;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features,
};
use crate::nn::{BatchNorm, Conv, Forward, Init, Linear, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;

/// The list entry. The authors' eps is 1 for CIFAR-100 and 1.1 to 1.5 for some ImageNet pairs.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ofa",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "the student's logits and exits on its stages learn the teacher's, label-raised",
    formula: "sum over logits and exits of -mean of sum_c ((p_t,c + [c = y])^eps - [c = y]) * log p_s,c, \
              p = softmax(z / T)",
    paper: "Hao et al. 2310.19444, exits of convolutional students as in their code",
    settings: &[
        Setting::positive("eps", 1.0, "raises the label's share above 1; theirs is 1 to 1.5"),
        Setting::positive("temperature", 1.0, "softens both distributions; there is no factor T^2"),
        LOGITS,
    ],
    taps: TapNeed::Stages,
    reads: &[Need::Logits, Need::Labels, Need::Taps],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        Ok(Box::new(Ofa { eps: values.number("eps")?, temperature: values.number("temperature")? }))
    },
};

#[derive(Debug, Clone, Copy)]
struct Ofa {
    eps: f32,
    temperature: f32,
}

struct Exits {
    ofa: Ofa,
    /// One a pair of taps.
    exits: Vec<Exit>,
}

impl Method for Ofa {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let tapped = if seen.taps.is_empty() { Vec::new() } else { seen.tapped()? };
        let mut deepest = 0;
        for (teacher, student) in &tapped {
            deepest = channels("ofa", teacher)?.max(channels("ofa", student)?);
        }
        let classes = seen.rows()?.classes("ofa")?;
        let mut exit = |(index, (_, student)): (usize, &(Tensor, Tensor))| {
            let at = at.sub(format!("exit{index}"));
            Exit::new(at, student, tapped.len() - 1 - index, deepest, classes)
        };
        let exits = tapped.iter().enumerate().map(&mut exit).collect();
        Ok(Box::new(Exits { ofa: *self, exits }))
    }
}

impl Loss for Exits {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        let labels = Labels::of(rows, rows.classes("ofa")?)?;
        let targets = self.ofa.targets(&rows.teacher, &labels)?;
        let loss = |logits: &Tensor| {
            let log = logits.scale(1.0 / self.ofa.temperature)?.log_softmax(1)?;
            labels.mean(&targets.mul(&log)?.sum(&[1], false)?)?.scale(-1.0)
        };
        let mut sum = loss(&rows.student)?;
        for ((_, guided), exit) in seen.taps.iter().zip(&self.exits) {
            let exit = rows.with_student("ofa", exit.forward(own, &seen.student.tap(guided)?)?)?;
            sum = sum.add(&loss(&exit.student)?)?;
        }
        Ok(sum)
    }
}

impl Ofa {
    /// (p + [c = y])^eps - [c = y], (N, C). Powers by logarithms: that of p comes from the logits, and can't
    /// be of 0.
    fn targets(&self, teacher: &Tensor, labels: &Labels) -> Result<Tensor> {
        let log = teacher.scale(1.0 / self.temperature)?.log_softmax(1)?;
        let other = log.scale(self.eps)?.exp()?.mul(&labels.others()?)?;
        let label = log.exp()?.add_scalar(1.0)?.log()?.scale(self.eps)?.exp()?.add_scalar(-1.0)?;
        other.add(&label.mul(&labels.hot)?)
    }
}

/// From a stage to logits.
struct Exit {
    body: Body,
    linear: Linear,
}

enum Body {
    Flat,
    Widen(Conv),
    Shrink(Vec<Separable>),
}

impl Exit {
    /// For a stage that `after` stages follow, of which the widest of both networks has `deepest` channels.
    fn new(mut at: ParamBuilder<'_>, stage: &Tensor, after: usize, deepest: usize, classes: usize) -> Self {
        let channels = stage.dims()[1];
        let (body, width) = match (stage.dims().len(), after) {
            (4, 0) => (Body::Widen(conv(at.sub("widen"), channels, deepest, 1, 1, 1, true)), deepest),
            (4, _) => {
                let (mut blocks, mut c_in) = (Vec::new(), channels);
                for block in 1..=after {
                    let c_out = if block == after { deepest } else { (2 * c_in).min(deepest.max(c_in)) };
                    blocks.push(Separable::new(at.sub(block - 1), c_in, c_out));
                    c_in = c_out;
                }
                (Body::Shrink(blocks), deepest)
            }
            _ => (Body::Flat, channels),
        };
        // The authors' values; their normal distribution is cut off at 100 deviations.
        let init = Init::Normal(0.02);
        let linear = Linear::with_init(at.sub("linear"), width, classes, init, Some(Init::Constant(0.0)));
        Self { body, linear }
    }

    fn forward(&self, own: &Forward<'_>, stage: &Tensor) -> Result<Tensor> {
        let map = match &self.body {
            Body::Flat => stage.clone(),
            Body::Widen(conv) => conv.forward(own, stage)?,
            Body::Shrink(blocks) => blocks.iter().try_fold(stage.clone(), |x, b| b.forward(own, &x))?,
        };
        self.linear.forward(own, &features::embedding(&map)?)
    }
}

/// Two depthwise 3x3 convolutions, the first of stride 2, each with a 1x1 convolution, batch norm and relu
/// after it: (N, c_in, H, W) to (N, c_out, H / 2, W / 2), rounded up.
struct Separable([(Conv, Conv, BatchNorm); 2]);

impl Separable {
    fn new(mut at: ParamBuilder<'_>, c_in: usize, c_out: usize) -> Self {
        let mut half = |name: &str, c_out: usize, stride: usize| {
            let mut at = at.sub(name);
            let depth = conv(at.sub("depth"), c_in, c_in, 3, stride, c_in, false);
            let point = conv(at.sub("point"), c_in, c_out, 1, 1, 1, false);
            (depth, point, BatchNorm::new(at.sub("norm"), c_out))
        };
        Self([half("first", c_in, 2), half("second", c_out, 1)])
    }

    fn forward(&self, own: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, (depth, point, norm)| {
            norm.forward(own, &point.forward(own, &depth.forward(own, &x)?)?)?.relu()
        })
    }
}

fn conv(
    at: ParamBuilder<'_>,
    c_in: usize,
    c_out: usize,
    k: usize,
    stride: usize,
    groups: usize,
    bias: bool,
) -> Conv {
    let config = Conv2d { groups, ..Conv2d::square(stride, k / 2) };
    let bias = bias.then_some(Init::Uniform { fan_in: c_in / groups * k * k });
    Conv::with_init(at, c_in, c_out, k, config, Init::KaimingNormalFanOut, bias)
}
