//! Channel-wise distillation (Shu et al. 2011.13256): each channel's map, softened and softmaxed over its
//! pixels, is a distribution over places: T^2 / (N C) * sum over samples and channels of KL(softmax(f_t / T)
//! || softmax(r(f_s) / T)).
//!
//! r is a 1x1 convolution without bias where widths differ; a larger map is pooled to the smaller one's size.
//! T is 4 and the weight 50 for features, as the paper has it; for maps of logits it takes 3. On the features of a
//! detector's neck toolkits take T 1 and the weight 10. Summed over the pairs of taps.

use crate::Result;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, TEMPERATURE, TapNeed, features, loss,
};
use crate::nn::ParamBuilder;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "cwd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "where in its map each channel is strong, as distribution over pixels; detectors",
    formula: "sum over taps of T^2 / (N C) * sum_nc KL(softmax_hw(f_t / T) || softmax_hw(r(f_s) / T))",
    paper: "Shu et al. 2011.13256; for the features of detectors toolkits take cwd:10,temperature=1",
    settings: &[TEMPERATURE],
    taps: TapNeed::Last,
    reads: &[Need::Taps],
    weight: 50.0,
    ce_weight: 1.0,
    build: |values| Ok(Box::new(Cwd { temperature: values.number("temperature")? })),
};

#[derive(Debug)]
struct Cwd {
    temperature: f32,
}

impl Method for Cwd {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        features::expect_places("cwd", seen)?;
        // A bias would be the same for all pixels of a channel: the softmax over them does not see it.
        let regressors = Regressors::new("cwd", seen, at, Use::Auto, false)?;
        let temperature = self.temperature;
        loss(move |seen, own| {
            features::sum_over_taps(seen, |index, teacher, student| {
                let (teacher, student) = regressors.align(own, index, teacher, student)?;
                channels(&student)?.kl_div(&channels(&teacher)?, temperature, KlReduction::BatchMean)
            })
        })
    }
}

/// (N * C, H * W) of f (N, C, H, W).
fn channels(f: &Tensor) -> Result<Tensor> {
    let [n, c] = [f.dims()[0], f.dims()[1]];
    f.reshape([n * c, f.dims()[2..].iter().product()])
}
