//! When two spaces are alike, by the cosines of the pairs of a batch.

use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// What a cosine loses that does not count, at any temperature in use.
pub(super) const OUT: f32 = 1e4;

/// What two spaces shall have in common. With the cosines s_ij of the small space and t_ij of the large one:
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Closeness {
    /// The similarities: the mean of (s_ij - t_ij)^2 over i other than j.
    Similarities,
    /// The neighbours: the mean over i of KL(softmax_j(t_ij / T) || softmax_j(s_ij / T)), j other than i. The softmax sees
    /// near words only, so that numbers are not spent on how unlike far ones are. As in stochastic neighbour embedding
    /// (Hinton and Roweis 2002), with cosines on both sides.
    Neighbours {
        /// T; 0.07 is usual.
        temperature: f32,
    },
}

impl Closeness {
    /// What people write.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Similarities => "similarities",
            Self::Neighbours { .. } => "neighbours",
        }
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Neighbours { temperature } if !(0.01..=100.0).contains(&temperature) => {
                Err(Error::config("temperature", format!("expected 0.01 to 100, got {temperature}")))
            }
            _ => Ok(()),
        }
    }

    /// The loss (1) of [`products`](super::products) (N, N) of both spaces, of which the rows and columns of `mask` (N) count.
    pub(super) fn loss(self, small: &Tensor, large: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let words = mask.sum(&[0], false)?.reshape([1])?;
        match self {
            Self::Similarities => {
                small.sub(large)?.square()?.sum(&[0, 1], false)?.reshape([1])?.div(&pairs(&words)?)
            }
            Self::Neighbours { temperature } => {
                let n = mask.dims()[0];
                let own: Vec<f32> = (0..n * n).map(|i| if i % (n + 1) == 0 { -OUT } else { 0.0 }).collect();
                let own = mask.tape().constant([n, n], &own)?;
                // A row that does not count is the same on both sides, and adds nothing.
                let loss = small.add(&own)?.kl_div(&large.add(&own)?, temperature, KlReduction::BatchMean)?;
                // kl_div has the factor T^2 of soft targets, and divides by all rows.
                let factor = n as f32 / (temperature * temperature);
                loss.reshape([1])?.scale(factor)?.div(&words)
            }
        }
    }
}

/// n (n - 1) of n (1), pairs of different words, and a little where there is none: to divide by.
pub(super) fn pairs(n: &Tensor) -> Result<Tensor> {
    n.mul(&n.add_scalar(-1.0)?)?.add_scalar(1e-9)
}
