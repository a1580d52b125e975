//! Several teachers: p = sum_k w_k softmax(z_k / T) / sum_k w_k, a weighted mean of softened probabilities (N, C).
//!
//! Methods take logits, so they get z = T log p, whose softmax at T is p; T is the method's temperature, 1 where it has
//! none. Logits of probability 0 in all teachers end near -69 T.

use crate::models::Network;
use crate::nn::DeviceParams;
use crate::tape::Tensor;
use crate::{Error, Result};

/// Keeps the logarithm finite.
const LEAST: f32 = 1e-30;

/// One more teacher.
pub struct Member<'a> {
    /// The architecture, with its weights on the host.
    pub network: &'a Network,
    /// Its weights on the device.
    pub params: &'a DeviceParams,
    /// Its share of the soft targets.
    pub weight: f32,
}

/// Logits (N, C) whose softmax at `temperature` is the weighted mean of the teachers' own at it. One teacher's are left
/// as they are.
///
/// # Errors
/// [`Error::Config`] for no teacher and for a weight that is not above 0; [`Error::Shape`] where sizes differ.
pub fn mean_logits(teachers: &[(Tensor, f32)], temperature: f32) -> Result<Tensor> {
    weighted_mean(
        teachers,
        |logits| logits.scale(1.0 / temperature)?.softmax(1),
        |mean| mean.add_scalar(LEAST)?.log()?.scale(temperature),
    )
}

/// The weighted mean of numbers (R, C) that are no logits. One teacher's are left as they are.
///
/// # Errors
/// Those of [`mean_logits`].
pub fn mean_values(teachers: &[(Tensor, f32)]) -> Result<Tensor> {
    weighted_mean(teachers, |values| Ok(values.clone()), Ok)
}

/// The mean of what `forth` makes of each teacher's numbers, brought back by `back`.
fn weighted_mean(
    teachers: &[(Tensor, f32)],
    forth: impl Fn(&Tensor) -> Result<Tensor>,
    back: impl Fn(Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if let Some((_, wrong)) = teachers.iter().find(|(_, w)| !(w.is_finite() && *w > 0.0)) {
        return Err(Error::config("teacher_weights", format!("expected numbers above 0, got {wrong}")));
    }
    if let [(only, _)] = teachers {
        return Ok(only.clone());
    }
    let total: f32 = teachers.iter().map(|(_, weight)| weight).sum();
    let mut mean: Option<Tensor> = None;
    for (logits, weight) in teachers {
        let share = forth(logits)?.scale(weight / total)?;
        mean = Some(match mean {
            None => share,
            Some(mean) => mean.add(&share)?,
        });
    }
    back(mean.ok_or_else(|| Error::config("teacher", "expected at least one"))?)
}
