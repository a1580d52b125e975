//! Narrower vectors that are trained to be like the wide ones: word-vector distillation.
//!
//! The student is a table of its own, trained by [`Trainer`] for the task [`Vectors`], from where the best linear map for cosines
//! leaves it. Batches are of [`Groups`], by the same seed in the same order: the same bits every time.

use std::sync::Arc;

use super::groups::{Grouping, Groups};
use super::linear;
use crate::gpu::Gpu;
use crate::models::build;
use crate::optim::{OptimizerConfig, Schedule};
use crate::rng::Stream;
use crate::tasks::vectors::Closeness;
use crate::tasks::{Task, Vectors};
use crate::train::{TrainConfig, Trainer};
use crate::vectors::WordVectors;
use crate::{Error, Result};

/// How narrower vectors are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Learning {
    /// Numbers of a vector.
    pub width: usize,
    /// What they shall have in common with the wide ones.
    pub closeness: Closeness,
    /// Steps; 400 is usual.
    pub steps: u64,
    /// Words of a step, all compared with each other; all words where there are fewer. 1024 is usual.
    pub batch_size: usize,
    /// Words of a group, a word and its nearest, of which a batch is made: 32 for neighbours, 1 for similarities, which
    /// are those of words drawn at random.
    pub near: usize,
    /// Adam's learning rate, which falls to 0 along half a cosine; 0.005 is usual.
    pub learning_rate: f64,
    /// Keys the order of the words.
    pub seed: u64,
}

impl Learning {
    /// The usual ones for this width.
    #[must_use]
    pub fn new(width: usize, closeness: Closeness) -> Self {
        let near = match closeness {
            Closeness::Similarities => 1,
            Closeness::Neighbours { .. } => 32,
        };
        Self { width, closeness, steps: 400, batch_size: 1024, near, learning_rate: 0.005, seed: 0 }
    }

    /// Trains.
    pub(super) async fn run(&self, gpu: &Gpu, wide: &WordVectors) -> Result<WordVectors> {
        let start = start(wide, self.width, self.seed)?;
        let batches = |batches: u64, seed: u64| {
            let (batch, near) = (self.batch_size, self.near);
            Arc::new(Groups::new(wide, Grouping { batches: batches as usize, batch, near, seed }))
        };
        // What is watched is one batch that is not trained on as it is.
        let (training, watched) = (batches(self.steps, self.seed), batches(1, !self.seed));
        let task = Vectors::new(training.as_ref(), wide.len(), self.width, self.closeness)?;
        let mut network = build("table", &task.model_config())?;
        let table = network.params.iter_mut().next();
        let table = table.ok_or_else(|| Error::misuse("table", "one parameter", "none"))?;
        table.values = start;
        let config = TrainConfig {
            epochs: 1,
            batch_size: 1,
            learning_rate: self.learning_rate,
            schedule: Schedule::cosine(),
            optimizer: OptimizerConfig::adam(),
            seed: self.seed,
            ..Default::default()
        };
        Trainer::new(gpu, task, &config, &training, &watched).fit_async(&mut network).await?;
        let table = network.params.iter().next();
        let table = table.ok_or_else(|| Error::misuse("table", "one parameter", "none"))?;
        wide.with_values(self.width, table.values.clone())
    }
}

/// What the best linear map for cosines makes of the rows. A row that it takes to nothing has no direction to learn from, and
/// gets one by chance.
fn start(wide: &WordVectors, width: usize, seed: u64) -> Result<Vec<f32>> {
    let mut values = linear::cosines(wide, width)?.values().to_vec();
    let mut stream = Stream::new(seed, "word vectors");
    for row in values.chunks_exact_mut(width) {
        if row.iter().all(|v| v.abs() < 1e-5) {
            row.iter_mut().for_each(|v| *v = (0.1 * stream.normal()) as f32);
        }
    }
    Ok(values)
}
