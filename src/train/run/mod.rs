//! One training run: the step, the loop around it, and what it keeps on disk.

pub mod checkpoint;
mod evaluator;
mod extend;
mod identity;
mod prepared;
mod results;
mod session;
mod setup;
mod trainer;

pub use evaluator::Evaluator;
pub use identity::weights_hash;
pub use prepared::Prepared;
pub use results::{Epoch, Run};
pub use trainer::{Checkpoints, Observer, Progress, Trainer};
