//! A teacher whose outputs lie on disk: its logits and features are inputs of the step, read for each batch by sample.

use std::sync::Arc;

use super::outputs::Outputs;
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::distill::Term;
use crate::models::Network;
use crate::nn::Tap;
use crate::tape::{Plan, Tape, Tensor};
use crate::train::TrainConfig;

/// Outputs of a teacher and the terms that use them.
pub struct StoredTeacher<'a> {
    /// The file.
    pub outputs: Arc<Outputs>,
    /// The teacher itself, on the host, for methods that read its layers or weights
    /// ([`Method::reads_teacher`](crate::distill::Method::reads_teacher)). It does not run, and no step holds it.
    pub network: Option<&'a Network>,
    /// The methods.
    pub terms: Vec<Term>,
    /// (hint, guided) taps: a tap of the file, the student's layer. Empty for the file's taps, the deepest first, as far
    /// as each method uses them.
    pub taps: Vec<(String, String)>,
}

impl StoredTeacher<'_> {
    /// Refuses a file that was not made for this training set and these views of it, naming what differs.
    pub(in crate::train) fn check(
        &self,
        config: &TrainConfig,
        training: &Dataset,
        epochs: u64,
    ) -> Result<()> {
        self.outputs.fits(training)?;
        self.outputs.fits_views(config.crop_padding, config.flip, config.seed, epochs)
    }
}

/// The step's inputs that are read from the file.
pub(in crate::train) struct StoredInputs {
    outputs: Arc<Outputs>,
    /// (N, C)
    pub logits: Tensor,
    /// Of every tap of the file; those that no method uses cost nothing.
    pub taps: Vec<Tap>,
    reads_logits: bool,
}

impl StoredInputs {
    pub fn new(tape: &Tape, outputs: Arc<Outputs>, batch_size: usize) -> Result<Self> {
        let sized = |sample: &[usize]| [&[batch_size], sample].concat();
        let logits = tape.input("teacher outputs/logits", &*sized(&[outputs.info().classes]));
        let mut taps = Vec::new();
        for name in &outputs.info().taps {
            let tensor = tape.input(&format!("teacher outputs/{name}"), &*sized(outputs.tap_shape(name)?));
            taps.push(Tap { name: name.clone(), alias: name.clone(), tensor });
        }
        Ok(Self { outputs, logits, taps, reads_logits: true })
    }

    /// Forgets what the plan does not read, so that it is not read from disk either.
    pub fn keep_used(&mut self, plan: &Plan) {
        self.taps.retain(|tap| plan.holds(&tap.tensor));
        self.reads_logits = plan.holds(&self.logits);
    }

    /// Reads what belongs to the batch's samples in `epoch`.
    pub fn write(&self, plan: &Plan, batch: &Batch, epoch: u64) -> Result<()> {
        let mut values = Vec::new();
        if self.reads_logits {
            for &id in &batch.sample_ids {
                self.outputs.read_logits(epoch, id as usize, &mut values)?;
            }
            plan.write(&self.logits, &values)?;
        }
        for tap in &self.taps {
            values.clear();
            for &id in &batch.sample_ids {
                self.outputs.read_tap(&tap.name, epoch, id as usize, &mut values)?;
            }
            plan.write(&tap.tensor, &values)?;
        }
        Ok(())
    }
}
