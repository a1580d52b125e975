//! A training step on random images: what `limbeck profile` and the train suite run.

use std::sync::Arc;

use super::benchmark::{Prepared, Target};
use super::results::Breakdown;
use crate::data::{Batch, InMemory, LABELS, Loader, LoaderConfig, PIXELS};
use crate::distill::{self, MethodConfig};
use crate::gpu::Gpu;
use crate::models::{Network, build};
use crate::nn::{DeviceParams, Precision};
use crate::optim::OptimizerConfig;
use crate::rng::Stream;
use crate::tape::{NodeTiming, Step};
use crate::tasks::{Classify, ClassifyConfig, Task};
use crate::train::{StepConfig, Teacher, TrainConfig, TrainStep};
use crate::{Error, Result};

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
        let source = self.source(0)?;
        let task = self.task(&source)?;
        let make = |name: &str| -> Result<Network> { build(name, &task.model_config()) };
        let student = make(&self.model)?;
        let params = DeviceParams::trainable(gpu, "student", &student.params)?;
        let teacher = self.teacher.as_deref().map(make).transpose()?;
        let frozen = teacher.as_ref().map(|t| DeviceParams::frozen(gpu, "teacher", &t.params)).transpose()?;
        let objective = distill::parse("kd", &MethodConfig::default())?;
        let teacher = teacher.as_ref().zip(frozen.as_ref());
        let teacher = teacher.map(|(network, params)| Teacher::new(network, params, objective));
        let train = TrainConfig {
            batch_size: self.batch_size,
            optimizer: OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 },
            recompute: self.recompute,
            precision: self.precision,
            ..Default::default()
        };
        TrainStep::new(gpu, &student, &params, teacher, &StepConfig::new(&task, &source, &train, 1))
    }

    fn task(&self, source: &InMemory) -> Result<Classify> {
        let (mean, std) = (vec![0.5; self.input[0]], vec![0.25; self.input[0]]);
        Classify::of(source, self.classes, [&mean, &std], ClassifyConfig::default())
    }

    /// Random images with random labels.
    fn source(&self, seed: u64) -> Result<InMemory> {
        let mut random = Stream::new(seed, "profile");
        let n = self.batch_size;
        let bytes = n * self.input.iter().product::<usize>();
        let words = (0..bytes.div_ceil(4)).map(|_| random.below(u32::MAX as usize) as u32);
        let mut pixels: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        pixels.truncate(bytes);
        let labels = (0..n).map(|_| random.below(self.classes) as u32).collect();
        InMemory::new("random images").with_u8(PIXELS, self.input, pixels)?.with_labels(LABELS, labels)
    }

    /// A batch of random images with random labels.
    pub fn batch(&self) -> Result<Batch> {
        let loader = Loader::new(Arc::new(self.source(0)?), LoaderConfig::in_order(self.batch_size))?;
        let batch = loader.epoch(0).next();
        batch.unwrap_or_else(|| Err(Error::config("batch_size", "expected at least one image")))
    }

    /// Steps with their uploads, queued as training queues them, by the wall clock.
    pub fn prepare(&self, target: &Target) -> Result<Prepared> {
        let train = std::rc::Rc::new(self.step(&target.gpu)?);
        let (batch, gpu) = (self.batch()?, target.gpu.clone());
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
