//! Training: what a run measures and what it tells the user.

mod distiller;
pub mod metrics;
pub mod report;
pub mod stats;
mod trainer;
pub use distiller::{Evaluator, StepConfig, Teacher, TrainStep};
pub use trainer::{Epoch, Run, TrainConfig, train};
