//! Variational information distillation (Ahn et al. 1904.05835): the teacher's features as a Gaussian whose
//! mean a regressor predicts from the student's, with a variance a channel.
//!
//! 1/2 mean of (m(f_s) - f_t)^2 / v_c + log v_c, with v_c = softplus(a_c) + eps, eps 1e-5, v_c = 5 at the
//! start. m is three 1x1 convolutions of the teacher's width without bias, relu between (linear layers for
//! flat features). A larger map is pooled to the smaller one's size. Summed over the pairs of taps.

use crate::Result;
use crate::distill::regressor::Regressor;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, loss,
};
use crate::nn::{Forward, Init, ParamBuilder, ParamId};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "vid",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "mutual information of features, by a Gaussian with learned mean and variance",
    formula: "sum over taps of 1/2 mean ((m(f_s) - f_t)^2 / v_c + log v_c), v_c = softplus(a_c) + 1e-5",
    paper: "Ahn et al. 1904.05835",
    settings: &[Setting::within("variance", 5.0, [1e-4, 80.0], "v_c at the start")],
    taps: TapNeed::Stages,
    reads: &[Need::Taps],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| Ok(Box::new(Vid { variance: values.number("variance")? })),
};

const EPS: f32 = 1e-5;

#[derive(Debug)]
struct Vid {
    variance: f32,
}

/// One pair of taps.
struct Gaussian {
    mean: [Regressor; 3],
    /// a (C).
    scale: ParamId,
}

impl Gaussian {
    fn new(mut at: ParamBuilder<'_>, teacher: &Tensor, student: &Tensor, variance: f32) -> Self {
        let (c_s, c_t) = (student.dims()[1], teacher.dims()[1]);
        let mean = [0, 1, 2].map(|layer| {
            let c_in = if layer == 0 { c_s } else { c_t };
            Regressor::new(at.sub(layer), student, c_in, c_t, false)
        });
        // The inverse of softplus, in f64: its argument may be as large as the variance.
        let inverse = f64::from(variance - EPS).exp_m1().ln() as f32;
        Self { mean, scale: at.weight("scale", [c_t], Init::Constant(inverse), true) }
    }

    fn loss(&self, own: &Forward<'_>, teacher: &Tensor, student: &Tensor) -> Result<Tensor> {
        let hidden = self.mean[0].forward(own, student)?.relu()?;
        let hidden = self.mean[1].forward(own, &hidden)?.relu()?;
        let mean = self.mean[2].forward(own, &hidden)?;
        let variance = own.param(self.scale)?.softplus()?.add_scalar(EPS)?;
        let mut shape = vec![1; teacher.dims().len()];
        shape[1] = teacher.dims()[1];
        let distance = mean.sub(teacher)?.square()?.div(&variance.reshape(shape)?)?;
        features::mean(&distance)?.add(&features::mean(&variance.log()?)?)?.scale(0.5)
    }
}

impl Method for Vid {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        features::expect_alike("vid", seen)?;
        let mut gaussian = |(index, (teacher, student)): (usize, &(Tensor, Tensor))| {
            Gaussian::new(at.sub(format!("gaussian{index}")), teacher, student, self.variance)
        };
        let gaussians: Vec<_> = seen.tapped()?.iter().enumerate().map(&mut gaussian).collect();
        loss(move |seen, own| {
            features::sum_over_taps(seen, |index, teacher, student| {
                let (teacher, student) = features::same_size(teacher, student)?;
                gaussians[index].loss(own, &teacher, &student)
            })
        })
    }
}
