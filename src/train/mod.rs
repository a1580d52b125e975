//! Training: the step, the loop around it, what it measures and what it tells the user.

mod batch;
pub mod checkpoint;
mod compare;
mod config;
pub mod doctor;
mod evaluator;
mod extend;
mod identity;
pub mod metrics;
pub mod outputs;
pub mod report;
pub mod schemes;
mod session;
pub mod stats;
mod step;
mod stored;
mod sums;
pub mod sweep;
mod teach;
mod teacher;
mod trainer;

pub use compare::{Comparison, Variant};
pub use config::TrainConfig;
pub use evaluator::Evaluator;
pub use identity::weights_hash;
pub use outputs::{Outputs, OutputsInfo};
pub use step::{StepConfig, TrainStep};
pub use stored::StoredTeacher;
pub use sums::Sums;
pub use teach::{TeachConfig, teach};
pub use teacher::{Teacher, Teaching};
pub use trainer::{Checkpoints, Epoch, Observer, Progress, Run, Trainer};
