//! Activation boundaries (Heo et al. 1811.03233): the student learns on which side of zero the teacher's
//! neurons are, not their values. For pre-activations t and s and a margin m, with t > 0 as the side, L = sum
//! over layers l of 2^(l - L) / N * sum over elements of relu(m - s * sign)^2, sign = 1 where t > 0, else -1.
//!
//! The paper writes the squared norm for one sample and trains an initial stage with it alone; the layers'
//! halving factors, and the weight 3 / 1000, are those of the authors' code. A stage is a schedule here:
//! `ab,until=0.2+ce:1,from=0.2+kd,from=0.2`. A student of another width passes a 1x1 convolution (a linear
//! layer for flat features) and batch norm first; a larger map is pooled to the smaller one's size.

use super::connector::Connector;
use crate::Result;
use crate::distill::{Family, Method, MethodSpec, Pair, Setting, TapNeed, features, sum_of};
use crate::nn::{Forward, ParamBuilder};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ab",
    family: Family::Feature,
    about: "the sides of zero that the teacher's pre-activations are on; for an initial stage",
    formula: "sum over taps l of 2^(l - L) / N * sum relu(margin - r(f_s) * sign(f_t))^2",
    paper: "Heo et al. 1811.03233",
    settings: &[Setting::from_zero("margin", 1.0, "how far from zero the student is asked to be")],
    taps: TapNeed::PreActivations,
    weight: 0.003,
    ce_weight: 1.0,
    build: |values| Box::new(Ab { margin: values.number("margin"), connectors: Vec::new() }),
};

struct Ab {
    margin: f32,
    connectors: Vec<Option<Connector>>,
}

impl Method for Ab {
    fn prepare(&mut self, pair: &Pair<'_>, mut at: ParamBuilder<'_>) -> Result<()> {
        for (index, (teacher, student)) in pair.tapped()?.iter().enumerate() {
            let at = at.sub(format!("connector{index}"));
            self.connectors.push(match (teacher.dims(), student.dims()) {
                ([_, c_t, ..], [_, c_s, ..])
                    if c_t == c_s && teacher.dims().len() == student.dims().len() =>
                {
                    None
                }
                _ => Some(Connector::new("ab", at, teacher, student)?),
            });
        }
        Ok(())
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        sum_of(pair.tapped()?.iter().zip(&self.connectors).rev().enumerate().map(
            |(depth, ((teacher, student), connector))| {
                let student = connector.as_ref().map_or(Ok(student.clone()), |c| c.forward(own, student))?;
                let (teacher, student) = features::same_size(teacher, &student)?;
                let sign = teacher.positive()?.scale(2.0)?.add_scalar(-1.0)?;
                let short = student.mul(&sign)?.scale(-1.0)?.add_scalar(self.margin)?.relu()?;
                let axes: Vec<usize> = (0..short.dims().len()).collect();
                let samples = short.dims()[0] as f32;
                short.square()?.sum(&axes, false)?.scale(0.5f32.powi(depth as i32) / samples)
            },
        ))
    }
}
