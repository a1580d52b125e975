//! The GPU layer: adapters, device, buffers, kernels and command recording. The only module that touches wgpu.
//!
//! A [`Kernel`] is WGSL text plus constants; [`Gpu::pipeline`] turns equal kernels into one shared pipeline whose
//! layout, workgroup size and binding access come from naga's reflection of the text. A [`Recording`] is a list of
//! bound dispatches that replays as one encoder, one compute pass and one submit, or a few where the work is long.

mod adapter;
mod buffer;
mod caps;
mod device;
mod kernel;
mod limit;
mod matrices;
mod parts;
#[cfg(not(target_arch = "wasm32"))]
mod profiler;
mod readback;
mod recording;
mod reflect;
mod source;
mod stored;
mod tuned;
mod waiting;

pub use adapter::{AdapterRequest, AdapterSummary, Power};
pub use buffer::{Buffer, BufferSlice};
pub use caps::{Caps, TileVariant};
pub use device::{Gpu, GpuOptions};
pub use kernel::{Define, Kernel, Pipeline};
pub use limit::{SubmitLimit, estimate};
pub use matrices::Matrices;
pub use parts::PARTS;
#[cfg(not(target_arch = "wasm32"))]
pub use profiler::{Samples, Stopwatch};
pub use readback::Readback;
pub use recording::{Dispatch, Grid, Recording};
pub use reflect::{Access, BindingInfo, Reflection, reflect};
pub use stored::store_as_half;
pub use tuned::{Choice, Choices, Tuned, Tuning};

/// The wgpu that limbeck is built with, for applications that share their device.
pub use wgpu;
