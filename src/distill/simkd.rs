//! The teacher's classifier reused (SimKD, Chen et al. 2203.14001): mean (p(f_s) - f_t)^2 of the last maps,
//! with a projector p: 1x1 convolution to C_t / factor, 3x3 convolution, 1x1 convolution to C_t, each without
//! bias and followed by batch norm and relu. A larger map is pooled to the smaller one's size.
//!
//! With `classifier` above 0 the cross-entropy of W mean_hw(p(f_s)) + b with the labels is added, W and b
//! being the teacher's own, frozen: the authors' `-c`, which they leave at 0.
//!
//! The paper deploys p and the teacher's classifier with the student. Here a student is a network of its own
//! architecture: its own classifier learns beside it, by the task's cross-entropy (what the paper calls joint
//! training), and p stays behind.

use super::{Family, Method, MethodSpec, Pair, Setting, TapNeed, TeacherPass, features};
use crate::data::IGNORE_LABEL;
use crate::nn::{BatchNorm, Conv, Forward, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::ops::cross_entropy::CrossEntropy;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "simkd",
    family: Family::Feature,
    about: "the last maps through a projector, aligned for the teacher's own classifier",
    formula: "sum over taps of mean (p(f_s) - f_t)^2 + classifier * CE(W_t mean_hw(p(f_s)) + b_t, y)",
    paper: "Chen et al. 2203.14001",
    settings: &[
        Setting::count("factor", 2, [1, 64], "how much narrower the projector is than the teacher"),
        Setting::from_zero("classifier", 0.0, "weight of the teacher's classifier on projected features"),
    ],
    taps: TapNeed::Last,
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        Box::new(SimKd {
            factor: values.count("factor"),
            classifier: values.number("classifier"),
            projectors: Vec::new(),
        })
    },
};

struct SimKd {
    factor: usize,
    classifier: f32,
    projectors: Vec<[(Conv, BatchNorm); 3]>,
}

impl Method for SimKd {
    fn prepare(&mut self, pair: &Pair<'_>, mut at: ParamBuilder<'_>) -> Result<()> {
        features::expect_maps("simkd", pair)?;
        for (index, (teacher, student)) in pair.tapped()?.iter().enumerate() {
            let mut at = at.sub(format!("projector{index}"));
            let (c_s, c_t) = (student.dims()[1], teacher.dims()[1]);
            let narrow = (c_t / self.factor).max(1);
            let mut layer = |i: usize, c_in, c_out, kernel: usize| {
                let config = Conv2d::square(1, kernel / 2);
                let conv = Conv::new(at.sub(format!("conv{i}")), c_in, c_out, kernel, config, false);
                (conv, BatchNorm::new(at.sub(format!("bn{i}")), c_out))
            };
            self.projectors.push([
                layer(1, c_s, narrow, 1),
                layer(2, narrow, narrow, 3),
                layer(3, narrow, c_t, 1),
            ]);
        }
        Ok(())
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(pair, |index, teacher, student| {
            let (teacher, student) = features::same_size(teacher, student)?;
            let projected = self.projectors[index]
                .iter()
                .try_fold(student, |x, (conv, norm)| norm.forward(own, &conv.forward(own, &x)?)?.relu())?;
            let loss = projected.mse_loss(&teacher)?;
            if self.classifier == 0.0 {
                return Ok(loss);
            }
            loss.add(&classified(pair, &projected)?.scale(self.classifier)?)
        })
    }
}

/// Cross-entropy of the teacher's classifier on projected maps.
fn classified(pair: &Pair<'_>, projected: &Tensor) -> Result<Tensor> {
    let [classes, c_t] = [pair.teacher_logits.dims()[1], projected.dims()[1]];
    let (weight, bias) = classifier(pair.teacher, classes, c_t)?;
    let logits = features::embedding(projected)?.linear(&weight, bias.as_ref())?;
    logits.cross_entropy(pair.labels, &CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: 0.0 })
}

/// The teacher's last linear layer, which must take the projected features as they are: weight (classes,
/// C_t), bias.
fn classifier(teacher: &TeacherPass<'_>, classes: usize, c_t: usize) -> Result<(Tensor, Option<Tensor>)> {
    let TeacherPass::Live { params, .. } = teacher else {
        let message = "classifier above 0 needs the teacher itself; its outputs on disk hold no weights";
        return Err(Error::config("simkd", message));
    };
    let last = params.iter().filter(|p| p.shape.rank() == 2).last();
    let found = last.filter(|p| p.shape.dims() == [classes, c_t]).ok_or_else(|| {
        let expected =
            format!("a teacher that ends in a linear layer ({classes}, {c_t}) on the tapped channels");
        let got = last.map_or("none".to_string(), |p| format!("{} {}", p.name, p.shape));
        Error::shape("simkd", expected, got)
    })?;
    let bias = found.name.strip_suffix("weight").map(|path| format!("{path}bias"));
    let bias = bias.filter(|name| params.find(name).is_some());
    Ok((teacher.param(&found.name)?, bias.map(|name| teacher.param(&name)).transpose()?))
}
