//! Where a training run's teaching comes from: a live network, or its outputs on disk, and what writes those.

pub(in crate::train) mod distillation;
pub mod outputs;
pub(in crate::train) mod stored;
mod teach;

pub use distillation::{Teacher, TeacherSource};
pub use outputs::{Outputs, OutputsInfo};
pub use stored::StoredTeacher;
#[cfg(not(target_arch = "wasm32"))]
pub use teach::teach;
pub use teach::{TeachConfig, teach_async};
