//! One training run: the step, the loop around it, and what it keeps on disk.

pub(in crate::train) mod batch;
pub mod checkpoint;
mod config;
pub(in crate::train) mod evaluator;
pub(in crate::train) mod extend;
mod identity;
pub(in crate::train) mod session;
pub(in crate::train) mod step;
mod sums;
mod trainer;

pub use config::TrainConfig;
pub use evaluator::Evaluator;
pub use identity::weights_hash;
pub use step::{StepConfig, TrainStep};
pub use sums::Sums;
pub use trainer::{Checkpoints, Epoch, Observer, Progress, Run, Trainer};
