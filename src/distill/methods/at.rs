//! Attention transfer (Zagoruyko and Komodakis 1612.03928): Q = vec(mean_c f^2), of unit L2 norm, for maps f
//! (N, C, H, W); a larger map is pooled to the smaller one's size first, widths may differ. Summed over the
//! pairs of taps.
//!
//! Two forms are in use. `code`, the default, is the authors' implementation and that of the toolkits: mean
//! (Q_s - Q_t)^2 over batch and pixels. `paper` is equation 2: the norm |Q_s - Q_t|, not squared, halved,
//! mean over the batch. They differ by more than a factor: the square's pull fades as the maps meet. The
//! weight 1000 is for `code`.

use crate::Result;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, features, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "at",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "attention: where in the image features are strong; code and paper differ, see form",
    formula: "Q = normalize(vec(mean_c f^2)); code: sum over taps of mean (Q_s - Q_t)^2; \
              paper: 1/2 ||Q_s - Q_t||_2",
    paper: "Zagoruyko and Komodakis 1612.03928",
    settings: &[Setting::choice("form", &["code", "paper"], "squared differences, or the paper's norms")],
    taps: TapNeed::Stages,
    reads: &[Need::Taps],
    weight: 1000.0,
    ce_weight: 1.0,
    build: |values| parameterless(At { paper: values.choice("form")? == "paper" }),
};

#[derive(Debug, Clone)]
struct At {
    paper: bool,
}

impl Loss for At {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::expect_places("at", seen)?;
        features::sum_over_taps(seen, |_, teacher, student| {
            let (teacher, student) = features::same_size(teacher, student)?;
            let (q_t, q_s) = (attention(&teacher)?, attention(&student)?);
            if !self.paper {
                return q_s.mse_loss(&q_t);
            }
            // |d| as d . d / |d|: its gradient is d / |d|, and 0 where the maps are equal.
            let difference = q_s.sub(&q_t)?;
            let norms = difference.mul(&difference.normalize()?)?.sum(&[1], false)?;
            features::mean(&norms)?.scale(0.5)
        })
    }
}

/// Q (N, H * W) of f (N, C, H, W).
fn attention(f: &Tensor) -> Result<Tensor> {
    f.square()?.mean(&[1], false)?.flatten()?.normalize()
}
