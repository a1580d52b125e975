//! What a detector is measured at: average precision, from what is read back of an evaluation; while it trains, how well the
//! boxes that answer for a truth overlap it, counted on the device.

use super::{Gathered, Keep, MapKind, OVERLAP, SCORE, box_loss, images, truths};
use crate::data::Batch;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::models::Outputs;
use crate::tape::{Meta, Tape, Tensor};
use crate::tasks::{Leaves, Measured, Meter, Metric, Tally};
use crate::{Error, Result};

/// Sum of losses, batches, samples, sum of overlaps, boxes that answer for a truth.
const TOTALS: usize = 5;

pub(super) struct BoxMeter {
    totals: Buffer,
    gathered: Gathered,
    keep: Keep,
    map: MapKind,
    classes: Vec<String>,
}

impl BoxMeter {
    pub fn new(gpu: &Gpu, keep: Keep, map: MapKind, classes: &[String]) -> Result<Self> {
        let totals = gpu.buffer("detection totals", Meta::f32([TOTALS]).bytes())?;
        Ok(Self { totals, gathered: Gathered::default(), keep, map, classes: classes.to_vec() })
    }
}

impl Meter for BoxMeter {
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()> {
        let totals = tape.external("detection totals", Meta::f32([TOTALS]), self.totals.whole(), false)?;
        let noted = outputs.boxes().next().and_then(|(map, _)| leaves.noted(map, OVERLAP));
        let [overlap, answering] = match noted.map(<[Tensor; 2]>::try_from) {
            Some(Ok(overlap)) => overlap,
            _ => box_loss(outputs, &truths(leaves)?)?.overlap,
        };
        let sum = |rows: &Tensor| rows.mul(leaves.mask())?.sum(&[0], false)?.reshape([1]);
        let parts = [
            loss.reshape([1])?,
            tape.constant([1], &[1.0])?,
            leaves.mask().sum(&[0], false)?.reshape([1])?,
            sum(&overlap)?,
            sum(&answering)?,
        ];
        let parts: Vec<&Tensor> = parts.iter().collect();
        totals.add_in_place(&Tensor::concat(&parts, 0)?.detach()?)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("sums.detect".into(), self.totals.whole())]
    }

    fn reads<'o>(&self, outputs: &'o Outputs) -> Vec<&'o Tensor> {
        outputs.boxes().map(|(map, _)| map).collect()
    }

    fn begin(&mut self) {
        self.gathered.clear();
    }

    fn gather(&mut self, batch: &Batch, outputs: &Outputs, read: &[Vec<f32>]) -> Result<()> {
        images::gather(&mut self.gathered, &self.keep, batch, outputs, read)
    }

    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally> {
        let totals: Vec<f32> =
            counts.first().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).unwrap_or_default();
        let &[loss, steps, samples, overlap, answering] = &totals[..TOTALS.min(totals.len())] else {
            return Err(Error::config("counts", format!("expected {TOTALS} totals, got {}", totals.len())));
        };
        let Measured { primary, others, .. } = match self.gathered.images() {
            0 => {
                let share = f64::from(overlap) / f64::from(answering).max(1.0);
                Measured { primary: Metric::share("IoU", share), ..Default::default() }
            }
            _ => self.gathered.measure(self.map, SCORE, &self.classes)?.measured(None),
        };
        let (steps, samples) = (steps as u64, samples as u64);
        Ok(Tally { loss: loss.into(), steps, samples, primary, others })
    }
}
