//! Peers that are about to learn from each other: the terms of each one's loss, on the first batch.
//!
//! Nobody knows anything yet, so accuracies and temperatures tell nothing. Terms do: peers with the same first weights have
//! nothing to tell each other, and one's cross-entropy may drown what it should learn from the other.

use super::balance::CE;
use super::examine::{Subject, peak, squared_gradient};
use super::figures::{Figures, TermFigure};
use super::{Finding, diagnose};
use crate::Result;
use crate::data::{IGNORE_LABEL, Loader};
use crate::models::Network;
use crate::nn::{DeviceParams, Forward};
use crate::ops::cross_entropy::CrossEntropy;
use crate::tape::{Plan, Step, Tape, Tensor};
use crate::train::run::batch::Inputs;
use crate::train::schemes::{Mutual, Peer};

/// A term of a peer's loss that is on a tape.
struct Term {
    name: &'static str,
    weight: f64,
    loss: Tensor,
    squared: Option<Tensor>,
}

/// Examines a run of two peers, each heeding the other with `weight`, before its first step. Blocks.
///
/// # Errors
/// Those of compiling a step.
pub fn examine_peers(subject: &Subject<'_>, peer: &Network, weight: f32) -> Result<Vec<Finding>> {
    let both = measure(subject, peer, weight)?;
    Ok(both.iter().flat_map(diagnose).collect())
}

/// The figures of the student, and those of its peer: terms only.
fn measure(subject: &Subject<'_>, peer: &Network, weight: f32) -> Result<[Figures; 2]> {
    let Subject { gpu, student, training, config } = *subject;
    let loader = Loader::new(training.clone(), config.loader())?;
    let tape = Tape::new();
    let inputs = Inputs::new(&tape, config.batch_size, &config.images(training))?;
    let ours = DeviceParams::trainable(gpu, "student", &student.params)?;
    let theirs = DeviceParams::trainable(gpu, "peer", &peer.params)?;
    let pass = Forward::train(&tape, &ours);
    let logits = student.forward(&pass, &inputs.images)?;
    let settings = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: config.label_smoothing };
    let ce = logits.cross_entropy(&inputs.labels, &settings)?;
    let learner = Peer { network: peer, params: &theirs, weight };
    let mutual = Mutual::record(&pass, learner, &logits, &inputs.images, &inputs.labels)?;
    let steps = config.steps(loader.batches());
    let ce_weight = peak(config.ce_weight, &config.ce_schedule, steps);
    let mut own =
        vec![Term { name: CE, weight: ce_weight, squared: squared_gradient(&ce, &pass)?, loss: ce }];
    let mut other = Vec::new();
    for (name, loss) in mutual.terms.iter().cloned() {
        let of_peer = name.starts_with("peer");
        let squared = squared_gradient(&loss, if of_peer { mutual.forward() } else { &pass })?;
        let weight = if name.ends_with(CE) { 1.0 } else { f64::from(weight) };
        let side = if of_peer { &mut other } else { &mut own };
        side.push(Term { name, weight, loss, squared });
    }
    let mut outputs = vec![&inputs.labels, &inputs.ids];
    outputs.extend(own.iter().chain(&other).flat_map(|t| std::iter::once(&t.loss).chain(&t.squared)));
    let plan = Plan::new(gpu, &tape, &outputs)?;
    if let Some(batch) = loader.epoch(0).next() {
        inputs.write(&plan, &batch)?;
    }
    plan.run(&Step::new(0, config.seed))?;
    Ok([read(&plan, &own)?, read(&plan, &other)?])
}

fn read(plan: &Plan, terms: &[Term]) -> Result<Figures> {
    let number = |tensor: &Tensor| {
        Ok::<_, crate::Error>(plan.read_f32(tensor)?.first().map_or(f64::NAN, |v| f64::from(*v)))
    };
    let figure = |term: &Term| {
        Ok(TermFigure {
            name: term.name.into(),
            weight: term.weight,
            loss: number(&term.loss)?,
            gradient: term.squared.as_ref().map(number).transpose()?.map(f64::sqrt),
            softened: None,
        })
    };
    Ok(Figures { terms: terms.iter().map(figure).collect::<Result<_>>()?, ..Default::default() })
}
