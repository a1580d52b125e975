//! One training step as a plan: teacher, student, losses, gradients and optimizer in a single submit.

use super::batch::Inputs;
use super::sums::{SumBuffers, Sums};
use crate::data::{Batch, IGNORE_LABEL};
use crate::distill::TermSchedule;
use crate::gpu::{BufferSlice, Gpu};
use crate::models::Network;
use crate::nn::{DeviceParams, Forward, Params, Precision};
use crate::ops::augment::ImageBatch;
use crate::ops::cross_entropy::CrossEntropy;
use crate::optim::{
    Ema, EmaConfig, EmaUpdate, Group, LossScale, LossScaleConfig, LossScaleState, Optimizer, OptimizerConfig,
    OptimizerUpdate,
};
use crate::tape::{Cost, Plan, Scalar, Step, Tape, Tensor};
use crate::train::schemes::{MeanTeacher, Mutual, Peer, Scheme, peer_state};
use crate::train::teacher::distillation::{Distillation, Regressors, Seen, Teaching};
use crate::train::teacher::stored::StoredInputs;
use crate::{Error, Result};

/// What a step is made of.
pub struct StepConfig {
    /// Samples a step.
    pub batch_size: usize,
    /// Decoding and augmentation.
    pub images: ImageBatch,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Most global gradient norm; no clipping when absent.
    pub max_grad_norm: Option<f32>,
    /// Weight of the cross-entropy with the labels.
    pub ce_weight: f32,
    /// How that weight changes over the training.
    pub ce_schedule: TermSchedule,
    /// Its label smoothing.
    pub label_smoothing: f32,
    /// Computes blocks a second time in the backward sweep instead of keeping their activations.
    pub recompute: bool,
    /// How activations and the weights that layers read are stored.
    pub precision: Precision,
    /// How the loss scale of mixed precision moves.
    pub loss_scale: LossScaleConfig,
    /// An average of the weights, kept beside them.
    pub ema: Option<EmaConfig>,
    /// Initialises regressors.
    pub seed: u64,
    /// Steps of the whole training, which schedules of terms are shares of.
    pub steps: u64,
    /// Images of the training set.
    pub samples: usize,
}

/// A compiled training step of one student.
pub struct TrainStep {
    plan: Plan,
    inputs: Inputs,
    stored: Option<StoredInputs>,
    update: OptimizerUpdate,
    optimizer: Optimizer,
    ema: Option<(Ema, EmaUpdate)>,
    mean_teacher: Option<MeanTeacher>,
    loss_scale: Option<LossScale>,
    peer: Option<(Optimizer, OptimizerUpdate)>,
    regressors: Option<Regressors>,
    weights: Vec<(Scalar, f32, TermSchedule)>,
    steps: u64,
    terms: Vec<(&'static str, Tensor)>,
    loss: Tensor,
    sums: SumBuffers,
    // Keeps the buffer of the pull's anchor alive beside the plan that reads it.
    _anchor: Option<DeviceParams>,
}

impl TrainStep {
    /// Records and compiles the step. `params` are the student's, uploaded as trainable.
    pub fn new<'a>(
        gpu: &Gpu,
        student: &Network,
        params: &DeviceParams,
        teacher: Option<impl Into<Teaching<'a>>>,
        config: &StepConfig,
    ) -> Result<Self> {
        let teaching = (teacher.map(Into::into), None);
        Self::with_scheme(gpu, student, params, teaching, &Scheme::default(), config)
    }

    /// [`TrainStep::new`] with more teachers, a teacher that follows the student, or a peer.
    pub(super) fn with_scheme(
        gpu: &Gpu,
        student: &Network,
        params: &DeviceParams,
        (mut teacher, peer): (Option<Teaching<'_>>, Option<Peer<'_>>),
        scheme: &Scheme<'_>,
        config: &StepConfig,
    ) -> Result<Self> {
        let tape = Tape::new();
        let inputs = Inputs::new(&tape, config.batch_size, &config.images)?;
        let fx = Forward::train(&tape, params).recomputing(config.recompute).storing(config.precision);
        let logits = student.forward(&fx, &inputs.images)?;
        let settings = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: config.label_smoothing };
        let ce = logits.cross_entropy(&inputs.labels, &settings)?;
        let (mut loss, ce_scalar) = scaled(&ce, "ce")?;
        let mut weights = vec![(ce_scalar, config.ce_weight, config.ce_schedule)];
        let mut terms = vec![("ce", ce)];
        let (mut regressors, mut anchor) = (None, None);
        let mut stored = None;
        if let Some(teacher) = &mut teacher {
            let seen = Seen {
                network: student,
                forward: &fx,
                logits: &logits,
                inputs: &inputs,
                samples: config.samples,
            };
            let distilled = Distillation::record(gpu, &tape, &seen, teacher, scheme, config.seed)?;
            loss = loss.add(&distilled.loss)?;
            for (scalar, term) in distilled.weights.into_iter().zip(teacher.terms()) {
                weights.push((scalar, term.weight, term.schedule));
                for (name, schedule) in term.method.scalars() {
                    weights.push((tape.scalar(name)?, 1.0, schedule));
                }
            }
            terms.extend(distilled.terms);
            regressors = distilled.regressors;
            anchor = pull_anchor(gpu, student, teacher)?;
            stored = distilled.stored;
        }
        let mutual = peer
            .map(|peer| Mutual::record(&fx, peer, &logits, &inputs.images, &inputs.labels))
            .transpose()?;
        if let Some(mutual) = &mutual {
            loss = loss.add(&mutual.loss)?;
            terms.extend(mutual.terms.iter().cloned());
        }
        let sums = SumBuffers::new(gpu)?;
        sums.record(&tape, &logits, &inputs.labels, &loss)?;
        let loss_scale = match config.precision {
            Precision::F32 => None,
            Precision::Mixed => Some(LossScale::new(gpu, config.loss_scale)?),
        };
        let scale = loss_scale.as_ref().map(|scale| scale.scale(&tape)).transpose()?;
        let gradients = match &scale {
            None => loss.backward()?,
            Some(scale) => loss.backward_scaled(scale)?,
        };
        fx.place_gradients(&gradients)?;
        if let Some(own) = &regressors {
            own.place_gradients(&gradients)?;
        }
        let groups = groups(&tape, params, regressors.as_ref())?;
        if let Some(scale) = &scale {
            groups.iter().try_for_each(|group| group.gradients.unscale_in_place(scale))?;
        }
        if let Some((anchor, strength)) = &anchor {
            let scalar = tape.scalar("pull")?;
            groups[0].gradients.pull_in_place(
                &groups[0].weights,
                &anchor.flat_weights(&tape)?,
                &groups[0].decay_mask,
                scalar,
            )?;
            weights.push((scalar, *strength, TermSchedule::default()));
        }
        let elements: Vec<usize> = groups.iter().map(|g| g.weights.meta().len()).collect();
        let optimizer = Optimizer::new(gpu, "optimizer", config.optimizer, &elements)?;
        let update = optimizer.record(&tape, &groups, config.max_grad_norm)?;
        let peer = mutual
            .map(|m| m.update(gpu, &gradients, scale.as_ref(), config.optimizer, config.max_grad_norm))
            .transpose()?;
        if let (Some(state), Some(scale)) = (&loss_scale, &scale) {
            let peer = peer.iter().map(|(_, update)| &update.grad_norm);
            let norms: Vec<&Tensor> = std::iter::once(&update.grad_norm).chain(peer).collect();
            state.update(&tape, scale, &norms)?;
        }
        let mean_teacher = match (scheme.average, &teacher) {
            (Some(config), Some(Teaching::Live(teacher))) => {
                Some(MeanTeacher::record(gpu, &tape, config, params, teacher.params)?)
            }
            _ => None,
        };
        let ema = config.ema.map(|ema| average(gpu, &tape, ema, params, &groups[0].weights)).transpose()?;
        let mut outputs = vec![&loss, &update.grad_norm];
        outputs.extend(terms.iter().map(|(_, t)| t));
        outputs.extend(peer.iter().map(|(_, update)| &update.grad_norm));
        let plan = Plan::new(gpu, &tape, &outputs)?;
        let anchor = anchor.map(|(device, _)| device);
        if let Some(stored) = &mut stored {
            stored.keep_used(&plan);
        }
        Ok(Self {
            plan,
            inputs,
            stored,
            update,
            optimizer,
            ema,
            mean_teacher,
            loss_scale,
            peer,
            regressors,
            weights,
            steps: config.steps,
            terms,
            loss,
            sums,
            _anchor: anchor,
        })
    }

    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        self.plan.cost()
    }

    /// The compiled plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The average of the weights, where one was asked for.
    pub fn ema(&self) -> Option<&Ema> {
        self.ema.as_ref().map(|(ema, _)| ema)
    }

    /// The distillation methods' own parameters, host and device side, where they have any.
    pub fn regressors(&mut self) -> Option<(&mut Params, &DeviceParams)> {
        self.regressors.as_mut().map(|r| (&mut r.host, &r.device))
    }

    /// Runs one step. Returns at once; [`TrainStep::sums`] waits.
    pub fn run(&self, batch: &Batch, step: &mut Step, learning_rate: f64) -> Result<()> {
        self.inputs.write(&self.plan, batch)?;
        if let Some(stored) = &self.stored {
            stored.write(&self.plan, batch, u64::from(step.epoch))?;
        }
        let number = u64::from(step.number);
        self.update.set_step(step, learning_rate, number);
        for (scalar, weight, schedule) in &self.weights {
            step.set(*scalar, weight * schedule.at(number, self.steps) as f32);
        }
        if let Some((_, update)) = &self.peer {
            update.set_step(step, learning_rate, number);
        }
        if let Some(teacher) = &self.mean_teacher {
            teacher.set_step(step, number);
        }
        if let Some((_, update)) = &self.ema {
            update.set_step(step, number);
        }
        self.plan.run(step)
    }

    /// What the steps since the last reset added up to. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn sums(&self) -> Result<Sums> {
        self.plan.gpu().block_on(self.sums_async())
    }

    /// [`TrainStep::sums`] for callers that may not block.
    pub async fn sums_async(&self) -> Result<Sums> {
        self.sums.read().await
    }

    /// Starts adding up anew.
    pub fn reset_sums(&self) -> Result<()> {
        self.sums.reset()
    }

    /// All that a step changes besides the student's and the regressors' parameters, by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        let mut all = self.optimizer.state();
        all.extend(self.ema().map(Ema::state).unwrap_or_default());
        all.extend(self.mean_teacher.iter().flat_map(MeanTeacher::state));
        all.extend(self.loss_scale.iter().flat_map(LossScale::state));
        all.extend(peer_state(&self.peer));
        all.extend(self.sums.state());
        all
    }

    /// The loss scale of mixed precision, and the steps it cost so far.
    pub async fn loss_scale(&self) -> Result<Option<LossScaleState>> {
        match &self.loss_scale {
            Some(scale) => scale.read().await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether the last step's loss and gradient norm were finite; a step where they are not changes no weight. In mixed
    /// precision a gradient that is not finite is no failure but what the loss scale is found by, down to a scale that
    /// nothing sound needs.
    pub async fn is_finite(&self) -> Result<bool> {
        const LOWEST_SCALE: f64 = 1.0 / 65536.0;
        let found_by_overflow = self.loss_scale().await?.is_some_and(|state| state.scale >= LOWEST_SCALE);
        let loss = self.plan.read(&self.loss)?;
        let norm = self.plan.read_f32_async(&self.update.grad_norm).await?;
        let loss: Vec<f32> = bytemuck::pod_collect_to_vec(&loss.await?);
        Ok(loss.iter().all(|l| l.is_finite()) && (found_by_overflow || norm.get(1) == Some(&0.0)))
    }

    /// The error for a step that met NaN or infinity: reruns the last step to find where it began.
    pub async fn non_finite(&self, step: &Step) -> Error {
        match self.plan.first_non_finite(step).await {
            Err(error) => error,
            Ok(place) => {
                let place = place.unwrap_or_else(|| "the gradient norm, or a batch before the last".into());
                Error::NonFinite { step: step.number.into(), place }
            }
        }
    }

    /// The terms of the loss, unweighted, of the last step. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn terms(&self) -> Result<Vec<(&'static str, f32)>> {
        self.plan.gpu().block_on(self.terms_async())
    }

    /// [`TrainStep::terms`] for callers that may not block.
    pub async fn terms_async(&self) -> Result<Vec<(&'static str, f32)>> {
        let mut values = Vec::new();
        for (name, tensor) in &self.terms {
            let value = self.plan.read_f32_async(tensor).await?;
            values.push((*name, value.first().copied().unwrap_or(f32::NAN)));
        }
        Ok(values)
    }
}

/// `term` times a scalar of the step named after it, so that a schedule can change the weight without a new plan.
pub(in crate::train) fn scaled(term: &Tensor, name: &str) -> Result<(Tensor, Scalar)> {
    let scalar = term.tape().scalar(&format!("weight.{name}"))?;
    Ok((term.scale_by(scalar)?, scalar))
}

/// The student's flat tensors, then the regressors'.
fn groups(tape: &Tape, student: &DeviceParams, regressors: Option<&Regressors>) -> Result<Vec<Group>> {
    std::iter::once(student).chain(regressors.map(|r| &r.device)).map(|p| Group::of(p, tape)).collect()
}

/// Where the student's weights are pulled to, and how strongly: the teacher's weights, as they were chosen for it.
fn pull_anchor(gpu: &Gpu, student: &Network, teacher: &Teaching<'_>) -> Result<Option<(DeviceParams, f32)>> {
    let pull = teacher.terms().iter().find_map(|t| t.method.pull());
    let Some(((strength, transfer), weights)) = pull.zip(teacher.params()) else { return Ok(None) };
    let mut anchor = student.params.clone();
    transfer.apply(&mut anchor, weights)?;
    Ok(Some((DeviceParams::frozen(gpu, "anchor", &anchor)?, strength)))
}

fn average(
    gpu: &Gpu,
    tape: &Tape,
    config: EmaConfig,
    params: &DeviceParams,
    weights: &Tensor,
) -> Result<(Ema, EmaUpdate)> {
    let ema = Ema::new(gpu, "ema", config, &[weights.meta().len()])?;
    ema.reset(gpu, &[params.weights()])?;
    let update = ema.record(tape, &[weights])?;
    Ok((ema, update))
}
