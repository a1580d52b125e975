//! Soft targets of standardised logits: `kd` wrapped in the standardisation of [`crate::distill::logits`], with the paper's
//! temperature and weight (Sun et al. 2403.01427). Every other method on logits takes `logits=standardised`.

use super::kd::Kd;
use crate::distill::logits::Standardised;
use crate::distill::{Family, Knowledge, MethodSpec, Need, Setting, TapNeed, parameterless};
use crate::ops::kl_div::KlReduction;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "logit-std",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "soft targets of standardised logits; others on logits take logits=standardised",
    formula: "T^2 * KL(softmax(n(z_t) / T) || softmax(n(z_s) / T)), n(z) = (z - mean z) / (std z + 1e-7), unbiased std",
    paper: "Sun et al. 2403.01427. The 1e-7 and the unbiased deviation (C - 1) are the authors' code's",
    settings: &[Setting::positive("temperature", 2.0, "the base temperature; the authors use 2 to 3")],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 9.0,
    ce_weight: 0.1,
    build: |values| {
        let temperature = values.number("temperature")?;
        let kd = parameterless(Kd { temperature, reduction: KlReduction::BatchMean })?;
        Ok(Box::new(Standardised(kd)))
    },
};
