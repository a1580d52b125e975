//! Feature distillation overhauled (Heo et al. 1904.01866). The teacher's pre-activations t pass a margin
//! relu t' = max(t, m_c), where m_c < 0 is the expected value of channel c's negative part; the student's,
//! through a 1x1 convolution and batch norm, are s; and the distance leaves out what is below zero in both as
//! it should be: L = sum over taps l of 2^(l - L) / N * sum of (s - t')^2, or 0 where s <= t' <= 0.
//!
//! A batch norm with shift b and scale g makes channels that are about normal, so that with r = b / |g| m_c =
//! b - |g| * phi(r) / Phi(-r), and -3 |g| where Phi(-r) <= 0.001, as in the authors' code. It is that of the
//! tap's own norm, or of the residual branch where the tap is a block's sum. The halving factors and the
//! weight 1 / 1000 are those of the code, too.
//!
//! The authors run the frozen teacher with the batch's statistics, so that its channels have the mean b and
//! the deviation |g| that the margin is made of, on every batch: `statistics=batch`. Its running statistics
//! stay as they are. With `statistics=running` its features are those that it classifies by, as for every
//! other method.

use super::connector::Connector;
use crate::Result;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, sum_of,
};
use crate::nn::{Forward, ParamBuilder};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ofd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "pre-activations through a margin relu, compared where they matter",
    formula: "sum over taps l of 2^(l - L) / N * sum d, d = 0 where r(f_s) <= t <= 0, else (r(f_s) - t)^2, \
              t = max(f_t, m)",
    paper: "Heo et al. 1904.01866",
    settings: &[Setting::choice(
        "statistics",
        &["batch", "running"],
        "what the frozen teacher's batch norms normalise by; its running statistics do not change either way",
    )],
    taps: TapNeed::PreActivations,
    reads: &[Need::Taps, Need::Weights],
    weight: 0.001,
    ce_weight: 1.0,
    build: |values| {
        let by_batch = values.choice("statistics")? == "batch";
        Ok(Box::new(Ofd { by_batch }))
    },
};

#[derive(Debug)]
struct Ofd {
    by_batch: bool,
}

/// Of each pair of taps the connector, and the margins of the teacher's channels.
struct Connected(Vec<(Connector, Vec<f32>)>);

impl Method for Ofd {
    fn teacher_batch_stats(&self) -> bool {
        self.by_batch
    }

    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let mut all = Vec::new();
        for (index, ((teacher, student), (hint, _))) in seen.tapped()?.iter().zip(seen.taps).enumerate() {
            let at = at.sub(format!("connector{index}"));
            let connector = Connector::new("ofd", at, teacher, student)?;
            let (scale, shift) = seen.teacher.norm(hint)?;
            all.push((connector, scale.iter().zip(shift).map(|(g, b)| margin(*g, *b)).collect()));
        }
        Ok(Box::new(Connected(all)))
    }
}

impl Loss for Connected {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let layers = seen.tapped()?.into_iter().zip(&self.0).rev().enumerate();
        sum_of(layers.map(|(depth, ((teacher, student), (connector, margins)))| {
            let (teacher, student) = features::same_size(&teacher, &connector.forward(own, &student)?)?;
            let mut shape = vec![1; teacher.dims().len()];
            shape[1] = margins.len();
            let margins = teacher.tape().constant(shape, margins)?;
            // max(t, m) = m + relu(t - m)
            let target = teacher.sub(&margins)?.relu()?.add(&margins)?;
            let (above, below) = (student.sub(&target)?.relu()?, target.sub(&student)?.relu()?);
            let counted = above.add(&below.mul(&target.heaviside()?)?)?;
            let axes: Vec<usize> = (0..counted.dims().len()).collect();
            let samples = counted.dims()[0] as f32;
            counted.square()?.sum(&axes, false)?.scale(0.5f32.powi(depth as i32) / samples)
        }))
    }
}

/// E[x | x < 0] of a normal x of mean `shift` and deviation |`scale`|.
fn margin(scale: f32, shift: f32) -> f32 {
    let (deviation, mean) = (f64::from(scale.abs()), f64::from(shift));
    if deviation == 0.0 {
        return shift.min(0.0);
    }
    let ratio = mean / deviation;
    let below = 0.5 * (1.0 - libm::erf(ratio / std::f64::consts::SQRT_2));
    if below <= 0.001 {
        return (-3.0 * deviation) as f32;
    }
    let density = (-0.5 * ratio * ratio).exp() / std::f64::consts::TAU.sqrt();
    (mean - deviation * density / below) as f32
}
