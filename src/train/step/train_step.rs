//! One training step as a plan: teacher, student, losses, gradients and optimizer in a single submit.

use super::config::TrainConfig;
use super::counts;
use super::record::{BatchRecording, Pass, ScaledTerm};
use crate::data::{Batch, Source};
use crate::distill::TermSchedule;
use crate::gpu::{BufferSlice, Gpu};
use crate::models::Network;
use crate::nn::{DeviceParams, Params, Precision};
use crate::optim::{
    Ema, EmaConfig, EmaUpdate, Group, LossScale, LossScaleConfig, LossScaleState, Optimizer, OptimizerUpdate,
};
use crate::tape::{Cost, Plan, Scalar, Step, Tape, Tensor};
use crate::tasks::{Leaves, Meter, Tally, Task};
use crate::train::schemes::{MeanTeacher, Peer, Scheme, peer_state};
use crate::train::teacher::TeacherSource;
use crate::train::teacher::distillation::MethodParams;
use crate::{Error, Result};

/// What a step is made of.
#[derive(Clone)]
pub struct StepConfig<'a> {
    /// What is trained for.
    pub task: &'a dyn Task,
    /// Where batches come from.
    pub source: &'a dyn Source,
    /// How it is trained.
    pub train: &'a TrainConfig,
    /// How the loss scale of mixed precision moves.
    pub loss_scale: LossScaleConfig,
    /// Steps of the whole training, which schedules of terms are shares of.
    pub steps: u64,
}

impl<'a> StepConfig<'a> {
    /// A step of a training of `steps` steps.
    pub fn new(task: &'a dyn Task, source: &'a dyn Source, train: &'a TrainConfig, steps: u64) -> Self {
        Self { task, source, train, loss_scale: LossScaleConfig::default(), steps }
    }
}

/// A compiled training step of one student.
pub struct TrainStep {
    plan: Plan,
    leaves: Leaves,
    update: OptimizerUpdate,
    optimizer: Optimizer,
    ema: Option<(Ema, EmaUpdate)>,
    mean_teacher: Option<MeanTeacher>,
    loss_scale: Option<LossScale>,
    peer: Option<(Optimizer, OptimizerUpdate)>,
    regressors: Option<MethodParams>,
    weights: Vec<(Scalar, f32, TermSchedule)>,
    steps: u64,
    terms: Vec<(String, Tensor)>,
    loss: Tensor,
    meter: Box<dyn Meter>,
    // Keeps the buffer of L2-SP's anchor alive beside the plan that reads it.
    _anchor: Option<DeviceParams>,
}

impl TrainStep {
    /// Records and compiles the step. `params` are the student's, uploaded as trainable. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new<'a>(
        gpu: &Gpu,
        student: &Network,
        params: &DeviceParams,
        teacher: Option<impl Into<TeacherSource<'a>>>,
        config: &StepConfig<'_>,
    ) -> Result<Self> {
        gpu.block_on(Self::new_async(gpu, student, params, teacher, config))
    }

    /// [`TrainStep::new`] for callers that may not block.
    pub async fn new_async<'a>(
        gpu: &Gpu,
        student: &Network,
        params: &DeviceParams,
        teacher: Option<impl Into<TeacherSource<'a>>>,
        config: &StepConfig<'_>,
    ) -> Result<Self> {
        let teacher = teacher.map(Into::into);
        let scheme = Scheme::default();
        let recording = record(gpu, student, params, (teacher.as_ref(), None), &scheme, config)?;
        Self::compile(gpu, recording, (teacher.as_ref(), &scheme), config).await
    }

    /// Adds the optimizer, and all else that a step changes, to what was recorded, and compiles it.
    pub(in crate::train) async fn compile(
        gpu: &Gpu,
        recording: BatchRecording<'_>,
        (teacher, scheme): (Option<&TeacherSource<'_>>, &Scheme<'_>),
        config: &StepConfig<'_>,
    ) -> Result<Self> {
        let (train, tape) = (config.train, recording.tape().clone());
        let StepLoss { loss, terms, mut weights } = StepLoss::of(&recording, teacher, train)?;
        let BatchRecording { network: student, forward, leaves, outputs, distilled, mutual, .. } = recording;
        let params = forward.params();
        let regressors = distilled.and_then(|distilled| distilled.regressors);
        let anchor = teacher.map(|teacher| l2_sp_anchor(gpu, student, teacher)).transpose()?.flatten();
        let meter = config.task.meter(gpu)?;
        meter.record(&tape, &outputs, &leaves, &loss)?;
        let loss_scale = match train.precision {
            Precision::F32 => None,
            Precision::Mixed => Some(LossScale::new(gpu, config.loss_scale)?),
        };
        let scale = loss_scale.as_ref().map(|scale| scale.scale(&tape)).transpose()?;
        let gradients = match &scale {
            None => loss.backward()?,
            Some(scale) => loss.backward_scaled(scale)?,
        };
        forward.place_gradients(&gradients)?;
        if let Some(own) = &regressors {
            own.place_gradients(&gradients)?;
        }
        let groups = groups(&tape, params, regressors.as_ref())?;
        if let Some(scale) = &scale {
            groups.iter().try_for_each(|group| group.gradients.unscale_in_place(scale))?;
        }
        if let Some((anchor, strength)) = &anchor {
            weights.push((l2_sp(&tape, &groups[0], anchor)?, *strength, TermSchedule::default()));
        }
        let elements: Vec<usize> = groups.iter().map(|g| g.weights.meta().len()).collect();
        let optimizer = Optimizer::new(gpu, "optimizer", train.optimizer, &elements)?;
        let update = optimizer.record(&tape, &groups, train.max_grad_norm)?;
        let peer = mutual
            .map(|m| m.update(gpu, &gradients, scale.as_ref(), train.optimizer, train.max_grad_norm))
            .transpose()?;
        if let (Some(state), Some(scale)) = (&loss_scale, &scale) {
            let peer = peer.iter().map(|(_, update)| &update.grad_norm);
            let norms: Vec<&Tensor> = std::iter::once(&update.grad_norm).chain(peer).collect();
            state.update(&tape, scale, &norms)?;
        }
        let mean_teacher = match (scheme.average, teacher) {
            (None, _) => None,
            (Some(config), Some(TeacherSource::Live(teacher))) => {
                Some(MeanTeacher::record(gpu, &tape, config, params, teacher.params)?)
            }
            (Some(_), _) => {
                let message =
                    "a teacher that is the student's average must be live, with a network and parameters";
                return Err(Error::config("teacher", message));
            }
        };
        let ema = train.ema.map(|ema| average(gpu, &tape, ema, params, &groups[..1])).transpose()?;
        let mut kept = vec![&loss, &update.grad_norm];
        kept.extend(terms.iter().map(|(_, t)| t));
        kept.extend(peer.iter().map(|(_, update)| &update.grad_norm));
        let plan = Plan::compile(gpu, &tape, &kept).await?;
        Ok(Self {
            plan,
            leaves,
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
            meter,
            _anchor: anchor.map(|(device, _)| device),
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

    /// Whether it reads this field of the batch.
    pub(in crate::train) fn reads(&self, field: &str) -> bool {
        self.leaves.get(field).is_ok_and(|leaf| self.plan.holds(leaf))
    }

    /// The average of the weights, where one was asked for.
    pub fn ema(&self) -> Option<&Ema> {
        self.ema.as_ref().map(|(ema, _)| ema)
    }

    /// The distillation methods' own parameters, host and device side, where they have any.
    pub fn regressors(&mut self) -> Option<(&mut Params, &DeviceParams)> {
        self.regressors.as_mut().map(|r| (&mut r.host, &r.device))
    }

    /// Runs one step. Returns at once; [`TrainStep::tally`] waits.
    pub fn run(&self, batch: &Batch, step: &mut Step, learning_rate: f64) -> Result<()> {
        self.leaves.write(&self.plan, batch)?;
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

    /// What the steps since the last reset counted. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn tally(&self) -> Result<Tally> {
        self.plan.gpu().block_on(self.tally_async())
    }

    /// [`TrainStep::tally`] for callers that may not block.
    pub async fn tally_async(&self) -> Result<Tally> {
        counts::tally(self.plan.gpu(), self.meter.as_ref()).await
    }

    /// Starts counting anew.
    pub fn reset_counts(&self) -> Result<()> {
        counts::reset(self.plan.gpu(), self.meter.as_ref())
    }

    /// All that a step changes besides the student's and the regressors' parameters, by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        let mut all = self.optimizer.state();
        all.extend(self.ema().map(Ema::state).unwrap_or_default());
        all.extend(self.mean_teacher.iter().flat_map(MeanTeacher::state));
        all.extend(self.loss_scale.iter().flat_map(LossScale::state));
        all.extend(peer_state(&self.peer));
        all.extend(self.meter.counts());
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
    pub fn terms(&self) -> Result<Vec<(String, f32)>> {
        self.plan.gpu().block_on(self.terms_async())
    }

    /// [`TrainStep::terms`] for callers that may not block.
    pub async fn terms_async(&self) -> Result<Vec<(String, f32)>> {
        let mut values = Vec::new();
        for (name, tensor) in &self.terms {
            let value = self.plan.read_f32_async(tensor).await?;
            values.push((name.clone(), value.first().copied().unwrap_or(f32::NAN)));
        }
        Ok(values)
    }
}

/// Records a step's forward part: the student, the task's loss, and whoever teaches.
pub(in crate::train) fn record<'a>(
    gpu: &Gpu,
    student: &'a Network,
    params: &'a DeviceParams,
    (teacher, peer): (Option<&TeacherSource<'_>>, Option<Peer<'a>>),
    scheme: &Scheme<'_>,
    config: &StepConfig<'_>,
) -> Result<BatchRecording<'a>> {
    let StepConfig { task, source, train, .. } = *config;
    let pass = Pass::train(student, params);
    let pass = Pass { recompute: train.recompute, precision: train.precision, ..pass };
    let mut recording = BatchRecording::new(task, source, train.batch_size, pass)?.with_loss(task)?;
    if let Some(teacher) = teacher {
        recording = recording.with_teacher(gpu, task, (teacher, scheme), source.len(), train.seed)?;
    }
    match peer {
        Some(peer) => recording.with_peer(task, peer),
        None => Ok(recording),
    }
}

/// The weighted sum of all terms of a step.
struct StepLoss {
    loss: Tensor,
    /// Each term before weighting, (1), by name.
    terms: Vec<(String, Tensor)>,
    /// The scalars that weight them, with what each is over the training.
    weights: Vec<(Scalar, f32, TermSchedule)>,
}

impl StepLoss {
    fn of(
        recording: &BatchRecording<'_>,
        teacher: Option<&TeacherSource<'_>>,
        train: &TrainConfig,
    ) -> Result<Self> {
        let (ce_weight, ce_schedule) = match teacher.map(TeacherSource::objective) {
            Some(objective) => (objective.ce_weight, objective.ce_schedule),
            None => (train.ce_weight, train.ce_schedule),
        };
        let (mut terms, mut weights) = (Vec::new(), Vec::new());
        let mut sum: Option<Tensor> = None;
        for ScaledTerm { term, weighted, scalar } in &recording.terms {
            weights.push((*scalar, term.weight * ce_weight, ce_schedule));
            terms.push((term.name.to_string(), term.loss.clone()));
            sum = Some(match sum {
                None => weighted.clone(),
                Some(sum) => sum.add(weighted)?,
            });
        }
        if let (Some(distilled), Some(teacher)) = (&recording.distilled, teacher) {
            sum = Some(sum.map_or_else(|| Ok(distilled.loss.clone()), |sum| sum.add(&distilled.loss))?);
            for (scalar, term) in distilled.weights.iter().zip(teacher.terms()) {
                weights.push((*scalar, term.weight, term.schedule));
                for (name, schedule) in term.method.scalars() {
                    weights.push((recording.tape().scalar(name)?, 1.0, schedule));
                }
            }
            terms.extend(distilled.terms.iter().map(|(name, term)| (name.to_string(), term.clone())));
        }
        let message = "the task has no loss of its own; name a teacher, and a method to learn from it by";
        let mut loss = sum.ok_or_else(|| Error::config("task", message))?;
        if let Some(mutual) = &recording.mutual {
            loss = loss.add(&mutual.loss)?;
            terms.extend(mutual.terms.iter().map(|term| (term.name.clone(), term.loss.clone())));
        }
        Ok(Self { loss, terms, weights })
    }
}

/// L2-SP: pulls the student's weights toward those of `anchor`, by a scalar of the step.
fn l2_sp(tape: &Tape, student: &Group, anchor: &DeviceParams) -> Result<Scalar> {
    let scalar = tape.scalar("pull")?;
    let target = anchor.flat_weights(tape)?;
    student.gradients.l2_sp_in_place(&student.weights, &target, &student.decay_mask, scalar)?;
    Ok(scalar)
}

/// The student's flat tensors, then the regressors'.
fn groups(tape: &Tape, student: &DeviceParams, regressors: Option<&MethodParams>) -> Result<Vec<Group>> {
    std::iter::once(student).chain(regressors.map(|r| &r.device)).map(|p| Group::of(p, tape)).collect()
}

/// What L2-SP pulls the student's weights to, the teacher's weights as they were chosen for it, and how strongly.
fn l2_sp_anchor(
    gpu: &Gpu,
    student: &Network,
    teacher: &TeacherSource<'_>,
) -> Result<Option<(DeviceParams, f32)>> {
    let l2_sp = teacher.terms().iter().find_map(|t| t.method.l2_sp());
    let Some(((strength, transfer), weights)) = l2_sp.zip(teacher.params()) else { return Ok(None) };
    let mut anchor = student.params.clone();
    transfer.apply(&mut anchor, weights)?;
    Ok(Some((DeviceParams::frozen(gpu, "anchor", &anchor)?, strength)))
}

fn average(
    gpu: &Gpu,
    tape: &Tape,
    config: EmaConfig,
    params: &DeviceParams,
    student: &[Group],
) -> Result<(Ema, EmaUpdate)> {
    let elements: Vec<usize> = student.iter().map(|group| group.weights.meta().len()).collect();
    let ema = Ema::new(gpu, "ema", config, &elements)?;
    ema.reset(gpu, &[params.weights()])?;
    let update = ema.record(tape, student)?;
    Ok((ema, update))
}
