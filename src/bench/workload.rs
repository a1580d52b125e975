//! A training step on random images: what `limbeck profile` and the train suite run.

use super::case::{Prepared, Target};
use super::results::Breakdown;
use crate::Result;
use crate::data::Batch;
use crate::distill::{self, MethodConfig, TermSchedule};
use crate::gpu::Gpu;
use crate::models::{ModelConfig, Network, build};
use crate::nn::{DeviceParams, Precision};
use crate::ops::augment::ImageBatch;
use crate::optim::{LossScaleConfig, OptimizerConfig};
use crate::rng::Stream;
use crate::tape::{NodeTiming, Step};
use crate::train::{StepConfig, Teacher, TrainStep};

/// Small, so that many steps on one batch change little.
const LEARNING_RATE: f64 = 1e-5;
/// Steps that are queued before one waits, as in training.
const AHEAD: usize = 2;
/// Repeats of each dispatch for a breakdown.
const BREAKDOWN_REPEATS: usize = 5;

/// A model in training, by cross-entropy alone or also by a teacher's soft targets.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The model that is trained.
    pub model: String,
    /// A frozen teacher.
    pub teacher: Option<String>,
    /// Channels, height and width of the images.
    pub input: [usize; 3],
    /// Images a step.
    pub batch_size: usize,
    /// Classes.
    pub classes: usize,
    /// Computes blocks a second time in the backward sweep instead of keeping them.
    pub recompute: bool,
    /// How activations and the weights that layers read are stored.
    pub precision: Precision,
}

impl Workload {
    /// Compiles the step.
    pub fn step(&self, gpu: &Gpu) -> Result<TrainStep> {
        let config = ModelConfig { input: self.input, classes: self.classes };
        let make = |name: &str| -> Result<Network> { build(name, &config) };
        let student = make(&self.model)?;
        let params = DeviceParams::trainable(gpu, "student", &student.params)?;
        let teacher = self.teacher.as_deref().map(make).transpose()?;
        let frozen = teacher.as_ref().map(|t| DeviceParams::frozen(gpu, "teacher", &t.params)).transpose()?;
        let spec = distill::find("kd")?;
        let term = spec.term(&MethodConfig::default())?;
        let teacher = teacher.as_ref().zip(frozen.as_ref()).map(|(network, params)| Teacher {
            network,
            params,
            terms: vec![term],
            taps: Vec::new(),
        });
        let channels = self.input[0];
        let config = StepConfig {
            batch_size: self.batch_size,
            images: ImageBatch::plain(self.input, &vec![0.5; channels], &vec![0.25; channels]),
            optimizer: OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 },
            max_grad_norm: None,
            ce_weight: if teacher.is_some() { spec.ce_weight } else { 1.0 },
            ce_schedule: TermSchedule::default(),
            label_smoothing: 0.0,
            recompute: self.recompute,
            precision: self.precision,
            loss_scale: LossScaleConfig::default(),
            ema: None,
            seed: 0,
            steps: 1,
            samples: self.batch_size,
        };
        TrainStep::new(gpu, &student, &params, teacher, &config)
    }

    /// Random images with random labels.
    pub fn batch(&self) -> Batch {
        let mut random = Stream::new(0, "profile");
        let n = self.batch_size;
        let words = (n * self.input.iter().product::<usize>()).div_ceil(4);
        Batch {
            index: 0,
            pixels: (0..words).map(|_| random.below(u32::MAX as usize) as u32).collect(),
            labels: (0..n).map(|_| random.below(self.classes) as i32).collect(),
            sample_ids: (0..n as u32).collect(),
            len: n,
        }
    }

    /// Steps with their uploads, queued as training queues them, by the wall clock.
    pub fn prepare(&self, target: &Target) -> Result<Prepared> {
        let train = std::rc::Rc::new(self.step(&target.gpu)?);
        let (batch, gpu) = (self.batch(), target.gpu.clone());
        let cost = train.cost();
        let (flops, dispatches) = (cost.flops, cost.dispatches);
        let mut step = Step::new(0, 0);
        let timed = train.clone();
        let time = move |runs: u32| {
            gpu.wait_idle()?;
            let start = crate::platform::Instant::now();
            for _ in 0..runs {
                timed.run(&batch, &mut step, LEARNING_RATE)?;
                gpu.throttle(AHEAD)?;
            }
            gpu.wait_idle()?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        };
        let [c, h, w] = self.input;
        let shape = format!("[{}, {c}, {h}, {w}]", self.batch_size);
        let name = self.describe();
        let breakdown = move || {
            let nodes = train.plan().profile(&Step::new(0, 0), BREAKDOWN_REPEATS)?;
            Ok(by_op(name, &nodes))
        };
        Ok(Prepared {
            dispatches: Some(dispatches),
            flops,
            images: Some(self.batch_size),
            breakdown: Some(Box::new(breakdown)),
            ..Prepared::wall(shape, time)
        })
    }

    /// Like `resnet20 with resnet56, batch 64`.
    pub fn describe(&self) -> String {
        let teacher = self.teacher.as_ref().map_or(String::new(), |t| format!(" with teacher {t}"));
        format!("{}{teacher}, batch {}", self.model, self.batch_size)
    }
}

/// Times summed over nodes of the same op, the longest first.
pub fn by_op(step: String, nodes: &[NodeTiming]) -> Breakdown {
    let mut parts: Vec<(String, f64)> = Vec::new();
    for node in nodes {
        let op = node.name.rsplit('/').next().unwrap_or(&node.name);
        match parts.iter_mut().find(|(name, _)| name == op) {
            Some(part) => part.1 += node.ms,
            None => parts.push((op.to_string(), node.ms)),
        }
    }
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    Breakdown { step, parts }
}
