//! Optimizers, learning-rate schedules, gradient clipping and averages of weights.
//!
//! All work on flat buffers: one tensor that holds every parameter, and one, laid out alike, that holds every gradient.
//! A step is then two dispatches for the gradient norm and one for the update, however many parameters there are.

mod config;
mod ema;
mod loss_scale;
mod optimizer;
mod schedule;

pub use config::OptimizerConfig;
pub use ema::{Ema, EmaConfig, EmaUpdate};
pub use loss_scale::{LossScale, LossScaleConfig, LossScaleState};
pub use optimizer::{Group, Optimizer, OptimizerUpdate};
pub use schedule::{Schedule, Warmup};
