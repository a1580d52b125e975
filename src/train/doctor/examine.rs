//! Measures what the checks look at: one plan of teachers, student, terms and their gradients, which runs on
//! the training's first batch, and on a few more for the accuracies.

use std::sync::Arc;

use super::answers::agreement;
use super::balance::CE;
use super::figures::{Figures, TapFigure, TeacherFigure, TermFigure};
use super::{Finding, diagnose};
use crate::data::{Batch, Dataset, IGNORE_LABEL, Loader};
use crate::distill::TermSchedule;
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Forward};
use crate::ops::cross_entropy::CrossEntropy;
use crate::tape::{Plan, Scalar, Step, Tape, Tensor};
use crate::train::TrainConfig;
use crate::train::report::printable;
use crate::train::run::batch::Inputs;
use crate::train::run::evaluator::largest;
use crate::train::run::extend::{extended, start};
use crate::train::schemes::Scheme;
use crate::train::teacher::distillation::{Distillation, Seen, Tapped, Teaching};
use crate::train::teacher::stored::StoredInputs;
use crate::{Error, Result};

/// Images over which accuracies are measured, at least.
const IMAGES: usize = 128;
/// Points of the training at which a schedule is looked at for a term's largest weight.
const POINTS: u64 = 64;

/// A run that is about to begin.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Where it will run.
    pub gpu: &'a Gpu,
    /// The student, with the weights that it starts from. It is not changed.
    pub student: &'a Network,
    /// The training images.
    pub training: &'a Arc<Dataset>,
    /// How it will be trained.
    pub config: &'a TrainConfig,
}

/// Examines a run before its first step. The student runs as in training, on weights of its own; what is
/// measured is dropped again. Blocks.
///
/// # Errors
/// Those of compiling a step, and of reading stored teacher outputs.
pub fn examine(subject: &Subject<'_>, teaching: Teaching<'_>, scheme: &Scheme<'_>) -> Result<Vec<Finding>> {
    Ok(diagnose(&measure(subject, teaching, scheme)?))
}

struct MeasuredTerm {
    figure: TermFigure,
    loss: Tensor,
    /// Square of its gradient's norm, (1).
    squared: Option<Tensor>,
    /// What it softens (N, C), and the temperature.
    softens: Option<(Tensor, f32)>,
}

struct Probe {
    plan: Plan,
    inputs: Inputs,
    stored: Option<StoredInputs>,
    student: Tensor,
    teachers: Vec<Tensor>,
    terms: Vec<MeasuredTerm>,
    taps: Vec<Tapped>,
    scalars: Vec<(Scalar, f32)>,
}

/// The figures that [`examine`] judges. Blocks.
///
/// # Errors
/// Those of [`examine`].
pub fn measure(subject: &Subject<'_>, mut teaching: Teaching<'_>, scheme: &Scheme<'_>) -> Result<Figures> {
    let extended = extended(subject.gpu, subject.student, &teaching, subject.config.seed)?;
    let subject = &Subject { student: extended.as_ref().unwrap_or(subject.student), ..*subject };
    let Subject { gpu, student, training, config } = *subject;
    let batch_size = config.batch_size;
    let loader = Loader::new(training.clone(), config.loader())?;
    let mut weights = student.params.clone();
    for term in teaching.terms() {
        start(term, &mut weights, &teaching)?;
    }
    let params = DeviceParams::trainable(gpu, "student", &weights)?;
    let probe = Probe::new(subject, &params, &mut teaching, scheme, config.steps(loader.batches()))?;
    let mut figures = Figures {
        classes: training.class_names.clone(),
        normalisation: (training.mean.clone(), training.std.clone()),
        starts_as_student: scheme.average.is_some(),
        ..Default::default()
    };
    let names = names(&teaching, scheme);
    let (mut labels, mut answers) = (Vec::new(), vec![Vec::new(); probe.teachers.len() + 1]);
    for batch in loader.epoch(0).take(IMAGES.div_ceil(batch_size)) {
        probe.run(&batch, config.seed)?;
        if batch.index == 0 {
            figures.terms = probe.terms.iter().map(|t| probe.term(t)).collect::<Result<_>>()?;
            figures.taps =
                probe.taps.iter().filter_map(|t| probe.tap(t).transpose()).collect::<Result<_>>()?;
        }
        labels.extend_from_slice(&batch.labels);
        let all_logits = std::iter::once(&probe.student).chain(&probe.teachers);
        for (answers, logits) in answers.iter_mut().zip(all_logits) {
            let values = probe.plan.read_f32(logits)?;
            // NaN is no class.
            answers.extend(values.chunks(logits.dims()[1]).map(|row| largest(row).unwrap_or(usize::MAX)));
        }
    }
    figures.samples = labels.len();
    figures.student_accuracy = accuracy(&answers[0], &labels);
    let teachers = names.into_iter().zip(&answers[1..]);
    figures.teachers = teachers.map(|(name, answers)| teacher(name, answers, &labels)).collect();
    Ok(figures)
}

/// How the teachers are called: by number and architecture where there are several.
fn names(teaching: &Teaching<'_>, scheme: &Scheme<'_>) -> Vec<String> {
    let first = match teaching {
        Teaching::Live(teacher) => &teacher.network.name,
        Teaching::Stored(stored) => &stored.outputs.info().teacher,
    };
    if scheme.others.is_empty() {
        return vec!["the teacher".into()];
    }
    let all = std::iter::once(first).chain(scheme.others.iter().map(|member| &member.network.name));
    all.enumerate().map(|(index, name)| format!("teacher {} ({})", index + 1, printable(name))).collect()
}

fn teacher(name: String, answers: &[usize], labels: &[i32]) -> TeacherFigure {
    let (accuracy, agreement) = (accuracy(answers, labels), agreement(answers, labels));
    TeacherFigure { name, classes: Vec::new(), accuracy, agreement }
}

fn accuracy(answers: &[usize], labels: &[i32]) -> f64 {
    let right = answers.iter().zip(labels).filter(|(a, l)| i32::try_from(**a) == Ok(**l)).count();
    right as f64 / labels.len().max(1) as f64
}

/// The largest value of a weight on its schedule over the training.
pub(super) fn peak(weight: f32, schedule: &TermSchedule, steps: u64) -> f64 {
    let at = |point: u64| schedule.at(point * steps.saturating_sub(1) / POINTS, steps);
    f64::from(weight) * (0..=POINTS).map(at).fold(0.0, f64::max)
}

impl Probe {
    fn new(
        subject: &Subject<'_>,
        params: &DeviceParams,
        teaching: &mut Teaching<'_>,
        scheme: &Scheme<'_>,
        steps: u64,
    ) -> Result<Self> {
        let Subject { gpu, student, training, config } = *subject;
        let tape = Tape::new();
        let inputs = Inputs::new(&tape, config.batch_size, &config.images(training))?;
        let fx = Forward::train(&tape, params);
        let logits = student.forward(&fx, &inputs.images)?;
        let settings = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: config.label_smoothing };
        let ce = logits.cross_entropy(&inputs.labels, &settings)?;
        let seen = Seen {
            network: student,
            forward: &fx,
            logits: &logits,
            inputs: &inputs,
            samples: training.len(),
        };
        let distilled = Distillation::record(gpu, &tape, &seen, teaching, scheme, config.seed)?;
        let mut terms = vec![measured(CE, peak(config.ce_weight, &config.ce_schedule, steps), ce, &fx)?];
        let mut scalars = Vec::new();
        let targets = distilled.targets.into_iter().zip(teaching.terms());
        for ((name, loss), (targets, term)) in distilled.terms.into_iter().zip(targets) {
            let mut made = measured(name, peak(term.weight, &term.schedule, steps), loss, &fx)?;
            let temperature = term.values.plain_temperature().filter(|_| term.method.needs_teacher());
            made.softens = temperature.map(|t| (targets, t));
            terms.push(made);
            for (name, schedule) in term.method.scalars() {
                scalars.push((tape.scalar(name)?, peak(1.0, &schedule, steps) as f32));
            }
        }
        let (mut teachers, mut taps) = (distilled.teachers, distilled.tapped);
        if !teaching.terms().iter().any(|term| term.method.needs_teacher()) {
            // What stands in for a teacher teaches nothing.
            teachers.clear();
            taps.retain(|tap| tap.owner == "student");
        }
        let mut outputs: Vec<&Tensor> = vec![&logits, &inputs.labels, &inputs.ids];
        outputs.extend(teachers.iter().chain(taps.iter().map(|t| &t.tensor)));
        for term in &terms {
            outputs.push(&term.loss);
            outputs.extend(term.squared.iter().chain(term.softens.as_ref().map(|(targets, _)| targets)));
        }
        let plan = Plan::new(gpu, &tape, &outputs)?;
        let mut stored = distilled.stored;
        if let Some(stored) = &mut stored {
            stored.keep_used(&plan);
        }
        Ok(Self { plan, student: logits, inputs, stored, teachers, terms, taps, scalars })
    }

    fn run(&self, batch: &Batch, seed: u64) -> Result<()> {
        self.inputs.write(&self.plan, batch)?;
        if let Some(stored) = &self.stored {
            stored.write(&self.plan, batch, 0)?;
        }
        let mut step = Step::new(0, seed);
        self.scalars.iter().for_each(|(scalar, value)| step.set(*scalar, *value));
        self.plan.run(&step)
    }

    fn number(&self, tensor: &Tensor) -> Result<f64> {
        Ok(self.plan.read_f32(tensor)?.first().map_or(f64::NAN, |v| f64::from(*v)))
    }

    fn term(&self, term: &MeasuredTerm) -> Result<TermFigure> {
        let squared = term.squared.as_ref().map(|t| self.number(t)).transpose()?;
        let softened = term.softens.as_ref().map(|(targets, temperature)| {
            let temperature = f64::from(*temperature);
            let logits = self.plan.read_f32(targets)?;
            Ok::<_, Error>((temperature, mean_entropy(&logits, targets.dims()[1], temperature)))
        });
        Ok(TermFigure {
            loss: self.number(&term.loss)?,
            gradient: squared.map(f64::sqrt),
            softened: softened.transpose()?,
            ..term.figure.clone()
        })
    }

    /// `None` for a tap that has no channels on axis 1: neither (N, C) nor (N, C, H, W).
    fn tap(&self, tap: &Tapped) -> Result<Option<TapFigure>> {
        let dims = tap.tensor.dims();
        let (channels, inner) = match *dims {
            [_, channels] => (channels, 1),
            [_, channels, height, width] => (channels, height * width),
            _ => return Ok(None),
        };
        let mut alive = vec![false; channels];
        for (at, plane) in self.plan.read_f32(&tap.tensor)?.chunks(inner.max(1)).enumerate() {
            alive[at % channels] |= plane.iter().any(|v| *v != 0.0);
        }
        let dead = alive.iter().filter(|alive| !**alive).count();
        Ok(Some(TapFigure { owner: tap.owner, name: tap.name.clone(), channels, dead }))
    }
}

/// A term, and the square of its gradient on the student's weights where it depends on them.
fn measured(name: &str, weight: f64, loss: Tensor, student: &Forward<'_>) -> Result<MeasuredTerm> {
    let figure = TermFigure { name: name.into(), weight, ..Default::default() };
    let squared = squared_gradient(&loss, student)?;
    Ok(MeasuredTerm { figure, loss, squared, softens: None })
}

/// The square of a loss's gradient, (1), on the weights of a pass; `None` where the loss does not depend on them.
pub(super) fn squared_gradient(loss: &Tensor, pass: &Forward<'_>) -> Result<Option<Tensor>> {
    let mut squared: Option<Tensor> = None;
    if loss.requires_grad() {
        let gradients = loss.backward()?;
        for (_, leaf) in pass.leaves() {
            let Some(gradient) = gradients.get(&leaf) else { continue };
            let axes: Vec<usize> = (0..gradient.dims().len()).collect();
            let own = gradient.mul(gradient)?.sum(&axes, false)?;
            squared = Some(match squared {
                None => own,
                Some(sum) => sum.add(&own)?,
            });
        }
    }
    Ok(squared)
}

/// Mean over rows of the entropy, in nats, of softmax(z / T).
fn mean_entropy(logits: &[f32], classes: usize, temperature: f64) -> f64 {
    let entropy = |row: &[f32]| {
        let most = row.iter().fold(f64::NEG_INFINITY, |most, z| most.max(f64::from(*z)));
        let cooled: Vec<f64> = row.iter().map(|z| (f64::from(*z) - most) / temperature).collect();
        let sum: f64 = cooled.iter().map(|z| z.exp()).sum();
        // H = log sum_c e^z_c - sum_c p_c z_c
        sum.ln() - cooled.iter().map(|z| z.exp() / sum * z).sum::<f64>()
    };
    let rows = logits.len() / classes.max(1);
    logits.chunks(classes.max(1)).map(entropy).sum::<f64>() / rows.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropies_of_known_distributions() {
        assert!((mean_entropy(&[3.0; 8], 4, 2.0) - 4f64.ln()).abs() < 1e-12);
        assert!(mean_entropy(&[50.0, 0.0, 0.0], 3, 0.05) < 1e-12);
        // softmax(log 3, 0) is (3/4, 1/4).
        let want = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((mean_entropy(&[2.0 * 3f32.ln(), 0.0], 2, 2.0) - want).abs() < 1e-6);
    }

    #[test]
    fn a_weight_is_taken_at_its_peak() {
        let late = TermSchedule { from: 0.5, warmup: 0.1, ..Default::default() };
        assert!((peak(2.0, &late, 1000) - 2.0).abs() < 1e-6);
        assert!((peak(2.0, &TermSchedule::default(), 1) - 2.0).abs() < 1e-6);
        assert_eq!(peak(0.0, &late, 1000), 0.0);
    }
}
