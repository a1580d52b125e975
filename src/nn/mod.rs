//! Layers: named parameters, and a forward that records ops.
//!
//! Building a network fills [`Params`] (names, shapes, initial values; PyTorch's names). [`DeviceParams`] puts them on a
//! device in flat buffers. [`Forward`] records a forward pass on a tape, in train or eval mode, and notes every layer's
//! output as a tap under the layer's name.

mod device;
mod forward;
mod init;
mod layers;
mod load;
mod params;

pub use device::DeviceParams;
pub use forward::{Forward, Mode, Precision, Tap};
pub use init::Init;
pub use layers::{BatchNorm, Conv, Embedding, LayerNorm, Linear};
pub use load::{LoadReport, Misshapen, Started};
pub use params::{Param, ParamBuilder, ParamId, ParamKind, Params};
