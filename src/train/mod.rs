//! Training: the step, the loop around it, what it measures and what it tells the user.

mod chain;
#[cfg(not(target_arch = "wasm32"))]
mod compare;
pub mod doctor;
pub mod metrics;
pub mod report;
mod run;
mod scaled;
pub mod schemes;
mod step;
pub mod sweep;
mod teach;
mod teacher;

pub use crate::report::stats;
pub use chain::{ChainStep, chain};
#[cfg(not(target_arch = "wasm32"))]
pub use compare::{Comparison, StudentVariant};
pub use run::{
    Checkpoints, Epoch, Evaluator, Observer, Prepared, Progress, Run, Trainer, checkpoint, weights_hash,
};
pub use step::{StepConfig, TrainConfig, TrainStep};
#[cfg(not(target_arch = "wasm32"))]
pub use teach::teach;
pub use teach::{TeachConfig, teach_async};
pub use teacher::{OutputsInfo, StoredMap, StoredOutputs, StoredTeacher, Teacher, TeacherSource, outputs};
