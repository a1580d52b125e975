//! A training step on random images: what `limbeck profile` and the train suite run.

use std::sync::Arc;

use super::benchmark::{Prepared, Target};
use super::results::Breakdown;
use crate::data::boxes::{Annotation, BoxImage, BoxSet, SetOptions};
use crate::data::{Batch, InMemory, LABELS, Loader, LoaderConfig, PIXELS, Source, Split};
use crate::distill::{self, MethodConfig};
use crate::gpu::Gpu;
use crate::models::{Head, ModelConfig, Network, build, native_config};
use crate::nn::{DeviceParams, Precision};
use crate::optim::OptimizerConfig;
use crate::rng::Stream;
use crate::tape::{NodeTiming, Step};
use crate::tasks::{Classify, ClassifyConfig, Detect, DetectConfig, Task};
use crate::train::{StepConfig, Teacher, TrainConfig, TrainStep};
use crate::{Error, Result};

/// Small, so that many steps on one batch change little.
const LEARNING_RATE: f64 = 1e-5;
/// Steps that are queued before one waits, as in training.
const AHEAD: usize = 2;
/// Repeats of each dispatch for a breakdown.
const BREAKDOWN_REPEATS: usize = 5;

/// A model in training, by the task's loss alone or also by what a teacher gives: a classifier, or a detector, whose name says
/// its images and classes.
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
        let Made { source, task, method } = self.make()?;
        let make = |name: &str| -> Result<Network> { build(name, &task.model_config()) };
        let student = make(&self.model)?;
        let params = DeviceParams::trainable(gpu, "student", &student.params)?;
        let teacher = self.teacher.as_deref().map(make).transpose()?;
        let frozen = teacher.as_ref().map(|t| DeviceParams::frozen(gpu, "teacher", &t.params)).transpose()?;
        let objective = distill::parse(method, &MethodConfig::default())?;
        let teacher = teacher.as_ref().zip(frozen.as_ref());
        let teacher = teacher.map(|(network, params)| Teacher::new(network, params, objective));
        let train = TrainConfig {
            batch_size: self.batch_size,
            optimizer: OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 },
            recompute: self.recompute,
            precision: self.precision,
            ..Default::default()
        };
        TrainStep::new(
            gpu,
            &student,
            &params,
            teacher,
            &StepConfig::new(task.as_ref(), source.as_ref(), &train, 1),
        )
    }

    /// Random images, and the task that is trained on them.
    fn make(&self) -> Result<Made> {
        match native_config(&self.model)? {
            Some(ModelConfig { input, head: Head::Boxes(classes) }) => self.boxes(input.image()?, classes),
            _ => self.labels(),
        }
    }

    /// With random labels.
    fn labels(&self) -> Result<Made> {
        let mut random = Stream::new(0, "profile");
        let pixels = random_bytes(&mut random, self.batch_size * self.input.iter().product::<usize>());
        let labels = (0..self.batch_size).map(|_| random.below(self.classes) as u32).collect();
        let source = InMemory::new("random images").with_u8(PIXELS, self.input, pixels)?;
        let source = source.with_labels(LABELS, labels)?;
        let (mean, std) = (vec![0.5; self.input[0]], vec![0.25; self.input[0]]);
        let task = Classify::of(&source, self.classes, [&mean, &std], ClassifyConfig::default())?;
        Ok(Made { source: Arc::new(source), task: Arc::new(task), method: "kd" })
    }

    /// With random boxes, as many as images of blood cells have.
    fn boxes(&self, [_, height, width]: [usize; 3], classes: usize) -> Result<Made> {
        let mut random = Stream::new(0, "profile");
        let mut images = Vec::new();
        for number in 0..self.batch_size {
            let boxes = (0..BOXES).map(|_| {
                let [w, h] = [width, height].map(|side| random.uniform(0.05, 0.4) * side as f64);
                let [x, y] =
                    [(width, w), (height, h)].map(|(all, own)| random.uniform(0.0, all as f64 - own));
                Annotation::new([x, y, w, h].map(|v| v as f32), random.below(classes))
            });
            let boxes = boxes.collect();
            let pixels = random_bytes(&mut random, 3 * height * width);
            images.push(BoxImage::rgb(number.to_string(), [width as u32, height as u32], pixels, boxes)?);
        }
        let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        let options = SetOptions { size: [height, width], ..Default::default() };
        let source = BoxSet::new("random images", Split::Train, names.clone(), images, &options)?;
        let task = Detect::new(&source, &names, DetectConfig::default())?;
        Ok(Made { source: Arc::new(source), task: Arc::new(task), method: "obj-kd" })
    }

    /// A batch of random images.
    pub fn batch(&self) -> Result<Batch> {
        let loader = Loader::new(Arc::new(self.make()?.source), LoaderConfig::in_order(self.batch_size))?;
        let batch = loader.epoch(0).next();
        batch.unwrap_or_else(|| Err(Error::config("batch_size", "expected at least one image")))
    }

    /// Steps with their uploads, queued as training queues them, by the wall clock.
    pub fn prepare(&self, target: &Target) -> Result<Prepared> {
        let train = std::rc::Rc::new(self.step(&target.gpu)?);
        let (batch, gpu) = (self.batch()?, target.gpu.clone());
        let pixels = batch.fields().find(|field| field.name == PIXELS).map(|field| field.shape.clone());
        let shape = format!("{:?}", [vec![self.batch_size], pixels.unwrap_or_default()].concat());
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

/// What a workload is made of.
struct Made {
    source: Arc<dyn Source>,
    task: Arc<dyn Task>,
    /// By which a teacher teaches.
    method: &'static str,
}

/// Boxes on an image.
const BOXES: usize = 14;

fn random_bytes(random: &mut Stream, n: usize) -> Vec<u8> {
    let words = (0..n.div_ceil(4)).map(|_| random.below(u32::MAX as usize) as u32);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    bytes.truncate(n);
    bytes
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
