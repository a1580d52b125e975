//! What is counted over the batches of an epoch or of an evaluation.

use crate::Result;
use crate::data::Batch;
use crate::gpu::BufferSlice;
use crate::models::Outputs;
use crate::tape::{Tape, Tensor};

use super::{Leaves, Metric};

/// Counts over batches. What can be counted on the device is added up there by the recorded step itself, and read when
/// asked; what can't, such as a ranking over the whole set, is gathered from outputs that are read back.
pub trait Meter {
    /// Records what a batch adds to the device's counts. `loss` is the batch's loss, (1).
    ///
    /// # Errors
    /// Those of recording, where outputs are not what the task's are.
    fn record(&self, tape: &Tape, outputs: &Outputs, leaves: &Leaves, loss: &Tensor) -> Result<()>;

    /// The counts on the device, by name: checkpoints hold them, and writing zeros to them starts anew.
    fn counts(&self) -> Vec<(String, BufferSlice)>;

    /// The outputs that [`Meter::gather`] wants of each batch; none where everything is counted on the device. Training
    /// steps read nothing back.
    fn reads<'o>(&self, _outputs: &'o Outputs) -> Vec<&'o Tensor> {
        Vec::new()
    }

    /// Forgets what was gathered: a new evaluation begins.
    fn begin(&mut self) {}

    /// Takes what was read of a batch whose outputs are `outputs`.
    ///
    /// # Errors
    /// The implementation's own.
    fn gather(&mut self, _batch: &Batch, _outputs: &Outputs, _read: &[Vec<f32>]) -> Result<()> {
        Ok(())
    }

    /// What was counted, from the bytes of [`Meter::counts`] in their order.
    ///
    /// # Errors
    /// The implementation's own.
    fn tally(&self, counts: &[Vec<u8>]) -> Result<Tally>;
}

/// What a [`Meter`] came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Sum of the batches' losses.
    pub loss: f64,
    /// Batches.
    pub steps: u64,
    /// Samples that count.
    pub samples: u64,
    /// What early stop, tables and charts go by.
    pub primary: Metric,
    /// What is logged besides.
    pub others: Vec<Metric>,
}

impl Tally {
    /// Mean loss of a batch; 0 before the first.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.steps.max(1) as f64
    }
}
