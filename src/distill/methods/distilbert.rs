//! DistilBERT's loss (Sanh et al. 1910.01108): soft targets and the direction of the last layer's states. kl * T^2 * the mean
//! over rows of KL(softmax(z_t / T) || softmax(z_s / T)) + cosine * the mean over tokens of 1 - cos(r(h_s), h_t); fillers are in
//! no mean. Beside it stands the task's own loss with the weight 2.
//!
//! On the task `mlm` this is the paper's triple loss: rows are the hidden words, by whose number the divergence is divided, and the
//! task's loss is their cross-entropy. The authors' code can also compare the logits of all tokens; here it is those that are hidden
//! (their `restrict_ce_to_mask`), as logits of all are hundreds of MiB. Rows of a classifier are its texts.
//!
//! r is a linear layer where widths differ; the paper's student is as wide as its teacher, and starts from every other layer of
//! it.

use crate::distill::regressor::{Regressors, Use};
use crate::distill::tokens::Tokens;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, sum_of,
};
use crate::nn::{Forward, ParamBuilder};
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "distilbert",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets, and the direction of the last layer's states; texts",
    formula: "kl * T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + cosine * mean over tokens of 1 - cos(r(h_s), h_t)",
    paper: "Sanh et al. 1910.01108",
    settings: &[
        Setting::positive("temperature", 2.0, "softens both distributions"),
        Setting::from_zero("kl", 5.0, "weight of the soft targets"),
        Setting::from_zero("cosine", 1.0, "weight of the states' direction"),
    ],
    taps: TapNeed::Last,
    reads: &[Need::Logits, Need::Taps, Need::Tokens],
    weight: 1.0,
    ce_weight: 2.0,
    build: |values| {
        let [temperature, kl, cosine] = values.numbers(["temperature", "kl", "cosine"])?;
        if kl == 0.0 && cosine == 0.0 {
            let message = "kl and cosine are both 0; give one of them a weight";
            return Err(Error::config("distilbert", message));
        }
        Ok(Box::new(DistilBert { temperature, kl, cosine }))
    },
};

#[derive(Debug, Clone, Copy)]
struct DistilBert {
    temperature: f32,
    kl: f32,
    cosine: f32,
}

struct Both {
    method: DistilBert,
    regressors: Option<Regressors>,
}

impl Method for DistilBert {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        seen.rows()?;
        let mut regressors = None;
        if self.cosine > 0.0 {
            let tokens = Tokens::of("distilbert", seen)?;
            for ((teacher, student), (hint, guided)) in seen.tapped()?.iter().zip(seen.taps) {
                tokens.expect_rows("distilbert", hint, teacher)?;
                tokens.expect_rows("distilbert", guided, student)?;
            }
            regressors = Some(Regressors::new("distilbert", seen, at, Use::Auto, true)?);
        }
        Ok(Box::new(Both { method: *self, regressors }))
    }
}

impl Loss for Both {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let DistilBert { temperature, kl, cosine } = self.method;
        let mut terms = Vec::new();
        if kl > 0.0 {
            let soft = seen.rows()?.kl_div(temperature, KlReduction::BatchMean)?;
            terms.push(soft.scale(kl)?);
        }
        if let Some(regressors) = &self.regressors {
            let tokens = Tokens::of("distilbert", seen)?;
            let turned = features::sum_over_taps(seen, |index, teacher, student| {
                let student = regressors.widen(own, index, student)?;
                tokens.mean(&features::turned(&student, teacher)?)
            })?;
            terms.push(turned.scale(cosine)?);
        }
        sum_of(terms.into_iter().map(Ok))
    }
}
