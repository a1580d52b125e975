//! Flags that describe a training step on images nobody looks at, for commands that measure.

use clap::Args;

use crate::bench::Workload;
use crate::nn::Precision;

/// A model's training step.
#[derive(Debug, Args)]
pub struct WorkloadFlags {
    /// A frozen teacher it learns from by soft targets
    #[arg(long)]
    teacher: Option<String>,
    /// Channels x height x width of the images
    #[arg(long, default_value = "1x28x28", value_parser = image_shape)]
    dataset_shape: [usize; 3],
    /// Images per step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch_size: u32,
    /// Classes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    classes: u32,
    /// Compute blocks again in the backward pass instead of keeping their activations
    #[arg(long)]
    recompute: bool,
    /// f32, or mixed: activations, their gradients and the weights that layers read as f16
    #[arg(long, value_name = "KIND", default_value = "f32")]
    precision: Precision,
}

impl WorkloadFlags {
    /// The training step of a model.
    pub fn of(&self, model: &str) -> Workload {
        Workload {
            model: model.into(),
            teacher: self.teacher.clone(),
            input: self.dataset_shape,
            batch_size: self.batch_size as usize,
            classes: self.classes as usize,
            recompute: self.recompute,
            precision: self.precision,
        }
    }
}

fn image_shape(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|s| s.parse().ok().filter(|&n| n > 0)).collect();
    sizes
        .and_then(|s| s.try_into().ok())
        .ok_or_else(|| "expected channels x height x width, such as 3x32x32".into())
}
