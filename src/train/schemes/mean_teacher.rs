//! The teacher as an average of the student's weights: w_t <- d w_t + (1 - d) w_s after every step (Tarvainen and Valpola
//! 1703.01780). Running statistics, which are averages already, are the student's.

use crate::gpu::{BufferSlice, Gpu};
use crate::nn::DeviceParams;
use crate::optim::EmaConfig;
use crate::tape::{Scalar, Step, Tape};
use crate::{Error, Result};

/// The update of a teacher that follows its student.
pub(in crate::train) struct MeanTeacher {
    config: EmaConfig,
    weight: Scalar,
    whole: Scalar,
    state: Vec<(String, BufferSlice)>,
}

impl MeanTeacher {
    /// Makes the teacher what the student is now, and records the update; record it after the optimizer.
    pub fn record(
        gpu: &Gpu,
        tape: &Tape,
        config: EmaConfig,
        student: &DeviceParams,
        teacher: &DeviceParams,
    ) -> Result<Self> {
        config.validate()?;
        let pairs = [(student.weights(), teacher.weights()), (student.states(), teacher.states())];
        if pairs.iter().any(|(ours, theirs)| ours.len != theirs.len) {
            let got = format!("{} bytes of weights, {} of the student", pairs[0].1.len, pairs[0].0.len);
            return Err(Error::shape("mean teacher", "a teacher of the student's architecture", got));
        }
        pairs.iter().try_for_each(|(ours, theirs)| gpu.copy(ours, theirs))?;
        let (weight, whole) = (tape.scalar("teacher.average")?, tape.scalar("teacher.statistics")?);
        tape.scope("mean teacher", || {
            let (ours, extents) = (student.flat_weights(tape)?, student.extents(tape)?);
            teacher.flat_weights(tape)?.lerp_parts_in_place(&ours, &extents, weight)?;
            teacher.flat_states(tape)?.lerp_in_place(&student.flat_states(tape)?, whole)
        })?;
        let [(_, weights), (_, states)] = pairs;
        let state = vec![("teacher.weights".to_string(), weights), ("teacher.states".to_string(), states)];
        Ok(Self { config, weight, whole, state })
    }

    /// Sets the share of the student in update `index`, from 0.
    pub fn set_step(&self, step: &mut Step, index: u64) {
        step.set(self.weight, (1.0 - self.config.decay_at(index)) as f32);
        step.set(self.whole, 1.0);
    }

    /// The teacher, for checkpoints.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        self.state.clone()
    }
}
