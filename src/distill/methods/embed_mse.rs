//! Vectors of samples by their numbers (Reimers and Gurevych 2004.09813): the mean over samples and numbers of
//! (r(e_s) - e_t)^2. e are a sentence encoder's outputs, or what classifiers see.
//!
//! r is a linear layer where widths differ, or always, or never. It is the distiller's own: the student's vectors are those
//! before it. Of vectors of length 1 the loss is 2 (1 - cos) / D, whose gradient at 384 numbers is that much smaller than
//! that of `embed-cosine`: the weight D makes up for it.

use crate::distill::regressor::{Regressor, Use};
use crate::distill::vectors::Vectors;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, SettingValues, TapNeed, loss,
};
use crate::nn::ParamBuilder;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "embed-mse",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "vectors of samples, such as of sentences, number by number",
    formula: "mean over samples and numbers of (r(e_s) - e_t)^2",
    paper: "Reimers and Gurevych 2004.09813",
    settings: &[PROJECTION],
    taps: TapNeed::Vectors,
    reads: &[Need::Vectors],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let apart = |s: &Tensor, t: &Tensor| s.sub(t)?.square()?.mean(&[1], true);
        Ok(Box::new(Embedded { method: "embed-mse", projection: projection(values)?, apart }))
    },
};

/// Whether vectors go through a linear layer.
pub(super) const PROJECTION: Setting = Setting::choice(
    "projection",
    &["auto", "always", "never"],
    "the student's vectors through a linear layer; auto: where widths differ",
);

/// What [`PROJECTION`] says.
pub(super) fn projection(values: &SettingValues) -> Result<Use> {
    Ok(match values.choice(PROJECTION.name)? {
        "always" => Use::Always,
        "never" => Use::Never,
        _ => Use::Auto,
    })
}

/// The method; that by direction is it with another distance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Embedded {
    /// What errors call it.
    pub method: &'static str,
    pub projection: Use,
    /// How far the student's (N, D) and the teacher's (N, D) are apart, (N, 1).
    pub apart: fn(&Tensor, &Tensor) -> Result<Tensor>,
}

impl Method for Embedded {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let Self { method, projection, apart } = *self;
        let Vectors { teacher, student } = Vectors::of(method, seen)?;
        let (c_s, c_t) = (student.dims()[1], teacher.dims()[1]);
        if projection == Use::Never && c_s != c_t {
            let message = format!(
                "the student's vectors have {c_s} numbers and the teacher's {c_t}; use projection=auto"
            );
            return Err(Error::config("projection", message));
        }
        let wanted = projection == Use::Always || c_s != c_t;
        let layer = wanted.then(|| Regressor::new(at.sub("projection"), &student, c_s, c_t, true));
        loss(move |seen, own| {
            let Vectors { teacher, student } = Vectors::of(method, seen)?;
            let student = layer.as_ref().map_or(Ok(student.clone()), |layer| layer.forward(own, &student))?;
            Vectors::mean(seen, &apart(&student, &teacher)?)
        })
    }
}
