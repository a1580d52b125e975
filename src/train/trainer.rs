//! The training loop.

use std::sync::Arc;
use std::time::Instant;

use super::distiller::{Evaluator, StepConfig, Teacher, TrainStep};
use super::stats::median;
use crate::Result;
use crate::data::{Dataset, Loader, LoaderConfig};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::DeviceParams;
use crate::ops::augment::ImageBatch;
use crate::optim::{OptimizerConfig, Schedule};
use crate::tape::Step;

/// How to train.
#[derive(Debug, Clone)]
pub struct TrainConfig {
    /// Passes over the training data.
    pub epochs: u64,
    /// Samples a step; a last batch that is not full is left out.
    pub batch_size: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Its schedule, in steps.
    pub schedule: Schedule,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Most global gradient norm.
    pub max_grad_norm: Option<f32>,
    /// Weight of the cross-entropy.
    pub ce_weight: f32,
    /// Black pixels around an image before its random crop; 0 for none.
    pub crop_padding: usize,
    /// Random horizontal flips.
    pub flip: bool,
    /// Keys order, augmentation and initial values.
    pub seed: u64,
}

/// What happened in an epoch.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    /// From 1.
    pub epoch: u64,
    /// Loss of the epoch's last step.
    pub loss: f64,
    /// Share of the held-out samples that are right.
    pub accuracy: f64,
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Run {
    /// One an epoch.
    pub epochs: Vec<Epoch>,
    /// Median milliseconds of a step, read-back excluded, over all epochs.
    pub ms_per_step: f64,
}

impl Run {
    /// Accuracy after the last epoch.
    pub fn accuracy(&self) -> f64 {
        self.epochs.last().map_or(0.0, |e| e.accuracy)
    }
}

/// Trains `params` (uploaded as trainable) and calls `each` after every epoch. Blocks.
pub fn train(
    gpu: &Gpu,
    network: &Network,
    params: &DeviceParams,
    (training, held_out): (&Arc<Dataset>, &Arc<Dataset>),
    config: &TrainConfig,
    teacher: Option<Teacher<'_>>,
    mut each: impl FnMut(&Epoch),
) -> Result<Run> {
    let shape = [training.channels, training.height, training.width];
    let images = ImageBatch {
        crop_padding: config.crop_padding,
        flip: config.flip,
        ..ImageBatch::plain(shape, &training.mean, &training.std)
    };
    let step_config = StepConfig {
        batch_size: config.batch_size,
        images,
        optimizer: config.optimizer,
        max_grad_norm: config.max_grad_norm,
        ce_weight: config.ce_weight,
        teacher,
        seed: config.seed,
    };
    let train_step = TrainStep::new(gpu, network, params, step_config)?;
    let loader = LoaderConfig {
        batch_size: config.batch_size,
        seed: config.seed,
        drop_last: true,
        ..Default::default()
    };
    let loader = Loader::new(training.clone(), loader)?;
    let evaluator = Evaluator::new(gpu, network, params, config.batch_size, held_out)?;
    let in_order = LoaderConfig { batch_size: config.batch_size, shuffle: false, ..Default::default() };
    let check = Loader::new(held_out.clone(), in_order)?;
    let (mut epochs, mut times) = (Vec::new(), Vec::new());
    let mut step = Step::new(0, config.seed);
    for epoch in 0..config.epochs {
        step.epoch = epoch as u32;
        let (start, mut loss) = (Instant::now(), 0.0);
        for batch in loader.epoch(epoch) {
            let rate = config.learning_rate * config.schedule.at(step.number.into());
            train_step.run(&batch, &mut step, rate)?;
            let last = batch.index + 1 == loader.batches();
            if last {
                loss = f64::from(train_step.loss(&step)?);
            }
            step.number += 1;
        }
        times.push(start.elapsed().as_secs_f64() * 1e3 / loader.batches().max(1) as f64);
        let accuracy = evaluator.top1_accuracy(check.epoch(0))?;
        let done = Epoch { epoch: epoch + 1, loss, accuracy };
        each(&done);
        epochs.push(done);
    }
    // The first epoch holds the compilation of the kernels.
    let steady = if times.len() > 1 { &times[1..] } else { &times[..] };
    Ok(Run { epochs, ms_per_step: median(steady).unwrap_or(0.0) })
}
