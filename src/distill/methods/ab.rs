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
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, sum_of,
};
use crate::nn::{Forward, ParamBuilder};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ab",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "on which side of zero the teacher's pre-activations are; for an initial stage",
    formula: "sum over taps l of 2^(l - L) / N * sum relu(margin - r(f_s) * sign(f_t))^2",
    paper: "Heo et al. 1811.03233",
    settings: &[Setting::from_zero("margin", 1.0, "how far from zero the student is asked to be")],
    taps: TapNeed::PreActivations,
    reads: &[Need::Taps],
    weight: 0.003,
    ce_weight: 1.0,
    build: |values| Ok(Box::new(Ab { margin: values.number("margin")? })),
};

#[derive(Debug)]
struct Ab {
    margin: f32,
}

struct AbLoss {
    margin: f32,
    /// One a pair of taps; `None` where the widths are equal.
    connectors: Vec<Option<Connector>>,
}

impl Method for Ab {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let mut connector = |(index, (teacher, student)): (usize, &(Tensor, Tensor))| {
            let at = at.sub(format!("connector{index}"));
            match (teacher.dims(), student.dims()) {
                ([_, c_t, ..], [_, c_s, ..])
                    if c_t == c_s && teacher.dims().len() == student.dims().len() =>
                {
                    Ok(None)
                }
                _ => Connector::new("ab", at, teacher, student).map(Some),
            }
        };
        let connectors = seen.tapped()?.iter().enumerate().map(&mut connector).collect::<Result<_>>()?;
        Ok(Box::new(AbLoss { margin: self.margin, connectors }))
    }
}

impl Loss for AbLoss {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        sum_of(seen.tapped()?.iter().zip(&self.connectors).rev().enumerate().map(
            |(depth, ((teacher, student), connector))| {
                let student = connector.as_ref().map_or(Ok(student.clone()), |c| c.forward(own, student))?;
                let (teacher, student) = features::same_size(teacher, &student)?;
                let sign = teacher.heaviside()?.scale(2.0)?.add_scalar(-1.0)?;
                let short = student.mul(&sign)?.scale(-1.0)?.add_scalar(self.margin)?.relu()?;
                let axes: Vec<usize> = (0..short.dims().len()).collect();
                let samples = short.dims()[0] as f32;
                short.square()?.sum(&axes, false)?.scale(0.5f32.powi(depth as i32) / samples)
            },
        ))
    }
}
