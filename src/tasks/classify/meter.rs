//! Top-1 and top-5 accuracy, counted on the device.

use crate::data::LABELS;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::models::Outputs;
use crate::ops::metrics::COUNTS;
use crate::tape::{Meta, Tape, Tensor};
use crate::tasks::{Leaves, Meter, Metric, Tally};
use crate::{Error, Result};

/// Top-1 and top-5, counted on the device.
pub(super) struct ClassMeter {
    loss: Buffer,
    counts: Buffer,
}

impl ClassMeter {
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let loss = gpu.buffer("loss sum", Meta::f32([1]).bytes())?;
        let counts = gpu.buffer("counts", Meta::i32([COUNTS.len()]).bytes())?;
        Ok(Self { loss, counts })
    }
}

impl Meter for ClassMeter {
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()> {
        let sum = tape.external("loss sum", Meta::f32([1]), self.loss.whole(), false)?;
        let counts = tape.external("counts", Meta::i32([COUNTS.len()]), self.counts.whole(), false)?;
        outputs.logits()?.accumulate_metrics(leaves.get(LABELS)?, loss, &sum, &counts)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("sums.loss".into(), self.loss.whole()), ("sums.counts".into(), self.counts.whole())]
    }

    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally> {
        let [loss, counts] = counts else {
            return Err(Error::config("counts", "expected the sum of losses and the counts"));
        };
        let loss: Vec<f32> = bytemuck::pod_collect_to_vec(loss);
        let counts: Vec<u32> = bytemuck::pod_collect_to_vec(counts);
        let at = |i: usize| u64::from(counts.get(i).copied().unwrap_or(0));
        let [steps, samples, top1, top5] = [0, 1, 2, 3].map(at);
        let share = |right: u64| right as f64 / samples.max(1) as f64;
        Ok(Tally {
            loss: loss.first().map_or(f64::NAN, |sum| f64::from(*sum)),
            steps,
            samples,
            primary: accuracy(share(top1)),
            others: vec![Metric::share("top5_accuracy", share(top5))],
        })
    }
}

/// A top-1 accuracy, from 0 to 1.
pub fn accuracy(share: f64) -> Metric {
    Metric::share("accuracy", share)
}
