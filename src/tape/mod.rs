//! The tape: what a training step is, before and while it runs.
//!
//! A [`Tape`] grows by recording: every method on a [`Tensor`] checks shapes and appends a node, and nothing runs. The
//! backward sweep appends more nodes of the same kind. A [`Plan`] then drops dead nodes, lowers the rest to dispatches,
//! gives every intermediate a buffer by its lifetime, and replays. The tape knows no op by name: an op is anything that
//! implements [`Op`], in this crate or in yours.
//!
//! Record order is execution order. In-place updates (optimizer, running statistics) are ops that declare which inputs they
//! write: a reader recorded before sees the old value, one recorded after the new. A step has static shapes, and is compiled for
//! its batch size; what changes from step to step is one uniform buffer ([`Step`]).
//!
//! An op of your own is a shape rule, a kernel and its reference in f64; one with a gradient also has
//! [`Op::backward`], as in examples/custom_op.rs:
//!
//! ```
//! use limbeck::Result;
//! use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions, Grid, Kernel};
//! use limbeck::tape::{Array, Lowering, Meta, Op, Plan, Slot, Step, Tape};
//!
//! /// y = 2 x
//! #[derive(Debug, Clone, Copy)]
//! struct Twice;
//!
//! const WGSL: &str = "
//!     @group(0) @binding(0) var<storage, read> x: array<f32>;
//!     @group(0) @binding(1) var<storage, read_write> y: array<f32>;
//!     @compute @workgroup_size(64)
//!     fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
//!         if id.x < LEN { y[id.x] = 2.0 * x[id.x]; }
//!     }";
//!
//! impl Op for Twice {
//!     fn name(&self) -> &'static str {
//!         "twice"
//!     }
//!
//!     fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
//!         Ok(inputs.to_vec())
//!     }
//!
//!     fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
//!         let len = to.output(0).iter().product::<usize>();
//!         let kernel = Kernel::new(self.name(), "forward", WGSL).define("LEN", len);
//!         to.dispatch(kernel, &[Slot::Input(0), Slot::Output(0)], Grid::linear(len.div_ceil(64)));
//!         Ok(())
//!     }
//!
//!     fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
//!         vec![inputs[0].map(|x| 2.0 * x)]
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
//! let tape = Tape::new();
//! let x = tape.input("x", [3]);
//! let y = tape.record1(Twice, &[&x])?;
//! let plan = Plan::new(&gpu, &tape, &[&y])?;
//! plan.write(&x, &[1.0f32, 2.0, 3.0])?;
//! plan.run(&Step::new(0, 0))?;
//! assert_eq!(plan.read_f32(&y)?, [2.0, 4.0, 6.0]);
//!
//! // The same without a device, for tests.
//! let known = [(&x, Array::new([3], vec![1.0, 2.0, 3.0]))];
//! assert_eq!(tape.reference(&Step::new(0, 0), &known, &[&y])?[0].data, [2.0, 4.0, 6.0]);
//! # Ok(())
//! # }
//! ```

mod array;
mod backward;
mod compile;
mod cost;
mod element;
mod fuse;
mod graph;
mod half;
mod lower;
mod lowering;
mod memory;
mod op;
mod plan;
mod profile;
mod record;
mod reference;
mod shape;
mod step;
mod storage;
mod stored_input;
mod tensor;
mod tune;
mod variants;

pub use array::Array;
pub use backward::{GradOps, Gradients};
pub use cost::{Cost, NodeCost};
pub use element::Element;
pub use fuse::{Consumer, Fused};
pub use graph::TensorId;
pub use lowering::{Lowering, Slot, Whole};
pub use memory::{Lifetime, assign};
pub use op::{Backward, Op};
pub use plan::Plan;
pub use profile::{DispatchTiming, NodeTiming, PlanPart};
pub use record::Tape;
pub(crate) use reference::RecordedNode;
pub use shape::{DType, Meta, Shape};
pub use step::{Scalar, Step};
pub use tensor::{Handle, Tensor};
pub use variants::Variant;
