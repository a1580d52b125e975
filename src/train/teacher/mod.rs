//! Where a training run's teaching comes from: a live network, or its outputs on disk, and what writes those.

pub(in crate::train) mod distillation;
pub(in crate::train) mod maps;
pub mod outputs;
mod pairs;
pub(in crate::train) mod source;
pub(in crate::train) mod stored;

pub use maps::StoredMap;
pub use outputs::{OutputsInfo, StoredOutputs};
pub use source::{Teacher, TeacherSource};
pub use stored::StoredTeacher;
