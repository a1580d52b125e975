//! How a step weights a term.

use crate::Result;
use crate::tape::{Scalar, Tensor};

/// `term` times a scalar of the step named after it, so that a schedule can change the weight without a new plan.
pub(super) fn scaled(term: &Tensor, name: &str) -> Result<(Tensor, Scalar)> {
    let scalar = term.tape().scalar(&format!("weight.{name}"))?;
    Ok((term.scale_by(scalar)?, scalar))
}
