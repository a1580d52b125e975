//! The GPU layer: adapters, device, buffers, kernels and command recording. The only module that touches wgpu.
//!
//! A [`Kernel`] is WGSL text plus constants; [`Gpu::pipeline`] turns equal kernels into one shared pipeline whose
//! layout, workgroup size and binding access come from naga's reflection of the text. A [`Recording`] is a list of
//! bound dispatches that replays as one encoder, one compute pass and one submit, or a few where the work is long.

mod adapter;
mod buffer;
mod caps;
mod device;
mod errors;
mod kernel;
mod matrices;
mod notice;
mod options;
#[cfg(not(target_arch = "wasm32"))]
mod parse_ahead;
mod parts;
mod pipeline;
mod profiler;
mod readback;
mod recording;
mod reflect;
mod signal;
mod source;
mod stored;
mod submit_limit;
mod transfer;
mod tuned;
mod waiting;

pub use adapter::{AdapterRequest, AdapterSummary, Power};
pub use buffer::{Buffer, BufferSlice};
pub use caps::{Caps, TileVariant};
pub use device::Gpu;
pub use kernel::{Define, Kernel};
pub use matrices::Matrices;
pub(crate) use notice::Notice;
pub use options::GpuOptions;
pub use parts::PARTS;
pub use pipeline::Pipeline;
pub use profiler::{Samples, Stopwatch};
pub use readback::Readback;
pub use recording::{Dispatch, Grid, Recording};
pub use reflect::{Access, BindingInfo, Reflection, reflect};
pub use stored::store_as_half;
pub use submit_limit::{SubmitLimit, estimate};
pub use tuned::{Choice, Choices, Tuned, Tuning};

/// The wgpu that limbeck is built with, for applications that share their device.
pub use wgpu;
