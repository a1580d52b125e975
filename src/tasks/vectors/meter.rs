//! How far the cosines of two spaces are apart, counted on the device.

use super::closeness::pairs;
use super::{counted, products};
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::models::Outputs;
use crate::tape::{Meta, Tape, Tensor};
use crate::tasks::{Leaves, Meter, Metric, Tally};
use crate::{Error, Result};

/// Sum of losses, batches, samples, pairs, sum of squared differences of cosines.
const TOTALS: usize = 5;

pub(super) struct CosineMeter {
    totals: Buffer,
}

impl CosineMeter {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self { totals: gpu.buffer("cosine totals", Meta::f32([TOTALS]).bytes())? })
    }
}

impl Meter for CosineMeter {
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()> {
        let totals = tape.external("cosine totals", Meta::f32([TOTALS]), self.totals.whole(), false)?;
        let [small, large] = products(outputs, leaves)?;
        let squared = small.sub(&large)?.square()?.sum(&[0, 1], false)?;
        let words = counted(outputs, leaves)?.sum(&[0], false)?.reshape([1])?;
        let one = tape.constant([1], &[1.0])?;
        let parts = [loss.reshape([1])?, one, words.clone(), pairs(&words)?, squared.reshape([1])?];
        let parts: Vec<&Tensor> = parts.iter().collect();
        totals.add_in_place(&Tensor::concat(&parts, 0)?.detach()?)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("sums.vectors".into(), self.totals.whole())]
    }

    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally> {
        let totals: Vec<f32> =
            counts.first().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).unwrap_or_default();
        let &[loss, steps, samples, pairs, squared] = &totals[..TOTALS.min(totals.len())] else {
            return Err(Error::config("counts", format!("expected {TOTALS} totals, got {}", totals.len())));
        };
        Ok(Tally {
            loss: loss.into(),
            steps: steps as u64,
            samples: samples as u64,
            primary: Metric::error("error", (f64::from(squared) / f64::from(pairs).max(1.0)).sqrt()),
            others: Vec::new(),
        })
    }
}
