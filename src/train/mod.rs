//! Training: the step, the loop around it, what it measures and what it tells the user.

mod batch;
pub mod checkpoint;
mod compare;
mod config;
mod evaluator;
mod identity;
pub mod metrics;
pub mod report;
pub mod schemes;
mod session;
pub mod stats;
mod step;
mod sums;
mod teacher;
mod trainer;

pub use compare::{Comparison, Variant};
pub use config::TrainConfig;
pub use evaluator::Evaluator;
pub use step::{StepConfig, TrainStep};
pub use sums::Sums;
pub use teacher::Teacher;
pub use trainer::{Checkpoints, Epoch, Observer, Progress, Run, Trainer};
