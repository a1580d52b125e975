//! Features: MSE between the teacher's hint and the student's guided layer, through a learned regressor where widths
//! differ (FitNets, Romero et al. 1412.6550). The regressor is a 1x1 convolution, or a linear layer for flat features;
//! a larger map is pooled to the smaller one's size.

use super::{Family, Method, MethodSpec, Pair, TapNeed, sum_of};
use crate::nn::{Conv, Forward, Linear, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "feature",
    family: Family::Feature,
    about: "distance between features at tapped layers, through a learned regressor where widths differ",
    formula: "sum over taps of mean (r(f_s) - f_t)^2",
    paper: "Romero et al. 1412.6550",
    settings: &[],
    taps: TapNeed::Last,
    weight: 1.0,
    ce_weight: 1.0,
    build: |_| Box::new(Feature::default()),
};

/// One regressor a tap pair; `None` where the widths are equal.
#[derive(Default)]
pub(super) struct Feature {
    regressors: Vec<Option<Regressor>>,
}

enum Regressor {
    Conv(Conv),
    Linear(Linear),
}

impl Method for Feature {
    fn prepare(&mut self, pair: &Pair<'_>, mut at: ParamBuilder<'_>) -> Result<()> {
        for (index, ((teacher, student), (hint, guided))) in pair.tapped()?.iter().zip(pair.taps).enumerate()
        {
            let at = at.sub(format!("regressor{index}"));
            self.regressors.push(match (student.dims(), teacher.dims()) {
                ([_, c_s, ..], [_, c_t, ..]) if student.dims().len() != teacher.dims().len() => {
                    let got = format!(
                        "{guided} with {c_s} channels {:?}, {hint} with {c_t} {:?}",
                        student.dims(),
                        teacher.dims()
                    );
                    return Err(Error::shape("feature", "two maps or two flat features", got));
                }
                ([_, c_s, ..], [_, c_t, ..]) if c_s == c_t => None,
                ([_, c_s, _, _], [_, c_t, _, _]) => {
                    Some(Regressor::Conv(Conv::new(at, *c_s, *c_t, 1, Conv2d::default(), true)))
                }
                ([_, c_s], [_, c_t]) => Some(Regressor::Linear(Linear::new(at, *c_s, *c_t, true))),
                (other, _) => {
                    let expected = "features (N, C) or (N, C, H, W)";
                    return Err(Error::shape("feature", expected, format!("{guided} {other:?}")));
                }
            });
        }
        Ok(())
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        sum_of(pair.tapped()?.iter().zip(&self.regressors).map(|((teacher, student), regressor)| {
            let (teacher, student) = same_size(teacher, student)?;
            let student = match regressor {
                None => student,
                Some(Regressor::Conv(conv)) => conv.forward(own, &student)?,
                Some(Regressor::Linear(linear)) => linear.forward(own, &student)?,
            };
            let difference = student.sub(&teacher)?.square()?;
            let axes: Vec<usize> = (0..difference.dims().len()).collect();
            difference.mean(&axes, false)
        }))
    }
}

/// Pools the larger map to the smaller one's height and width.
pub(super) fn same_size(teacher: &Tensor, student: &Tensor) -> Result<(Tensor, Tensor)> {
    let (&[_, _, h_t, w_t], &[_, _, h_s, w_s]) = (teacher.dims(), student.dims()) else {
        return Ok((teacher.clone(), student.clone()));
    };
    let size = [h_t.min(h_s), w_t.min(w_s)];
    let fit = |t: &Tensor| if t.dims()[2..] == size { Ok(t.clone()) } else { t.adaptive_avg_pool2d(size) };
    Ok((fit(teacher)?, fit(student)?))
}
