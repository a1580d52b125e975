//! Convolutions: the op, its gradients, what is fused into it, and the kernels that one is chosen from
//! (`lower` chooses).

mod backward;
mod depthwise;
mod lower;
mod rows;
mod rows_dw;

pub mod conv2d;
pub mod fused;
