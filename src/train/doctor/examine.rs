//! Measures what the checks look at: one plan of teachers, student, terms and their gradients, which runs on
//! the training's first batch, and on a few more for the shares of right answers.

use super::answers::agreement;
use super::figures::{Figures, TapFigure, TeacherFigure, TermFigure};
use super::peers::number;
use crate::Result;
use crate::data::{Batch, IGNORE_LABEL, Loader};
use crate::distill::TermSchedule;
use crate::gpu::Gpu;
use crate::models::NUMBERS;
use crate::nn::Forward;
use crate::report::{mean_cosine, printable};
use crate::tape::{Plan, Scalar, Step, Tensor};
use crate::tasks::{Leaves, Rows};
use crate::train::schemes::Scheme;
use crate::train::step::record::{BatchRecording, ScaledTerm};
use crate::train::teacher::TeacherSource;
use crate::train::teacher::distillation::Tapped;
use crate::train::{StepConfig, TrainConfig};

/// Samples over which shares of right answers are measured, at least.
const SAMPLES: usize = 128;
/// Points of the training at which a schedule is looked at for a term's largest weight.
const POINTS: u64 = 64;

/// A term that is on a tape.
pub(super) struct MeasuredTerm {
    pub figure: TermFigure,
    pub loss: Tensor,
    /// Square of its gradient's norm, (1).
    pub squared: Option<Tensor>,
    /// What it softens (N, C), and the temperature.
    softens: Option<(Tensor, f32)>,
}

struct Probe {
    plan: Plan,
    leaves: Leaves,
    /// The student's rows, where the task has such, with their labels, where these have some.
    student: Option<Rows>,
    /// Logits (N, C) of each teacher.
    teachers: Vec<Tensor>,
    /// Vectors (N, D) of the first teacher and of the student, where the task compares no rows.
    vectors: [Option<Tensor>; 2],
    terms: Vec<MeasuredTerm>,
    taps: Vec<Tapped>,
    scalars: Vec<(Scalar, f32)>,
}

/// The figures of a student and its teachers, from the recording of its step and the first batches of `loader`. Running them
/// changes what a training step changes besides weights (running statistics, memory banks): the caller uploads these anew.
pub(in crate::train) async fn figures(
    gpu: &Gpu,
    recording: &BatchRecording<'_>,
    (teaching, scheme): (&TeacherSource<'_>, &Scheme<'_>),
    of: &StepConfig<'_>,
    (loader, classes): (&Loader, &[String]),
) -> Result<Figures> {
    let probe = Probe::new(gpu, recording, teaching, of).await?;
    let views = of.task.views();
    let known = Figures {
        classes: classes.to_vec(),
        normalisation: (views.mean, views.std),
        starts_as_student: scheme.average.is_some(),
        ..Default::default()
    };
    probe.figures(known, loader, of.train.seed, names(teaching, scheme)).await
}

/// How the teachers are called: by number and architecture where there are several.
fn names(teaching: &TeacherSource<'_>, scheme: &Scheme<'_>) -> Vec<String> {
    let first = match teaching {
        TeacherSource::Live(teacher) => &teacher.network.name,
        TeacherSource::Stored(stored) => &stored.outputs.info().teacher,
    };
    if scheme.others.is_empty() {
        return vec!["the teacher".into()];
    }
    let all = std::iter::once(first).chain(scheme.others.iter().map(|member| &member.network.name));
    all.enumerate().map(|(index, name)| format!("teacher {} ({})", index + 1, printable(name))).collect()
}

fn teacher(name: String, answers: &[usize], labels: &[i32]) -> TeacherFigure {
    let (right, agreement) = (share_right(answers, labels), agreement(answers, labels));
    TeacherFigure { name, right, agreement, ..Default::default() }
}

fn share_right(answers: &[usize], labels: &[i32]) -> f64 {
    let right = answers.iter().zip(labels).filter(|(a, l)| i32::try_from(**a) == Ok(**l)).count();
    right as f64 / labels.len().max(1) as f64
}

/// The largest value of a weight on its schedule over the training.
pub(super) fn peak(weight: f32, schedule: &TermSchedule, steps: u64) -> f64 {
    let at = |point: u64| schedule.at(point * steps.saturating_sub(1) / POINTS, steps);
    f64::from(weight) * (0..=POINTS).map(at).fold(0.0, f64::max)
}

impl Probe {
    /// Adds each term's gradient to a recording, and compiles what is measured. Nothing of it is in the step.
    async fn new(
        gpu: &Gpu,
        recording: &BatchRecording<'_>,
        teaching: &TeacherSource<'_>,
        of: &StepConfig<'_>,
    ) -> Result<Self> {
        let StepConfig { task, train, steps, .. } = *of;
        let pass = &recording.forward;
        let mut terms = task_terms(recording, &train.clone().with_ce(teaching.objective()), steps)?;
        let mut scalars = Vec::new();
        let (mut teachers, mut taps, mut vectors) = (Vec::new(), Vec::new(), [None, None]);
        if let Some(distilled) = &recording.distilled {
            let targets = distilled.targets.iter().zip(teaching.terms());
            for ((name, loss), (targets, term)) in distilled.terms.iter().zip(targets) {
                let mut made = measured(name, peak(term.weight, &term.schedule, steps), loss, pass)?;
                let temperature = term.values.plain_temperature().filter(|_| term.method.needs_teacher());
                made.softens = targets.clone().zip(temperature);
                terms.push(made);
                for (name, schedule) in term.method.scalars() {
                    scalars.push((recording.tape().scalar(name)?, peak(1.0, &schedule, steps) as f32));
                }
            }
            (teachers, taps) = (distilled.teachers.clone(), distilled.tapped.clone());
            vectors[0] = distilled.vectors.clone();
        }
        if !teaching.terms().iter().any(|term| term.method.needs_teacher()) {
            // What stands in for a teacher teaches nothing.
            teachers.clear();
            vectors[0] = None;
            taps.retain(|tap| tap.owner == "student");
        }
        let student = task.rows(&recording.outputs, &recording.leaves)?;
        if student.is_none() {
            vectors[1] = recording.outputs.get(NUMBERS).ok().cloned();
        }
        let mut kept: Vec<&Tensor> =
            student.iter().flat_map(|rows| std::iter::once(&rows.values).chain(&rows.labels)).collect();
        kept.extend(teachers.iter().chain(vectors.iter().flatten()).chain(taps.iter().map(|t| &t.tensor)));
        for term in &terms {
            kept.push(&term.loss);
            kept.extend(term.squared.iter().chain(term.softens.as_ref().map(|(targets, _)| targets)));
        }
        let plan = Plan::compile(gpu, recording.tape(), &kept).await?;
        let leaves = recording.leaves.clone();
        Ok(Self { plan, student, leaves, teachers, vectors, terms, taps, scalars })
    }

    fn run(&self, batch: &Batch, seed: u64) -> Result<()> {
        self.leaves.write(&self.plan, batch)?;
        let mut step = Step::new(0, seed);
        self.scalars.iter().for_each(|(scalar, value)| step.set(*scalar, *value));
        self.plan.run(&step)
    }

    /// Runs the first batches, and adds to what is known.
    async fn figures(
        &self,
        mut figures: Figures,
        loader: &Loader,
        seed: u64,
        names: Vec<String>,
    ) -> Result<Figures> {
        let mut alike = [None, None];
        let (mut labels, mut answers) = (Vec::new(), vec![Vec::new(); self.teachers.len() + 1]);
        for batch in loader.epoch(0).take(SAMPLES.div_ceil(loader.config().batch_size)) {
            let batch = batch?;
            self.run(&batch, seed)?;
            if batch.index == 0 {
                for term in &self.terms {
                    figures.terms.push(self.term(term).await?);
                }
                for tap in &self.taps {
                    figures.taps.extend(self.tap(tap).await?);
                }
                for (alike, vectors) in alike.iter_mut().zip(&self.vectors) {
                    *alike = self.alike(vectors, batch.len).await?;
                }
            }
            // What has no labels has no answers that are right or wrong.
            let Some(Rows { values, labels: Some(right), .. }) = &self.student else { break };
            let read = self.plan.read(right)?.await?;
            let right: Vec<i32> = bytemuck::pod_collect_to_vec(&read);
            // Rows without a label have no right answer.
            let labelled = |row: &usize| right[*row] != IGNORE_LABEL;
            labels.extend((0..right.len()).filter(labelled).map(|row| right[row]));
            let all = std::iter::once(values).chain(&self.teachers);
            for (answers, logits) in answers.iter_mut().zip(all) {
                let values = self.plan.read_f32_async(logits).await?;
                // What is no answer is no class.
                let rows: Vec<&[f32]> = values.chunks(logits.dims()[1]).collect();
                let labelled = (0..rows.len()).filter(labelled);
                answers.extend(labelled.map(|row| Rows::answer(rows[row]).unwrap_or(usize::MAX)));
            }
        }
        figures.samples = labels.len();
        figures.student_right = share_right(&answers[0], &labels);
        let [of_teacher, of_student] = alike;
        figures.student_alike = of_student;
        if of_teacher.is_some() {
            let name = names.first().cloned().unwrap_or_default();
            figures.teachers = vec![TeacherFigure { name, alike: of_teacher, ..Default::default() }];
            return Ok(figures);
        }
        let teachers = names.into_iter().zip(&answers[1..]);
        figures.teachers = teachers.map(|(name, answers)| teacher(name, answers, &labels)).collect();
        Ok(figures)
    }

    /// The mean cosine of any two of a batch's `samples` vectors.
    async fn alike(&self, vectors: &Option<Tensor>, samples: usize) -> Result<Option<f64>> {
        let Some(vectors) = vectors else { return Ok(None) };
        let values = self.plan.read_f32_async(vectors).await?;
        let width = values.len() / vectors.dims().first().copied().unwrap_or(1).max(1);
        Ok(mean_cosine(values.chunks(width.max(1)).take(samples)))
    }

    async fn term(&self, term: &MeasuredTerm) -> Result<TermFigure> {
        let gradient = match &term.squared {
            Some(squared) => Some(number(&self.plan, squared).await?.sqrt()),
            None => None,
        };
        let softened = match &term.softens {
            Some((targets, temperature)) => {
                let temperature = f64::from(*temperature);
                let logits = self.plan.read_f32_async(targets).await?;
                Some((temperature, mean_entropy(&logits, targets.dims()[1], temperature)))
            }
            None => None,
        };
        Ok(TermFigure {
            loss: number(&self.plan, &term.loss).await?,
            gradient,
            softened,
            ..term.figure.clone()
        })
    }

    /// `None` for a tap that has no channels on axis 1: neither (N, C) nor (N, C, H, W).
    async fn tap(&self, tap: &Tapped) -> Result<Option<TapFigure>> {
        let dims = tap.tensor.dims();
        let (channels, inner) = match *dims {
            [_, channels] => (channels, 1),
            [_, channels, height, width] => (channels, height * width),
            _ => return Ok(None),
        };
        let mut alive = vec![false; channels];
        for (at, plane) in self.plan.read_f32_async(&tap.tensor).await?.chunks(inner.max(1)).enumerate() {
            alive[at % channels] |= plane.iter().any(|v| *v != 0.0);
        }
        let dead = alive.iter().filter(|alive| !**alive).count();
        Ok(Some(TapFigure { owner: tap.owner, name: tap.name.clone(), channels, dead }))
    }
}

/// A term, and the square of its gradient on the student's weights where it depends on them.
pub(super) fn measured(
    name: &str,
    weight: f64,
    loss: &Tensor,
    student: &Forward<'_>,
) -> Result<MeasuredTerm> {
    let figure = TermFigure { name: name.into(), weight, ..Default::default() };
    Ok(MeasuredTerm { figure, loss: loss.clone(), squared: squared_gradient(loss, student)?, softens: None })
}

/// The terms of the task's own loss.
pub(super) fn task_terms(
    recording: &BatchRecording<'_>,
    config: &TrainConfig,
    steps: u64,
) -> Result<Vec<MeasuredTerm>> {
    let terms = recording.terms.iter().map(|ScaledTerm { term, .. }| {
        let weight = peak(term.weight * config.ce_weight, &config.ce_schedule, steps);
        let made = measured(term.name, weight, &term.loss, &recording.forward)?;
        Ok(MeasuredTerm { figure: TermFigure { of_task: true, ..made.figure }, ..made })
    });
    terms.collect()
}

/// The square of a loss's gradient, (1), on the weights of a pass; `None` where the loss does not depend on them.
fn squared_gradient(loss: &Tensor, pass: &Forward<'_>) -> Result<Option<Tensor>> {
    let mut squared: Option<Tensor> = None;
    if loss.requires_grad() {
        let gradients = loss.backward()?;
        for (_, leaf) in pass.leaves() {
            let Some(gradient) = gradients.find(&leaf)? else { continue };
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
