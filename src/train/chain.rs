//! Trainings one after the other, each taught by the network before it.
//!
//! - Born again (1805.04770): k generations of one architecture, the first taught by a teacher or by labels alone.
//! - Teacher assistants (1902.03393): ever smaller networks between the teacher and the student.
//! - Self-teacher (1909.11723): a network learns from labels, and a fresh copy of it from that network.

use crate::Result;
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::DeviceParams;
use crate::train::Run;

/// A training of a chain.
pub struct ChainStep {
    /// What it is called; its checkpoint needs a name of its own.
    pub label: String,
    /// The network with its initial weights.
    pub network: Network,
}

/// Trains each step in order and returns the networks with their runs. `fit` trains one, from the network before it,
/// frozen; the first one has none where there is no `teacher`. A chain ends where a run was stopped: with checkpoints on,
/// the same call goes on there, since a finished run is read back from its checkpoint.
///
/// # Errors
/// Those of `fit`, and of the device.
pub fn chain(
    gpu: &Gpu,
    teacher: Option<&Network>,
    steps: Vec<ChainStep>,
    mut fit: impl FnMut(&str, &mut Network, Option<(&Network, &DeviceParams)>) -> Result<Run>,
) -> Result<Vec<(Network, Run)>> {
    let mut done: Vec<(Network, Run)> = Vec::new();
    for mut step in steps {
        let before = done.last().map(|(network, _)| network).or(teacher);
        let frozen = before.map(|n| DeviceParams::frozen(gpu, "teacher", &n.params)).transpose()?;
        let run = fit(&step.label, &mut step.network, before.zip(frozen.as_ref()))?;
        let finished = run.finished;
        done.push((step.network, run));
        if !finished {
            break;
        }
    }
    Ok(done)
}
