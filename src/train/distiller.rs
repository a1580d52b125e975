//! One training step as a plan: teacher, student, losses, gradients and optimizer in a single submit.

use crate::data::{Batch, Dataset, IGNORE_LABEL};
use crate::distill::{Method, Pair};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Forward, ParamBuilder, Params};
use crate::ops::augment::ImageBatch;
use crate::ops::cross_entropy::CrossEntropy;
use crate::optim::{Group, Optimizer, OptimizerConfig, OptimizerUpdate};
use crate::tape::{Cost, Plan, Step, Tape, Tensor};
use crate::{Error, Result};

/// What a step is made of.
pub struct StepConfig<'a> {
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
    /// The teacher and what is learned from it.
    pub teacher: Option<Teacher<'a>>,
    /// Initialises regressors.
    pub seed: u64,
}

/// A frozen teacher and the terms that use it.
pub struct Teacher<'a> {
    /// The architecture.
    pub network: &'a Network,
    /// Its weights.
    pub params: &'a DeviceParams,
    /// Methods with their weights.
    pub terms: Vec<(f32, Box<dyn Method>)>,
    /// (hint, guided) taps.
    pub taps: Vec<(String, String)>,
}

/// A compiled training step of one student.
pub struct TrainStep {
    plan: Plan,
    update: OptimizerUpdate,
    optimizers: Vec<Optimizer>,
    regressors: Option<DeviceParams>,
    pixels: Tensor,
    labels: Tensor,
    ids: Tensor,
    loss: Tensor,
}

impl TrainStep {
    /// Records and compiles the step. `params` are the student's, uploaded as trainable.
    pub fn new(gpu: &Gpu, student: &Network, params: &DeviceParams, config: StepConfig<'_>) -> Result<Self> {
        let tape = Tape::new();
        let inputs = Inputs::new(&tape, config.batch_size, &config.images)?;
        let fx = Forward::train(&tape, params);
        let logits = student.forward(&fx, &inputs.images)?;
        let settings = CrossEntropy { ignore_label: IGNORE_LABEL, ..Default::default() };
        let mut loss = logits.cross_entropy(&inputs.labels, &settings)?.scale(config.ce_weight)?;
        let mut regressors = None;
        if let Some(teacher) = config.teacher {
            let (sum, own) =
                distillation_terms(&tape, &inputs.images, &fx, &logits, teacher, gpu, config.seed)?;
            loss = loss.add(&sum)?;
            regressors = own;
        }
        let gradients = loss.backward()?;
        fx.place_gradients(&gradients)?;
        let mut trained = vec![params];
        if let Some((own, forward_leaves)) = &regressors {
            for (id, leaf) in forward_leaves {
                own.place_gradient(*id, leaf, &gradients)?;
            }
            trained.push(own);
        }
        let groups = trained
            .iter()
            .map(|p| {
                Ok(Group {
                    weights: p.flat_weights(&tape)?,
                    gradients: p.flat_gradients(&tape)?,
                    decay_mask: p.decay_mask(&tape)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let elements: Vec<usize> = groups.iter().map(|g| g.weights.meta().len()).collect();
        let optimizer = Optimizer::new(gpu, "optimizer", config.optimizer, &elements)?;
        let update = optimizer.record(&tape, &groups, config.max_grad_norm)?;
        let plan = Plan::new(gpu, &tape, &[&loss, &update.grad_norm])?;
        let Inputs { pixels, labels, ids, .. } = inputs;
        let regressors = regressors.map(|(own, _)| own);
        Ok(Self { plan, update, optimizers: vec![optimizer], regressors, pixels, labels, ids, loss })
    }

    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        self.plan.cost()
    }

    /// The compiled plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The optimizers, for checkpoints.
    pub fn optimizers(&self) -> &[Optimizer] {
        &self.optimizers
    }

    /// The distillation methods' own parameters, where they have any.
    pub fn regressors(&self) -> Option<&DeviceParams> {
        self.regressors.as_ref()
    }

    /// Runs one step. Returns at once; [`TrainStep::loss`] waits.
    pub fn run(&self, batch: &Batch, step: &mut Step, learning_rate: f64) -> Result<()> {
        write_batch(&self.plan, batch, &self.pixels, &self.labels, &self.ids)?;
        self.update.set_step(step, learning_rate, u64::from(step.number));
        self.plan.run(step)
    }

    /// The loss of the last step, or an error that names the first op whose output was not finite. Blocks.
    pub fn loss(&self, step: &Step) -> Result<f32> {
        let loss = self.plan.read_f32(&self.loss)?.first().copied().unwrap_or(f32::NAN);
        let norm = self.plan.read_f32(&self.update.grad_norm)?;
        if loss.is_finite() && norm.get(1) == Some(&0.0) {
            return Ok(loss);
        }
        let place = self.plan.first_non_finite(step)?;
        let place = place.unwrap_or_else(|| "the gradient norm, which overflowed".into());
        Err(Error::NonFinite { step: step.number.into(), place })
    }
}

/// The method's regressors: device parameters and the leaves they were bound as.
type Own = (DeviceParams, Vec<(crate::nn::ParamId, Tensor)>);

fn distillation_terms(
    tape: &Tape,
    images: &Tensor,
    student: &Forward<'_>,
    student_logits: &Tensor,
    teacher: Teacher<'_>,
    gpu: &Gpu,
    seed: u64,
) -> Result<(Tensor, Option<Own>)> {
    let fx = Forward::eval(tape, teacher.params);
    let teacher_logits = teacher.network.forward(&fx, images)?;
    if teacher_logits.shape() != student_logits.shape() {
        let expected = format!("teacher and student with as many classes ({})", student_logits.dims()[1]);
        return Err(Error::shape(
            "distillation",
            expected,
            format!("a teacher of {}", teacher_logits.dims()[1]),
        ));
    }
    let pair =
        Pair { student, teacher: &fx, student_logits, teacher_logits: &teacher_logits, taps: &teacher.taps };
    let mut own = Params::default();
    let mut terms = teacher.terms;
    for (index, (_, method)) in terms.iter_mut().enumerate() {
        method.prepare(&pair, ParamBuilder::new(&mut own).sub(format!("term{index}")))?;
    }
    own.initialise(seed);
    let device = DeviceParams::trainable(gpu, "regressors", &own)?;
    let own_fx = Forward::train(tape, &device);
    let mut sum: Option<Tensor> = None;
    for (weight, method) in &terms {
        let term = method.loss(&pair, &own_fx)?.scale(*weight)?;
        sum = Some(match sum {
            None => term,
            Some(sum) => sum.add(&term)?,
        });
    }
    let sum = sum.ok_or_else(|| Error::config("method", "a teacher needs at least one method"))?;
    let leaves = own_fx.leaves();
    Ok((sum, (!own.is_empty()).then_some((device, leaves))))
}

/// A batch's leaves and the decoded images.
struct Inputs {
    pixels: Tensor,
    labels: Tensor,
    ids: Tensor,
    images: Tensor,
}

impl Inputs {
    fn new(tape: &Tape, batch_size: usize, config: &ImageBatch) -> Result<Self> {
        let words = (batch_size * config.channels * config.height * config.width).div_ceil(4);
        let pixels = tape.input_i32("pixels", [words]);
        let labels = tape.input_i32("labels", [batch_size]);
        let ids = tape.input_i32("sample ids", [batch_size]);
        let images = Tensor::image_batch(&pixels, &ids, config)?;
        Ok(Self { pixels, labels, ids, images })
    }
}

fn write_batch(plan: &Plan, batch: &Batch, pixels: &Tensor, labels: &Tensor, ids: &Tensor) -> Result<()> {
    plan.write(pixels, &batch.pixels)?;
    plan.write(labels, &batch.labels)?;
    plan.write(ids, &batch.sample_ids)
}

/// A compiled evaluation of one network.
pub struct Evaluator {
    plan: Plan,
    inputs: (Tensor, Tensor, Tensor),
    logits: Tensor,
}

impl Evaluator {
    /// Records and compiles the evaluation: running statistics, no augmentation.
    pub fn new(
        gpu: &Gpu,
        network: &Network,
        params: &DeviceParams,
        batch_size: usize,
        dataset: &Dataset,
    ) -> Result<Self> {
        let tape = Tape::new();
        let shape = [dataset.channels, dataset.height, dataset.width];
        let inputs = Inputs::new(&tape, batch_size, &ImageBatch::plain(shape, &dataset.mean, &dataset.std))?;
        let logits = network.forward(&Forward::eval(&tape, params), &inputs.images)?;
        // Labels are no part of the plan, but keeping them as an output gives them a buffer to write to.
        let plan = Plan::new(gpu, &tape, &[&logits, &inputs.labels])?;
        Ok(Self { plan, inputs: (inputs.pixels, inputs.labels, inputs.ids), logits })
    }

    /// Share of the data set's samples whose largest logit is their label. Blocks.
    pub fn top1_accuracy(&self, batches: impl Iterator<Item = Batch>) -> Result<f64> {
        let (mut correct, mut counted) = (0usize, 0usize);
        for batch in batches {
            let logits = self.logits(&batch)?;
            let classes = self.logits.dims()[1];
            for (row, label) in logits.chunks(classes).zip(&batch.labels).take(batch.len) {
                let best = (0..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
                correct += (best as i32 == *label) as usize;
                counted += 1;
            }
        }
        Ok(correct as f64 / counted.max(1) as f64)
    }

    /// The logits (N, classes) of one batch. Blocks.
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>> {
        let (pixels, labels, ids) = &self.inputs;
        write_batch(&self.plan, batch, pixels, labels, ids)?;
        self.plan.run(&Step::new(0, 0))?;
        self.plan.read_f32(&self.logits)
    }
}
