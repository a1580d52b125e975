//! Features compared by their Pearson correlation (PKD, Cao et al. 2207.02039): each channel, over all samples and pixels, is
//! brought to mean 0 and deviation 1 on both sides, with deviation + 1e-6; then half the mean of squared differences. That is
//! 1 - r of each channel, on average: magnitudes do not matter, so networks of any kind can be compared.
//!
//! r is a 1x1 convolution without bias where widths differ. A student's map of another size is brought to the teacher's between its pixels
//! (bilinear). The weight 10 is that for RetinaNet, which the paper gives for each of four levels. Summed over the pairs of
//! taps.

use crate::Result;
use crate::distill::features::Moments;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, TapNeed, features, loss,
};
use crate::nn::ParamBuilder;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "pkd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "features whose channels are standardised on both sides; for any two detectors",
    formula: "sum over taps of 1/2 mean (norm(r(f_s)) - norm(f_t))^2, norm(f) = (f - mean) / (deviation + 1e-6) of each \
              channel over samples and pixels",
    paper: "Cao et al. 2207.02039",
    settings: &[],
    taps: TapNeed::Stages,
    reads: &[Need::Taps],
    weight: 10.0,
    ce_weight: 1.0,
    build: |_| Ok(Box::new(Pkd)),
};

/// What the deviation gets added, in the paper's code.
const EPS: f32 = 1e-6;

#[derive(Debug)]
struct Pkd;

impl Method for Pkd {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        features::expect_maps("pkd", seen)?;
        // A bias would go with the mean.
        let regressors = Regressors::new("pkd", seen, at, Use::Auto, false)?;
        loss(move |seen, own| {
            features::sum_over_taps(seen, |index, teacher, student| {
                let student = regressors.widen(own, index, student)?;
                let student = features::resized(&student, teacher)?;
                standardised(&student)?.mse_loss(&standardised(teacher)?)?.scale(0.5)
            })
        })
    }
}

/// Each channel of f (N, C, H, W) less its mean, by its deviation over samples and pixels.
fn standardised(f: &Tensor) -> Result<Tensor> {
    let Moments { centred, deviation, .. } = Moments::of("pkd", f)?;
    centred.div(&deviation.add_scalar(EPS)?)
}
