//! What methods on vectors of samples share: a sentence encoder's outputs, or what classifiers see; scores of pairs of a batch.

use super::{MethodContext, features};
use crate::models::NUMBERS;
use crate::tape::Tensor;
use crate::{Error, Result};

/// What a score loses that does not count, at any temperature in use.
const OUT: f32 = 1e4;

/// A vector of each sample by both networks, of any widths.
pub(super) struct Vectors {
    /// (N, Dt).
    pub teacher: Tensor,
    /// (N, Ds).
    pub student: Tensor,
}

impl Vectors {
    /// The pair of taps, or, where there is none, both networks' `numbers`. Of a map its mean over pixels.
    ///
    /// # Errors
    /// [`Error::Config`] for several pairs, and where the networks give no numbers; [`Error::Shape`] for taps that are not
    /// of one vector a sample.
    pub fn of(method: &str, seen: &MethodContext<'_>) -> Result<Self> {
        let (teacher, student) = match seen.taps {
            [] => {
                let numbers = |outputs: &crate::models::Outputs| outputs.get(NUMBERS).ok().cloned();
                let both = numbers(seen.teacher_outputs).zip(numbers(seen.student_outputs));
                both.ok_or_else(|| {
                    let message = format!(
                        "{method} compares vectors of samples, and not both networks give such; name a pair of taps"
                    );
                    Error::config("taps", message)
                })?
            }
            [_] => seen.tapped()?.remove(0),
            many => {
                let message = format!("{method} takes one pair, got {}", many.len());
                return Err(Error::config("taps", message));
            }
        };
        let vectors =
            Self { teacher: features::embedding(&teacher)?, student: features::embedding(&student)? };
        let samples = seen.leaves.batch_size();
        let fits = |x: &Tensor| x.dims().len() == 2 && x.dims()[0] == samples;
        if fits(&vectors.teacher) && fits(&vectors.student) {
            return Ok(vectors);
        }
        let expected = format!("a vector of each sample, ({samples}, D)");
        Err(Error::shape(method, expected, format!("{} and {}", teacher.shape(), student.shape())))
    }

    /// The mean (1) over samples of a number each (N, 1).
    pub fn mean(seen: &MethodContext<'_>, each: &Tensor) -> Result<Tensor> {
        let mask = seen.leaves.mask();
        let column = mask.reshape([mask.dims()[0], 1])?;
        let samples = mask.sum(&[0], false)?.reshape([1])?.add_scalar(1e-30)?;
        each.mul(&column)?.sum(&[0, 1], false)?.reshape([1])?.div(&samples)
    }
}

/// Which pairs of a batch count: those of two different samples.
pub(super) struct Pairs {
    /// f32 (N, N): 1 for a pair that counts.
    pub mask: Tensor,
    /// Samples n, (1).
    pub samples: Tensor,
}

impl Pairs {
    /// Those of the batch.
    ///
    /// # Errors
    /// [`Error::Config`] for batches of fewer than `least` samples.
    pub fn of(method: &str, least: usize, seen: &MethodContext<'_>) -> Result<Self> {
        let (mask, n) = (seen.leaves.mask(), seen.leaves.batch_size());
        if n < least {
            let message = format!("{method} compares samples of a batch: expected at least {least}, got {n}");
            return Err(Error::config("batch_size", message));
        }
        let other: Vec<f32> = (0..n * n).map(|i| if i % (n + 1) == 0 { 0.0 } else { 1.0 }).collect();
        let other = mask.tape().constant([n, n], &other)?;
        let both = mask.reshape([n, 1])?.mul(&mask.reshape([1, n])?)?;
        Ok(Self { mask: both.mul(&other)?, samples: mask.sum(&[0], false)?.reshape([1])? })
    }

    /// The sum (1) over pairs that count of a number each (N, N).
    pub fn sum(&self, each: &Tensor) -> Result<Tensor> {
        each.mul(&self.mask)?.sum(&[0, 1], false)?.reshape([1])
    }

    /// Scores (N, N) as they are for pairs that count, and far below any other for the rest.
    pub fn alone(&self, scores: &Tensor) -> Result<Tensor> {
        scores.mul(&self.mask)?.add(&self.mask.add_scalar(-1.0)?.scale(OUT)?)
    }

    /// n - `less`, (1), and a little where that is nothing: to divide by.
    pub fn samples_less(&self, less: f32) -> Result<Tensor> {
        self.samples.add_scalar(1e-9 - less)
    }
}

/// Scores of all pairs, (N, N): products of vectors (N, D).
pub(super) fn products(x: &Tensor) -> Result<Tensor> {
    x.gemm(x, false, true)
}

/// Cosines of all pairs, (N, N).
pub(super) fn cosines(x: &Tensor) -> Result<Tensor> {
    products(&x.normalize()?)
}
