//! Correlations of cosines and scores, from the vectors that are read back of an evaluation; while a student trains, how
//! alike neighbours of a batch are: near 1, all vectors are one.

use super::SCORE;
use crate::data::Batch;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::models::{NUMBERS, Outputs};
use crate::report::{cosine, pearson, spearman};
use crate::tape::{Meta, Tape, Tensor};
use crate::tasks::{Leaves, Meter, Metric, Tally};
use crate::{Error, Result};

/// The name of the mean cosine of texts that follow each other.
pub const ALIKE: &str = "neighbours' cosine";

/// Sum of losses, batches, samples, sum of neighbours' cosines, pairs of neighbours.
const TOTALS: usize = 5;

pub(super) struct PairMeter {
    totals: Buffer,
    /// The first of a pair, until the second comes.
    first: Option<Vec<f32>>,
    cosines: Vec<f64>,
    scores: Vec<f64>,
}

impl PairMeter {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        let totals = gpu.buffer("similarity totals", Meta::f32([TOTALS]).bytes())?;
        Ok(Self { totals, first: None, cosines: Vec::new(), scores: Vec::new() })
    }
}

/// Of vectors (N, D) the sum of cosines of each with the next, and how many such pairs are of samples, (1) each.
fn neighbours(vectors: &Tensor, mask: &Tensor) -> Result<[Tensor; 2]> {
    let n = mask.dims()[0];
    let zero = || mask.tape().constant([1], &[0.0]);
    if n < 2 {
        return Ok([zero()?, zero()?]);
    }
    let unit = vectors.normalize()?;
    let cosines = unit.slice(0, 0, n - 1)?.mul(&unit.slice(0, 1, n - 1)?)?.sum(&[1], false)?;
    let both = mask.slice(0, 1, n - 1)?;
    let sum = |x: &Tensor| x.sum(&[0], false)?.reshape([1]);
    Ok([sum(&cosines.mul(&both)?)?, sum(&both)?])
}

impl Meter for PairMeter {
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()> {
        let totals = tape.external("similarity totals", Meta::f32([TOTALS]), self.totals.whole(), false)?;
        let [cosines, pairs] = neighbours(outputs.get(NUMBERS)?, leaves.mask())?;
        let samples = leaves.mask().sum(&[0], false)?.reshape([1])?;
        let parts = [loss.reshape([1])?, tape.constant([1], &[1.0])?, samples, cosines, pairs];
        let parts: Vec<&Tensor> = parts.iter().collect();
        totals.add_in_place(&Tensor::concat(&parts, 0)?.detach()?)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("sums.embed".into(), self.totals.whole())]
    }

    fn reads<'o>(&self, outputs: &'o Outputs) -> Vec<&'o Tensor> {
        outputs.get(NUMBERS).into_iter().collect()
    }

    fn begin(&mut self) {
        self.first = None;
        self.cosines.clear();
        self.scores.clear();
    }

    fn gather(&mut self, batch: &Batch, _: &Outputs, read: &[Vec<f32>]) -> Result<()> {
        let Ok(scores) = batch.f32(SCORE) else { return Ok(()) };
        let values = read.first().map_or(&[][..], Vec::as_slice);
        let rows = values.chunks((values.len() / batch.size().max(1)).max(1));
        for (row, score) in rows.zip(scores).take(batch.len) {
            match self.first.take() {
                None => self.first = Some(row.to_vec()),
                Some(first) => {
                    self.cosines.push(cosine(&first, row));
                    self.scores.push(f64::from(*score));
                }
            }
        }
        Ok(())
    }

    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally> {
        let totals: Vec<f32> =
            counts.first().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).unwrap_or_default();
        let &[loss, steps, samples, cosines, pairs] = &totals[..TOTALS.min(totals.len())] else {
            return Err(Error::config("counts", format!("expected {TOTALS} totals, got {}", totals.len())));
        };
        let alike = f64::from(cosines) / f64::from(pairs).max(1.0);
        let alike = Metric { higher_is_better: false, ..Metric::correlation(ALIKE, alike) };
        let (primary, others) = if self.cosines.is_empty() {
            (alike, Vec::new())
        } else {
            let of = |correlation: Option<f64>| correlation.unwrap_or(f64::NAN);
            let pearson = Metric::correlation("pearson", of(pearson(&self.cosines, &self.scores)));
            let spearman = of(spearman(&self.cosines, &self.scores));
            (Metric::correlation("spearman", spearman), vec![pearson, alike])
        };
        Ok(Tally { loss: loss.into(), steps: steps as u64, samples: samples as u64, primary, others })
    }
}
