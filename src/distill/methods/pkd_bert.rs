//! Patient knowledge distillation (Sun et al. 1908.09355): the states of texts in layers between, of unit length. For each pair
//! of layers the mean over texts of |r(h_s) / |r(h_s)| - h_t / |h_t||^2, summed over the width and over pairs.
//!
//! h is the state of the first token, [CLS], or with `state=mean` the mean of a text's tokens. r is a linear layer where widths
//! differ, which the paper has no need of. `layers=skip` pairs each layer of the student with the one of the teacher that is as
//! far along, `last` with the teacher's top ones; the last layer is left out, as soft targets see it.
//!
//! The paper adds soft targets: `pkd-bert+kd:0.5,temperature=10+ce:0.5`. Its code divides by layers and width as well, so that
//! its weights of 10 to 1000 are 0.0026 to 0.26 here, for five layers of 768 numbers.

use crate::distill::regressor::{Regressors, Use};
use crate::distill::tokens::Tokens;
use crate::distill::vectors::Vectors;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, loss,
};
use crate::nn::ParamBuilder;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "pkd-bert",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "states of texts in layers between, by direction; beside soft targets",
    formula: "sum over taps of the mean over texts of |u(r(h_s)) - u(h_t)|^2, u(h) = h / |h|, h of the first token",
    paper: "Sun et al. 1908.09355",
    settings: &[
        Setting::choice("layers", &["skip", "last"], "every k-th of the teacher's, or its top ones"),
        Setting::choice("state", &["cls", "mean"], "a text's first token, or the mean of all"),
    ],
    taps: TapNeed::LayersButLast,
    reads: &[Need::Taps, Need::Tokens],
    weight: 0.1,
    ce_weight: 1.0,
    build: |values| {
        let (top, mean) = (values.choice("layers")? == "last", values.choice("state")? == "mean");
        Ok(Box::new(PkdBert { top, mean }))
    },
};

#[derive(Debug, Clone, Copy)]
struct PkdBert {
    top: bool,
    mean: bool,
}

impl Method for PkdBert {
    fn taps(&self) -> Option<TapNeed> {
        self.top.then_some(TapNeed::StagesButLast)
    }

    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        if seen.taps.is_empty() {
            let message =
                "pkd-bert leaves the last layer out, and no other pair is there; name a pair of taps";
            return Err(Error::config("taps", message));
        }
        let regressors = Regressors::new("pkd-bert", seen, at, Use::Auto, true)?;
        let Self { mean, .. } = *self;
        loss(move |seen, own| {
            let tokens = Tokens::of("pkd-bert", seen)?;
            for ((teacher, student), (hint, guided)) in seen.tapped()?.iter().zip(seen.taps) {
                tokens.expect_rows("pkd-bert", hint, teacher)?;
                tokens.expect_rows("pkd-bert", guided, student)?;
            }
            features::sum_over_taps(seen, |index, teacher, student| {
                let state = |h: &Tensor| match mean {
                    true => h.segment_mean(tokens.spans),
                    false => h.segment_first(tokens.spans),
                };
                let student = regressors.widen(own, index, &state(student)?)?.normalize()?;
                let apart = student.sub(&state(teacher)?.normalize()?)?.square()?.sum(&[1], true)?;
                Vectors::mean(seen, &apart)
            })
        })
    }
}
