//! Training: the step, the loop around it, what it measures and what it tells the user.

#[cfg(not(target_arch = "wasm32"))]
mod compare;
#[cfg(not(target_arch = "wasm32"))]
pub mod doctor;
pub mod metrics;
pub mod report;
mod run;
pub mod schemes;
pub mod stats;
pub mod sweep;
mod teacher;

#[cfg(not(target_arch = "wasm32"))]
pub use compare::{Comparison, Variant};
pub use run::{
    Checkpoints, Epoch, Evaluator, Observer, Prepared, Progress, Run, StepConfig, TrainConfig, TrainStep,
    Trainer, checkpoint, weights_hash,
};
#[cfg(not(target_arch = "wasm32"))]
pub use teacher::teach;
pub use teacher::{
    Outputs, OutputsInfo, StoredTeacher, TeachConfig, Teacher, TeacherSource, outputs, teach_async,
};
