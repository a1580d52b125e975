//! Vectors of samples by their direction (EmbedDistill, Kim et al. 2301.12005): the mean over samples of
//! 1 - cos(r(e_s), e_t). e are a sentence encoder's outputs, or what classifiers see.
//!
//! r is a linear layer where widths differ, or always, or never. It is the distiller's own: the student's vectors are those
//! before it.

use super::embed_mse::{Embedded, PROJECTION, projection};
use crate::distill::{Family, Knowledge, MethodSpec, Need, TapNeed, features};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "embed-cosine",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "vectors of samples, such as of sentences, by their direction",
    formula: "mean over samples of 1 - cos(r(e_s), e_t)",
    paper: "Kim et al. 2301.12005",
    settings: &[PROJECTION],
    taps: TapNeed::Vectors,
    reads: &[Need::Vectors],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let projection = projection(values)?;
        Ok(Box::new(Embedded { method: "embed-cosine", projection, apart: features::turned }))
    },
};
