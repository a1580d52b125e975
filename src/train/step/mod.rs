//! One step: how it is recorded, and how it is compiled into a plan that trains.

mod config;
pub(in crate::train) mod counts;
pub(in crate::train) mod record;
pub(in crate::train) mod train_step;

pub use config::TrainConfig;
pub use train_step::{StepConfig, TrainStep};
