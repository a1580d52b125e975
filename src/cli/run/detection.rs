//! A detector on a set of images: what is in each, and what was found.

use std::sync::Arc;
use std::time::Instant;

use crate::Result;
use crate::data::Source;
use crate::data::boxes::BoxSet;
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::DeviceParams;
use crate::tasks::detect::{Detect, DetectConfig, Gathered, gather};
use crate::train::Evaluator;

/// Images of a batch: what a plan of a large network has memory for.
pub const BATCH: usize = 4;

/// What was found in all images of a set.
pub struct Detection {
    pub gathered: Gathered,
    pub batch_size: usize,
    /// Of all images, first compilation excluded.
    pub seconds: f64,
}

/// Runs the images through the network, whose weights are `params`; `classes` are the network's and the set's. Blocks.
pub fn detect(
    gpu: &Gpu,
    (network, params): (&Network, &DeviceParams),
    classes: &[String],
    set: &Arc<BoxSet>,
    config: &DetectConfig,
    batch_size: Option<usize>,
) -> Result<Detection> {
    let task = Detect::new(set.as_ref(), classes, config.clone())?;
    let batch_size = batch_size.unwrap_or(BATCH).min(set.len());
    let evaluator = Evaluator::new(gpu, &task, network, params, batch_size, set.as_ref())?;
    let loader = evaluator.loader(set)?;
    // The driver compiles a kernel where it first runs.
    if let Some(batch) = loader.epoch(0).next() {
        evaluator.run(&batch?)?;
    }
    let mut gathered = Gathered::default();
    let start = Instant::now();
    for batch in loader.epoch(0) {
        let batch = batch?;
        let read = evaluator.run(&batch)?;
        gather(&mut gathered, &config.keep(), &batch, evaluator.network_outputs(), &read)?;
    }
    Ok(Detection { gathered, batch_size, seconds: start.elapsed().as_secs_f64() })
}
