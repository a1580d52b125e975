//! One training run: the step, the loop around it, and what it keeps on disk.

pub mod checkpoint;
mod config;
pub(in crate::train) mod evaluator;
pub(in crate::train) mod extend;
mod identity;
pub(in crate::train) mod record;
pub(in crate::train) mod session;
pub(in crate::train) mod step;
mod trainer;

pub use config::TrainConfig;
pub use evaluator::Evaluator;
pub use identity::weights_hash;
pub use step::{StepConfig, TrainStep};
pub use trainer::{Checkpoints, Epoch, Observer, Prepared, Progress, Run, Trainer};
