//! Curriculum temperature (CTKD, Li et al. 2211.16231, the global form): soft targets whose temperature is learned
//! *against* the student. T = least + range * sigmoid(a), a starts at 1; the loss is T^2 * KL(p_t^T || p_s^T), and a's
//! gradient is multiplied by -lambda, which rises from 0 to 1 as half a cosine over the first `ramp` of the training.
//!
//! The reversal needs no op: 2 a' - a + h (a - a'), with a' = a without gradient and h = 1 - lambda a scalar of the step,
//! has the value of a and the gradient -lambda.

use crate::Result;
use crate::distill::logits::LOGITS;
use crate::distill::{
    Family, Knowledge, LogitRows, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed,
    TermSchedule, loss,
};
use crate::nn::{Init, ParamBuilder};
use crate::tape::Tensor;

/// The list entry; 10 of 240 epochs are the authors' ramp.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ctkd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets at a temperature learned against the student, by a reversed gradient",
    formula: "T^2 * KL(softmax(z_t / T) || softmax(z_s / T)), T = least + range * sigmoid(a), a's gradient times -lambda",
    paper: "Li et al. 2211.16231, the global temperature (not the one by sample)",
    settings: &[
        Setting::positive("least", 1.0, "lowest temperature"),
        Setting::from_zero("range", 20.0, "how far above it the temperature may rise"),
        Setting::share("ramp", 0.0417, "share of the training over which lambda rises from 0 to 1"),
        LOGITS,
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        let [least, range, ramp] = values.numbers(["least", "range", "ramp"])?;
        Ok(Box::new(Ctkd { least, range, ramp: f64::from(ramp) }))
    },
};

/// The scalar h = 1 - lambda: what is held back of the reversed gradient.
const HELD: &str = "ctkd.held";

/// Logarithms of probabilities that are less apart are close.
const NEAR: f32 = 0.5;

#[derive(Debug)]
struct Ctkd {
    least: f32,
    range: f32,
    ramp: f64,
}

impl Method for Ctkd {
    fn prepare(&self, _: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let a = at.weight("temperature", [1], Init::Constant(1.0), true);
        let (least, range) = (self.least, self.range);
        loss(move |seen, own| {
            let a = reversed(&own.param(a)?)?;
            let temperature = a.sigmoid()?.scale(range)?.add_scalar(least)?;
            let rows = seen.rows()?;
            let each = relative_entropy(rows, &temperature)?.sum(&[1], false)?;
            rows.mean(&each)?.mul(&temperature.square()?)
        })
    }

    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        vec![(HELD, TermSchedule { until: self.ramp, cosine: true, ..TermSchedule::default() })]
    }
}

/// KL(softmax(z_t / T) || softmax(z_s / T)) by elements (N, C).
///
/// At a high T both are close, and T^2 * KL hardly depends on T: its derivative is what is left of large terms. With
/// d = log p_s - log p_t an element is p_t (e^d - 1 - d): the added p_s - p_t have the sum 0, and where d is small nothing
/// of its first order is left to cancel. d is taken from differences of logits, which are exact.
fn relative_entropy(rows: &LogitRows, temperature: &Tensor) -> Result<Tensor> {
    let cooled = |z: &Tensor| z.div(temperature)?.log_softmax(1);
    let (log_s, log_t) = (cooled(&rows.student)?, cooled(&rows.teacher)?);
    let apart = rows.student.sub(&rows.teacher)?.div(temperature)?;
    let level = log_s.sub(&log_t)?.sub(&apart)?.mean(&[1], true)?;
    let d = apart.add(&level)?;
    let (p_s, p_t) = (log_s.exp()?, log_t.exp()?);
    let far = p_s.sub(&p_t)?.sub(&p_t.mul(&d)?)?;
    // Far apart, e^d may be infinite, and nothing cancels.
    let near = d.abs()?.scale(-1.0)?.add_scalar(NEAR)?.heaviside()?;
    let gap = near.mul(&d)?.exp()?.add_scalar(-1.0)?.x_minus_log1p()?;
    near.mul(&p_t.mul(&gap)?.sub(&far)?)?.add(&far)
}

/// `a`, with the gradient of -lambda * a.
fn reversed(a: &Tensor) -> Result<Tensor> {
    let still = a.detach()?;
    let held = a.sub(&still)?.scale_by(a.tape().scalar(HELD)?)?;
    still.scale(2.0)?.sub(a)?.add(&held)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// lambda over 240 epochs, 10 of them the ramp, against the authors' cosine.
    #[test]
    fn the_reversal_rises_over_the_ramp() {
        let method = Ctkd { least: 1.0, range: 20.0, ramp: 10.0 / 240.0 };
        let [(_, held)] = method.scalars()[..] else { panic!("one scalar") };
        for epoch in 0..12u32 {
            let lambda = (1.0 - (std::f64::consts::PI * f64::from(epoch.min(10)) / 10.0).cos()) / 2.0;
            assert!((1.0 - held.at(epoch.into(), 240) - lambda).abs() < 1e-9, "epoch {epoch}");
        }
    }
}
