//! The tape: what a training step is, before and while it runs.
//!
//! A [`Tape`] grows by recording: every method on a [`Tensor`] checks shapes and appends a node, and nothing runs. The
//! backward sweep appends more nodes of the same kind. A [`Plan`] then drops dead nodes, lowers the rest to dispatches,
//! gives every intermediate a buffer by its lifetime, and replays. The tape knows no op by name: an op is anything that
//! implements [`Op`], in this crate or in yours.

mod array;
mod backward;
mod fuse;
mod half;
mod lowering;
mod memory;
mod op;
mod plan;
#[cfg(not(target_arch = "wasm32"))]
mod profile;
mod reference;
mod shape;
mod step;
mod storage;
mod tensor;
#[cfg(not(target_arch = "wasm32"))]
mod tune;
mod variants;

pub use array::Array;
pub use backward::{GradOps, Gradients};
pub use fuse::{Consumer, Fused};
pub use lowering::{Lowering, Slot, Whole};
pub use memory::{Lifetime, assign};
pub use op::{Backward, Op};
pub use plan::{Cost, NodeCost, Plan};
#[cfg(not(target_arch = "wasm32"))]
pub use profile::{DispatchTiming, NodeTiming, Part};
pub(crate) use reference::Recorded;
pub use shape::{DType, Meta, Shape};
pub use step::{Scalar, Step};
pub use tensor::{Tape, Tensor, TensorId};
pub use variants::Variant;
