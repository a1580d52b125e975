//! The same cases with f32 operands and results stored as f16.
//!
//! Inputs are rounded before the reference sees them, so that what is compared is the kernel and the rounding of its
//! result. Every f32 binding of an op takes part: inputs and cotangents are copied into f16, outputs and gradients are
//! stored as f16 and read by way of a copy.

use super::super::spec::{Case, Fill};
use crate::Result;
use crate::tape::{Array, DType, Tensor};

/// How a case's tensors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// f32 as f32.
    Full,
    /// f32 as f16, except what an op overwrites in a caller's buffer, and statistics.
    Half,
}

/// The largest number that is an f16.
const LARGEST: f64 = 65_504.0;

impl Stored {
    /// A number as a tensor so stored holds it.
    pub(super) fn round(self, x: f64) -> f64 {
        match self {
            Stored::Full => f64::from(x as f32),
            Stored::Half => half::f16::from_f64(x).to_f64(),
        }
    }

    /// Rounds the values of each input that can be f16, and says which those are. Where numbers that have to differ
    /// would be equal, or finite ones infinite, the case would be another.
    pub(super) fn inputs(self, case: &Case, values: &mut [Vec<f64>]) -> Vec<bool> {
        let round = |(i, values): (usize, &mut Vec<f64>)| {
            let input = &case.inputs[i];
            if self == Stored::Full || input.meta.dtype == DType::I32 || case.op.in_place().contains(&i) {
                return false;
            }
            let rounded: Vec<f64> = values.iter().map(|&x| self.round(x)).collect();
            let mut sorted = rounded.clone();
            sorted.sort_by(f64::total_cmp);
            let ties = matches!(input.fill, Fill::Distinct) && sorted.windows(2).any(|w| w[0] == w[1]);
            if ties || values.iter().any(|x| x.is_finite() && x.abs() > LARGEST) {
                return false;
            }
            *values = rounded;
            true
        };
        values.iter_mut().enumerate().map(round).collect()
    }

    /// Lets output `i` be f16, unless it is a statistic, or too large.
    pub(super) fn output(self, case: &Case, i: usize, output: &Tensor, want: &Array) -> bool {
        let fits = want.data.iter().all(|x| x.is_finite() && x.abs() < LARGEST);
        let half = self == Stored::Half
            && output.meta().dtype == DType::F32
            && fits
            && !case.op.in_full().contains(&i);
        if half {
            output.store_half();
        }
        half
    }

    /// A cotangent as the backward rule gets it.
    pub(super) fn cotangent(self, full: Tensor) -> Result<Tensor> {
        match self {
            Stored::Full => Ok(full),
            Stored::Half => halved(&full),
        }
    }

    pub(super) fn gradient(self, gradient: &Tensor) {
        if self == Stored::Half {
            gradient.store_half();
        }
    }

    /// The result of a backward rule is rounded; so are an output that it reads again, and what it reads of another.
    pub(super) fn gradient_roundings(self) -> u32 {
        if self == Stored::Full { 0 } else { 3 }
    }

    /// Tensors of these values that a plan may keep without a change to how they are stored.
    pub(super) fn shown(self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        match self {
            Stored::Full => Ok(tensors.to_vec()),
            Stored::Half => tensors.iter().map(Tensor::copy).collect(),
        }
    }
}

/// What the op reads: each input, or a copy of it as f16.
pub(super) fn operands(inputs: &[Tensor], halves: &[bool]) -> Result<Vec<Tensor>> {
    inputs.iter().zip(halves).map(|(x, &half)| if half { halved(x) } else { Ok(x.clone()) }).collect()
}

fn halved(x: &Tensor) -> Result<Tensor> {
    let copy = x.copy()?;
    copy.store_half();
    Ok(copy)
}
