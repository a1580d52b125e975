//! Peers that are about to learn from each other: the terms of each one's loss, on the first batch.
//!
//! Nobody knows anything yet, so accuracies and temperatures tell nothing. Terms do: peers with the same first weights have
//! nothing to tell each other, and one's cross-entropy may drown what it should learn from the other.

use super::examine::{MeasuredTerm, Subject, measured, task_terms};
use super::figures::{Figures, TermFigure};
use super::{Finding, diagnose};
use crate::Result;
use crate::data::Loader;
use crate::models::Network;
use crate::nn::DeviceParams;
use crate::tape::{Plan, Step, Tensor};
use crate::train::StepConfig;
use crate::train::run::step::record;
use crate::train::schemes::{Peer, Scheme};
use crate::train::teacher::distillation::Teaching;

/// Examines a run of two peers, each learning from the other with `weight`, before its first step. Blocks.
///
/// # Errors
/// Those of compiling a step.
#[cfg(not(target_arch = "wasm32"))]
pub fn examine_peers(subject: &Subject<'_>, peer: &Network, weight: f32) -> Result<Vec<Finding>> {
    subject.gpu.block_on(examine_peers_async(subject, peer, weight))
}

/// [`examine_peers`] for callers that may not block.
///
/// # Errors
/// As [`examine_peers`].
pub async fn examine_peers_async(subject: &Subject<'_>, peer: &Network, weight: f32) -> Result<Vec<Finding>> {
    let both = measure(subject, peer, weight).await?;
    Ok(both.iter().flat_map(diagnose).collect())
}

/// The figures of the student, and those of its peer: terms only.
async fn measure(subject: &Subject<'_>, peer: &Network, weight: f32) -> Result<[Figures; 2]> {
    let Subject { gpu, task, student, ref training, config, .. } = *subject;
    let loader = Loader::new(training.clone(), config.loader())?;
    let steps = config.steps(loader.batches());
    let of = StepConfig::new(task, training.as_ref(), config, steps);
    let ours = DeviceParams::trainable(gpu, "student", &student.params)?;
    let theirs = DeviceParams::trainable(gpu, "peer", &peer.params)?;
    let learner = Peer { network: peer, params: &theirs, weight };
    let nobody: Option<&mut Teaching<'_>> = None;
    let recording = record(gpu, student, &ours, (nobody, Some(learner)), &Scheme::default(), &of)?;
    let mut own = task_terms(&recording, config, steps)?;
    let mut other = Vec::new();
    if let Some(mutual) = &recording.mutual {
        for term in &mutual.terms {
            let (pass, side) = match term.of_peer {
                true => (mutual.forward(), &mut other),
                false => (&recording.forward, &mut own),
            };
            side.push(measured(&term.name, f64::from(term.weight), &term.loss, pass)?);
        }
    }
    let terms = own.iter().chain(&other);
    let kept: Vec<&Tensor> = terms.flat_map(|t| std::iter::once(&t.loss).chain(&t.squared)).collect();
    let plan = Plan::new(gpu, recording.tape(), &kept)?;
    if let Some(batch) = loader.epoch(0).next() {
        recording.leaves.write(&plan, &batch?)?;
    }
    plan.run(&Step::new(0, config.seed))?;
    Ok([read(&plan, &own).await?, read(&plan, &other).await?])
}

async fn read(plan: &Plan, terms: &[MeasuredTerm]) -> Result<Figures> {
    let mut figures = Figures::default();
    for term in terms {
        let loss = number(plan, &term.loss).await?;
        let gradient = match &term.squared {
            Some(squared) => Some(number(plan, squared).await?.sqrt()),
            None => None,
        };
        figures.terms.push(TermFigure { loss, gradient, ..term.figure.clone() });
    }
    Ok(figures)
}

/// The only value of a tensor.
pub(super) async fn number(plan: &Plan, tensor: &Tensor) -> Result<f64> {
    Ok(plan.read_f32_async(tensor).await?.first().map_or(f64::NAN, |v| f64::from(*v)))
}
