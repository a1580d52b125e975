//! Peers that are about to learn from each other: the terms of each one's loss, on the first batch.
//!
//! Nobody knows anything yet, so accuracies and temperatures tell nothing. Terms do: peers with the same first weights have
//! nothing to tell each other, and one's cross-entropy may drown what it should learn from the other.

use super::examine::{MeasuredTerm, measured, peak, task_terms};
use super::figures::{Figures, TermFigure};
use crate::Result;
use crate::data::Loader;
use crate::gpu::Gpu;
use crate::tape::{Plan, Step, Tensor};
use crate::train::StepConfig;
use crate::train::step::record::BatchRecording;

/// The figures of the student, and those of its peer, from the recording of their step: terms only.
pub(in crate::train) async fn peer_figures(
    gpu: &Gpu,
    recording: &BatchRecording<'_>,
    of: &StepConfig<'_>,
    loader: &Loader,
) -> Result<[Figures; 2]> {
    let mut own = task_terms(recording, of.train, of.steps)?;
    let mut other = Vec::new();
    if let Some(mutual) = &recording.mutual {
        for term in &mutual.terms {
            let (pass, side) = match term.of_peer {
                true => (mutual.forward(), &mut other),
                false => (&recording.forward, &mut own),
            };
            let weight = match term.of_task {
                true => peak(term.weight * of.train.ce_weight, &of.train.ce_schedule, of.steps),
                false => f64::from(term.weight),
            };
            side.push(measured(&term.name, weight, &term.loss, pass)?);
        }
    }
    let terms = own.iter().chain(&other);
    let kept: Vec<&Tensor> = terms.flat_map(|t| std::iter::once(&t.loss).chain(&t.squared)).collect();
    let plan = Plan::compile(gpu, recording.tape(), &kept).await?;
    if let Some(batch) = loader.epoch(0).next() {
        recording.leaves.write(&plan, &batch?)?;
    }
    plan.run(&Step::new(0, of.train.seed))?;
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
